from __future__ import annotations

import inspect
import resource
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose import _core

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])
BORDER = (114, 30, 250)
IDENTITY = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])

pytestmark = pytest.mark.usefixtures("simd")


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def samples(image, matrix, input_size, border):
    """(h, w, 3) float64 bilinear samples; the picture stands in a frame of border that is two pixels wide."""
    framed = np.empty((image.shape[0] + 4, image.shape[1] + 4, 3))
    framed[:] = border
    framed[2:-2, 2:-2] = image
    v, u = np.mgrid[: input_size[0], : input_size[1]]
    points = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.asarray(matrix).T
    points = np.clip(points, -1.5, np.array([image.shape[1], image.shape[0]]) + 0.5)
    x0, y0 = np.moveaxis(np.floor(points).astype(int), -1, 0)
    fx, fy = np.moveaxis(points - np.floor(points), -1, 0)[..., None]
    at = lambda dy, dx: framed[y0 + 2 + dy, x0 + 2 + dx]  # noqa: E731
    return (1 - fy) * ((1 - fx) * at(0, 0) + fx * at(0, 1)) + fy * ((1 - fx) * at(1, 0) + fx * at(1, 1))


def reference(image, matrices, input_size, mean, std, color, border):
    crops = [samples(image, matrix, input_size, border) for matrix in matrices]
    crops = np.reshape(crops, (-1, *input_size, 3))
    if color == "rgb":
        crops = crops[..., ::-1]
    return np.moveaxis((crops - mean) / std, -1, 1)


