from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose import _core

MEAN, STD = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
BORDER = (114.0, 50.0, 60.0)
PLAIN: Any = ((0, 0, 0), (1, 1, 1), "bgr")
RESIZES = ("letterbox", "letterbox_center", "stretch")


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def with_opencv(
    image: npt.NDArray[np.uint8], size: tuple[int, int], resize: str, color: str = "bgr"
) -> npt.NDArray[np.float32]:
    """What detectors are usually served with: resized, surrounded, normalised, transposed."""
    (height, width), inner = size, size
    if resize != "stretch":
        scale = min(height / image.shape[0], width / image.shape[1])
        inner = tuple(min(max(1, int(side * scale + 0.5)), most) for side, most in zip(image.shape, size, strict=False))
    left = (width - inner[1]) // 2 if resize == "letterbox_center" else 0
    top = (height - inner[0]) // 2 if resize == "letterbox_center" else 0
    picture = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_LINEAR)
    around = (top, height - inner[0] - top, left, width - inner[1] - left)
    picture = cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=BORDER)
    if color == "rgb":
        picture = picture[..., ::-1]
    return ((picture - np.array(MEAN)) / STD).transpose(2, 0, 1).astype(np.float32)[None]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("resize", RESIZES)
@given(picture=st.tuples(*[st.integers(1, 300)] * 2), size=st.tuples(*[st.integers(1, 64)] * 2))
def test_within_a_grey_level_of_opencv(
    picture: tuple[int, int], size: tuple[int, int], resize: Any, color: Any
) -> None:
    image = noise(*picture)
    ours, _ = _core.letterbox(image, size, MEAN, STD, color, BORDER, resize=resize)
    assert ours.dtype == np.float32
    assert ours.shape == (1, 3, *size)
    difference = np.abs(ours - with_opencv(image, size, resize, color)) * np.reshape(STD, (3, 1, 1))
    assert difference.max() < 1  # OpenCV rounds to grey levels


@pytest.mark.parametrize("resize", RESIZES)
def test_the_transform_leads_back_to_the_picture(resize: Any) -> None:
    rows, columns = np.mgrid[:200, :240]
    image = np.stack([columns, rows, np.full_like(rows, 255)], axis=2).astype(np.uint8)
    inputs, transform = _core.letterbox(image, (90, 130), *PLAIN, resize=resize)
    v, u = np.mgrid[:90, :130]
    x, y = np.einsum("ij,jvu->ivu", transform, np.stack([u, v, np.ones_like(u)]))
    inside = (x >= 0) & (x <= 239) & (y >= 0) & (y <= 199)
    np.testing.assert_array_equal(inputs[0, 2] == 255, (x > -0.5) & (x < 239.5) & (y > -0.5) & (y < 199.5))
    np.testing.assert_allclose(inputs[0, 0][inside], x[inside], atol=1e-3)
    np.testing.assert_allclose(inputs[0, 1][inside], y[inside], atol=1e-3)
    assert inside.mean() > (0.95 if resize == "stretch" else 0.75)


def test_a_picture_of_the_input_size_stays() -> None:
    image = noise(48, 32)
    for resize in RESIZES:
        inputs, transform = _core.letterbox(image, (48, 32), *PLAIN, resize=resize)  # type: ignore[arg-type]
        np.testing.assert_array_equal(inputs[0], image.transpose(2, 0, 1))
        np.testing.assert_array_equal(transform, [[1, 0, 0], [0, 1, 0]])


def test_every_element_and_layout() -> None:
    image = noise(50, 70)
    plain, _ = _core.letterbox(image, (32, 48), *PLAIN)
    for threads in (1, 3):
        nhwc, _ = _core.letterbox(image, (32, 48), *PLAIN, layout="nhwc", dtype="uint8", threads=threads)
        np.testing.assert_allclose(nhwc.transpose(0, 3, 1, 2), plain, atol=0.501)
    half, _ = _core.letterbox(image, (32, 48), *PLAIN, dtype="float16")
    np.testing.assert_array_equal(half, plain.astype(np.float16))
    out = np.full((1, 3, 32, 48), np.nan, np.float32)
    assert _core.letterbox(image, (32, 48), *PLAIN, out=out)[0] is out
    np.testing.assert_array_equal(out, plain)
    for view in (image[::-1].copy()[::-1], np.repeat(image, 2, axis=1)[:, ::2], np.asfortranarray(image)):
        np.testing.assert_array_equal(_core.letterbox(view, (32, 48), *PLAIN)[0], plain)


def test_threads_share_pictures() -> None:
    image = noise(480, 640)
    expected, _ = _core.letterbox(image, (320, 320), *PLAIN)
    with ThreadPoolExecutor(4) as pool:
        for inputs, _ in pool.map(lambda _: _core.letterbox(image, (320, 320), *PLAIN), range(16)):
            np.testing.assert_array_equal(inputs, expected)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": np.zeros((4, 4, 3))}, TypeError, "image must be a uint8 array"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, ValueError, "image must have at least one pixel"),
        ({"image": np.zeros((4, 4), np.uint8)}, ValueError, "image must have shape"),
        ({"input_size": (0, 4)}, ValueError, "input_size must be"),
        ({"mean": (1, 2)}, ValueError, "mean must have shape"),
        ({"std": (0, 1, 1)}, ValueError, "std must be positive"),
        ({"color": "grey"}, ValueError, "color must be one of"),
        ({"border": (0, 0, 256)}, ValueError, "border must be from 0 to 255"),
        (
            {"resize": "crop"},
            ValueError,
            "resize must be one of 'letterbox', .*'stretch', got 'crop'",
        ),
        ({"dtype": "int8"}, ValueError, "dtype must be one of"),
        ({"threads": 0}, ValueError, "threads must be"),
        ({"out": np.zeros((3, 8, 8), np.float32)}, ValueError, "out must have shape"),
        ({"out": np.zeros((1, 3, 8, 8))}, TypeError, "out must be a float32 array"),
    ],
)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    sound = {"image": noise(4, 4), "input_size": (8, 8), "mean": (0, 0, 0), "std": (1, 1, 1), "color": "rgb"}
    with pytest.raises(error, match=message):
        _core.letterbox(**{**sound, **change})


def test_out_apart_from_the_image() -> None:
    memory = np.zeros(3 * 8 * 8, np.uint8)
    with pytest.raises(ValueError, match="share memory"):
        _core.letterbox(
            memory.reshape(8, 8, 3), (8, 8), *PLAIN, dtype="uint8", layout="nhwc", out=memory.reshape(1, 8, 8, 3)
        )