def about(image, input_size, scale, angle):
    """The matrix that turns and scales the input about the picture's centre."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
    return np.column_stack([turn, centre - turn @ (np.array(input_size[::-1]) - 1) / 2])


finite = st.floats(-3, 3)
matrices = st.lists(st.tuples(finite, finite, st.floats(-60, 60), finite, finite, st.floats(-60, 60)), max_size=3).map(
    lambda rows: np.reshape(rows, (-1, 2, 3)).astype(float)
)
sizes = st.tuples(st.integers(1, 80), st.integers(1, 80))


@given(
    image_size=sizes,
    input_size=sizes,
    matrices=matrices,
    color=st.sampled_from(["rgb", "bgr"]),
    border=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_matches_exact_sampling(image_size, input_size, matrices, color, border):
    image = picture(*image_size)
    crops = _core.crop(image, matrices, input_size, (0, 0, 0), (1, 1, 1), color, border)
    assert crops.shape == (len(matrices), 3, *input_size)
    assert crops.dtype == np.float32
    expected = reference(image, matrices, input_size, 0, 1, color, border)
    np.testing.assert_allclose(crops, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_normalises_in_output_order(color):
    image = picture(50, 40)
    matrices = np.stack([about(image, (64, 48), 0.7, 0.3), about(image, (64, 48), 2.0, -1.2)])
    crops = _core.crop(image, matrices, (64, 48), MEAN, STD, color, BORDER)
    for_each = (slice(None), None, None)
    expected = reference(image, matrices, (64, 48), 0, 1, color, BORDER) - MEAN[for_each]
    np.testing.assert_allclose(crops, expected / STD[for_each], rtol=0, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.5])
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.7])
def test_close_to_opencv(scale, angle):
    image = cv2.GaussianBlur(picture(120, 90), (0, 0), 2)  # warpAffine rounds its positions to 1/32 pixel
    matrix = about(image, (96, 72), scale, angle)
    crops = _core.crop(image, matrix[None], (96, 72), (0, 0, 0), (1, 1, 1), "bgr", BORDER)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (72, 96), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=BORDER)
    difference = np.abs(np.moveaxis(crops[0], 0, -1) - warped)
    framed = cv2.warpAffine(np.ones(image.shape[:2], np.float32), matrix, (72, 96), flags=flags)
    assert difference[framed == 1].max() <= 2
    assert np.count_nonzero(framed == 1) > 500


def test_border_alone_far_outside():
    far = IDENTITY * np.array([1, 1, 0]) + np.array([[0, 0, 1e6], [0, 0, -1e6]])
    crops = _core.crop(picture(8, 8), far, (5, 70), (0, 0, 0), (1, 1, 1), "bgr", BORDER)
    np.testing.assert_array_equal(crops, np.broadcast_to(np.reshape(BORDER, (1, 3, 1, 1)), (1, 3, 5, 70)))


def test_border_defaults_to_black_and_blends_with_the_edge():
    image = np.full((4, 4, 3), 200, np.uint8)
    half_out = np.array([[[1, 0, -0.5], [0, 1, 0]]])
    crops = _core.crop(image, half_out, (4, 5), (0, 0, 0), (1, 1, 1), "bgr")
    np.testing.assert_allclose(crops[0, 0, 0], [100, 200, 200, 200, 100])


def test_identity_is_exact():
    image = picture(33, 70)
    crops = _core.crop(image, IDENTITY, (33, 70), (0, 0, 0), (1, 1, 1), "rgb")
    np.testing.assert_array_equal(crops[0], np.moveaxis(image[..., ::-1], -1, 0))


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
    image_size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_any_finite_transform_stays_between_picture_and_border(values, image_size):
    matrix = np.reshape(values, (1, 2, 3))
    crops = _core.crop(picture(*image_size), matrix, (7, 66), (0, 0, 0), (1, 1, 1), "rgb", BORDER)
    assert np.all((crops >= -1e-3) & (crops <= 255 + 1e-3))


VIEWS = {
    "padded rows": lambda a: a[:, 3:30],
    "every second row": lambda a: a[::2],
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "every second column": lambda a: a[:, ::2],
    "channels swapped": lambda a: a[..., ::-1],
    "one column": lambda a: a[:, 7:8],
    "one row": lambda a: a[7:8],
    "one pixel": lambda a: a[5:6, 5:6],
    "transposed": lambda a: a.transpose(1, 0, 2),
    "planar": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1),
    "broadcast row": lambda a: np.broadcast_to(a[:1], a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes(), np.uint8).reshape(a.shape),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_any_layout_of_the_picture(view):
    image = view(picture(36, 40))
    matrices = about(image, (20, 30), 0.8, 0.5)[None]
    expected = reference(image, matrices, (20, 30), 0, 1, "rgb", BORDER)
    crops = _core.crop(image, matrices, (20, 30), (0, 0, 0), (1, 1, 1), "rgb", BORDER)
    np.testing.assert_allclose(crops, expected, rtol=0, atol=2e-4)


boxes = st.tuples(st.floats(-30, 110), st.floats(-30, 110), st.floats(0.02, 9), st.floats(0.02, 9), st.booleans())


@given(image_size=sizes, input_size=sizes, box=boxes, border=st.tuples(*[st.floats(0, 255)] * 3))
def test_without_rotation(image_size, input_size, box, border):
    image = picture(*image_size)
    x, y, step_x, step_y, mirrored = box
    matrices = np.array([[[-step_x if mirrored else step_x, 0, x], [0, step_y, y]]])
    crops = _core.crop(image, matrices, input_size, (0, 0, 0), (1, 1, 1), "bgr", border)
    expected = reference(image, matrices, input_size, 0, 1, "bgr", border)
    np.testing.assert_allclose(crops, expected, rtol=0, atol=2e-4)


@given(
    image_sizes=st.lists(sizes, min_size=1, max_size=3),
    input_size=sizes,
    scales=st.lists(st.floats(0.1, 5), max_size=4),
    angle=st.sampled_from([0.0, 0.0, 0.7]),
    layout=st.sampled_from(["nchw", "nhwc"]),
    dtype=st.sampled_from(["float32", "float16", "uint8"]),
    flipped=st.booleans(),
    threads=st.integers(1, 5),
    given_out=st.booleans(),
)
def test_every_format_holds_the_same_values(
    image_sizes, input_size, scales, angle, layout, dtype, flipped, threads, given_out
):
    images = [picture(*size, seed=i) for i, size in enumerate(image_sizes)]
    pictures = np.arange(len(scales)) % len(images)
    matrices = [about(images[p], input_size, s, angle) for p, s in zip(pictures, scales, strict=True)]
    matrices = np.reshape(matrices, (-1, 2, 3))
    mean, std = (100, 110, 120) if dtype != "uint8" else (0, 10, -20), (50, 60, 70) if dtype != "uint8" else (1, 2, 1)
    expected = [
        _core.crop(images[p], m[None], input_size, mean, std, "rgb") for p, m in zip(pictures, matrices, strict=True)
    ]
    expected = np.concatenate([np.empty((0, 3, *input_size), np.float32), *expected])
    if flipped:
        expected = np.stack([expected, expected[..., ::-1]], axis=1)
    if layout == "nhwc":
        expected = np.moveaxis(expected, -3, -1)
    if dtype == "uint8":
        expected = np.clip(np.floor(expected + np.float32(0.5)), 0, 255)
    expected = expected.astype(dtype)
    out = np.empty_like(expected, order="C") if given_out else None
    crops = _core.crop(
        images,
        matrices,
        input_size,
        mean,
        std,
        "rgb",
        pictures=pictures,
        layout=layout,
        dtype=dtype,
        flipped=flipped,
        threads=threads,
        out=out,
    )
    assert crops.dtype == expected.dtype
    assert crops.flags.c_contiguous
    assert out is None or crops is out
    np.testing.assert_array_equal(crops, expected)


def test_halves_round_to_nearest_even_and_overflow_to_infinity():
    values = np.arange(256, dtype=np.uint8)
    image = np.repeat(values[None, :, None], 3, axis=2)
    for mean, std in [(0, 1), (0, 3e-3), (100, 1.7e6), (1, 4e9), (127.3, 12345.67)]:
        arguments = (image, IDENTITY, (1, 256), (mean,) * 3, (std,) * 3, "bgr")
        with np.errstate(over="ignore"):
            expected = _core.crop(*arguments).astype(np.float16)
        np.testing.assert_array_equal(_core.crop(*arguments, dtype="float16"), expected)


def test_the_sides_of_a_crop_beyond_the_picture_are_border():
    image = picture(10, 10)
    wide = np.array([[[1.5, 0, -40], [0, 1.5, -40]]])
    crops = _core.crop(image, wide, (64, 70), (0, 0, 0), (1, 1, 1), "bgr", BORDER)
    expected = reference(image, wide, (64, 70), 0, 1, "bgr", BORDER)
    np.testing.assert_allclose(crops, expected, atol=2e-4)
    np.testing.assert_array_equal(crops[0, :, :, -1], np.repeat(np.reshape(BORDER, (3, 1)), 64, axis=1))


def test_memory_stays_flat():
    image = picture(40, 30)
    matrices = np.repeat(about(image, (16, 12), 1.0, 0.3)[None], 2, axis=0)
    crop = lambda: _core.crop(image, matrices, (16, 12), MEAN, STD, "rgb", flipped=True)  # noqa: E731
    for _ in range(1000):
        crop()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100_000):
        crop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_writes_into_slices_of_one_batch():
    batch = np.full((4, 3, 16, 12), np.nan, np.float32)
    images = [picture(20, 20, seed=1), picture(30, 10, seed=2)]
    matrices = np.stack([about(images[0], (16, 12), scale, 0.1) for scale in (0.5, 1.0)])
    for i, image in enumerate(images):
        part = batch[1 + i : 2 + i]
        assert _core.crop(image, matrices[i : i + 1], (16, 12), MEAN, STD, "rgb", out=part) is part
    for i, image in enumerate(images):
        alone = _core.crop(image, matrices[i : i + 1], (16, 12), MEAN, STD, "rgb")
        np.testing.assert_array_equal(batch[1 + i], alone[0])
    assert np.isnan(batch[[0, 3]]).all()


def test_no_persons():
    image = picture(5, 5)
    assert _core.crop(image, np.empty((0, 2, 3)), (8, 6), MEAN, STD, "rgb").shape == (0, 3, 8, 6)
    out = np.empty((0, 3, 8, 6), np.float32)
    assert _core.crop(image, np.empty((0, 2, 3)), (8, 6), MEAN, STD, "rgb", out=out) is out


def read_only(array):
    array.flags.writeable = False
    return array


def misaligned(shape):
    count = int(np.prod(shape))
    return np.zeros(4 * count + 1, np.uint8)[1:].view(np.float32).reshape(shape)


GOOD = {
    "image": picture(6, 5),
    "transforms": IDENTITY,
    "input_size": (8, 6),
    "mean": MEAN,
    "std": STD,
    "color": "rgb",
    "border": (0, 0, 0),
}
BAD = [
    ({"image": np.zeros((6, 5, 3), np.float32)}, TypeError, "image must be a uint8 array .* got float32 array"),
    ({"image": np.zeros((6, 5, 3), np.int8)}, TypeError, "got int8 array of shape"),
    ({"image": "picture"}, TypeError, "image must be a uint8 array .* got str"),
    ({"image": [[[0, 0, 0]]]}, TypeError, r"image\[0\] must be a uint8 array .* got list"),
    ({"image": [picture(2, 2), None]}, TypeError, r"image\[1\] must be a uint8 array .* got NoneType"),
    ({"image": [picture(2, 2)] * 2}, ValueError, "pictures must tell which of the 2 images"),
    ({"image": []}, ValueError, "pictures must tell which of the 0 images"),
    ({"pictures": [1]}, ValueError, r"pictures\[0\] = 1, but there are 1 images"),
    ({"pictures": [-1]}, ValueError, r"pictures\[0\] = -1, but there are 1 images"),
    ({"pictures": [0, 0]}, ValueError, r"pictures must have shape \(N,\), one index .* got \(2,\)"),
    ({"pictures": [0.0]}, TypeError, "pictures must be an array of integers, got list"),
    ({"image": None}, TypeError, "got NoneType"),
    ({"image": np.zeros((6, 5), np.uint8)}, ValueError, r"image must have shape \(H, W, 3\), got \(6, 5\)"),
    ({"image": np.zeros((6, 5, 4), np.uint8)}, ValueError, r"image must have shape \(H, W, 3\), got \(6, 5, 4\)"),
    ({"image": np.zeros((0, 5, 3), np.uint8)}, ValueError, "at least one pixel"),
    ({"image": np.zeros((6, 0, 3), np.uint8)}, ValueError, "at least one pixel"),
    ({"transforms": IDENTITY[0]}, ValueError, r"transforms must have shape \(N, 2, 3\), got \(2, 3\)"),
    ({"transforms": np.zeros((1, 3, 3))}, ValueError, r"transforms must have shape \(N, 2, 3\), got \(1, 3, 3\)"),
    ({"transforms": np.concatenate([IDENTITY, IDENTITY * np.nan])}, ValueError, r"transforms\[1\] holds nan"),
    ({"transforms": np.full((1, 2, 3), np.inf)}, ValueError, r"transforms\[0\] holds inf"),
    ({"transforms": "identity"}, TypeError, "transforms must be an array of integers or floats, got str"),
    ({"input_size": (0, 6)}, ValueError, "input_size must be"),
    ({"input_size": 8}, TypeError, "input_size must be a pair of integers"),
    ({"mean": (0, 0)}, ValueError, r"mean must have shape \(3,\), got \(2,\)"),
    ({"mean": (0, np.nan, 0)}, ValueError, r"mean\[1\] holds nan"),
    ({"std": (1, 1, 0)}, ValueError, "std must be .* got 0 for channel 2"),
    ({"std": (1, -1, 1)}, ValueError, "std must be .* got -1 for channel 1"),
    ({"std": (1e-300, 1, 1)}, ValueError, "std must be .* for channel 0"),
    ({"std": 1.0}, ValueError, r"std must have shape \(3,\), got \(\)"),
    ({"color": "RGB"}, ValueError, "color must be one of 'rgb', 'bgr', got 'RGB'"),
    ({"border": (0, 0, np.inf)}, ValueError, r"border\[2\] holds inf"),
    ({"dtype": "float64"}, ValueError, "dtype must be one of 'float32', 'float16', 'uint8', got 'float64'"),
    ({"layout": "chwn"}, ValueError, "layout must be one of 'nchw', 'nhwc', got 'chwn'"),
    ({"threads": 0}, ValueError, "threads must be from 1 to 256, got 0"),
    ({"out": np.zeros((1, 3, 8, 6), np.float32), "flipped": True}, ValueError, r"shape \(1, 2, 3, 8, 6\)"),
    ({"out": np.zeros((1, 3, 8, 6), np.float32), "dtype": "uint8"}, TypeError, "be a uint8 array, got float32"),
    ({"border": 0}, ValueError, r"border must have shape \(3,\)"),
    ({"border": (0, 0, 256)}, ValueError, "border must be from 0 to 255, got 256"),
    ({"border": (-1, 0, 0)}, ValueError, "border must be from 0 to 255, got -1"),
    ({"out": np.zeros((1, 3, 8, 6))}, TypeError, "out must be a float32 array, got float64 array"),
    ({"out": [0.0]}, TypeError, "out must be a float32 array, got list"),
    ({"out": np.zeros((2, 3, 8, 6), np.float32)}, ValueError, r"out must have shape \(1, 3, 8, 6\), got"),
    ({"out": np.zeros((3, 8, 6), np.float32)}, ValueError, r"out must have shape \(1, 3, 8, 6\), got"),
    ({"out": np.zeros((1, 3, 8, 12), np.float32)[..., ::2]}, ValueError, "out must be C-contiguous"),
    ({"out": read_only(np.zeros((1, 3, 8, 6), np.float32))}, ValueError, "writeable"),
    ({"out": misaligned((1, 3, 8, 6))}, ValueError, "aligned"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        _core.crop(**(GOOD | change))


def test_threads_share_pictures():
    image = picture(80, 90)
    matrices = np.stack([about(image, (64, 48), 1.1, angle) for angle in np.linspace(0, 3, 8)])
    expected = _core.crop(image, matrices, (64, 48), MEAN, STD, "rgb")
    batch = np.empty_like(expected)

    def crop_one(i):
        one = slice(i % 8, i % 8 + 1)
        if i < 8:
            _core.crop(image, matrices[one], (64, 48), MEAN, STD, "rgb", out=batch[one])
        return _core.crop(image, matrices[one], (64, 48), MEAN, STD, "rgb")[0]

    with ThreadPoolExecutor(8) as pool:
        for i, result in enumerate(pool.map(crop_one, range(64))):
            np.testing.assert_array_equal(result, expected[i % 8])
    np.testing.assert_array_equal(batch, expected)


def test_releases_the_interpreter_lock():
    # With such a switch interval a thread gives the lock up only of its own accord: the other runs only if crop does.
    image, out, ran = picture(64, 64), np.empty((8, 3, 64, 64), np.float32), []
    arguments = (image, np.repeat(IDENTITY, 8, axis=0), (64, 64), MEAN, STD, "rgb", np.zeros(3))
    gate = threading.Lock()
    gate.acquire()
    other = threading.Thread(target=lambda: (gate.acquire(), ran.append(True)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        other.start()
        gate.release()
        for _ in range(2000):
            _core.crop(*arguments, out=out)
            if ran:
                break
        seen = bool(ran)
    finally:
        sys.setswitchinterval(interval)
        other.join()
    assert seen


def test_signatures_are_readable():
    assert [*inspect.signature(_core.crop).parameters][:3] == ["image", "transforms", "input_size"]
    assert inspect.getdoc(_core.crop)
