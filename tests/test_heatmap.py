from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose import _core

REFINEMENTS = ("none", "quarter", "dark", "udp")
MAPPINGS = ("plain", "half_pixel", "udp")
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def identities(batch):
    return np.tile(IDENTITY, (batch, 1, 1))


def gaussians(centers, height, width, sigma=2.0, noise=0.0, seed=0):
    """(B, K, height, width) Gaussians about centers (B, K, 2) in cells."""
    rows, columns = np.mgrid[:height, :width]
    x, y = np.moveaxis(np.asarray(centers)[..., None, None], 2, 0)
    maps = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return (0.8 * maps + noise * np.random.default_rng(seed).normal(size=maps.shape)).astype(np.float32)


def random_maps(batch, keypoints, height, width, seed=0, noise=0.01):
    """Gaussians anywhere, the border and beyond included, in noise that also reaches below zero."""
    centers = np.random.default_rng(seed).uniform(-1, [width, height], (batch, keypoints, 2))
    return gaussians(centers, height, width, noise=noise, seed=seed + 1)


# References in plain numpy and OpenCV: offsets in cells from cell (x, y) of one map.


def quarter_offset(heat, x, y, kernel):
    if not (1 < x < heat.shape[1] - 1 and 1 < y < heat.shape[0] - 1):
        return 0.0, 0.0
    return np.sign(heat[y, x + 1] - heat[y, x - 1]) / 4, np.sign(heat[y + 1, x] - heat[y - 1, x]) / 4


def newton(gradient, hessian):
    return -np.linalg.solve(hessian, gradient) if np.linalg.det(hessian) != 0 else np.zeros(2)


def dark_offset(heat, x, y, kernel):
    if not (1 < x < heat.shape[1] - 2 and 1 < y < heat.shape[0] - 2):
        return 0.0, 0.0
    padded = np.pad(heat.astype(np.float64), kernel // 2)
    blurred = cv2.GaussianBlur(padded, (kernel, kernel), 0)[
        kernel // 2 : kernel // 2 + heat.shape[0], kernel // 2 : kernel // 2 + heat.shape[1]
    ]
    if blurred.max() <= 0:
        return 0.0, 0.0
    log = np.log(np.maximum(blurred * (heat.max() / blurred.max()), 1e-10))
    dx, dy = (log[y, x + 1] - log[y, x - 1]) / 2, (log[y + 1, x] - log[y - 1, x]) / 2
    dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    dxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    return newton(np.array([dx, dy]), np.array([[dxx, dxy], [dxy, dyy]]))


def udp_offset(heat, x, y, kernel):
    blurred = cv2.GaussianBlur(heat.astype(np.float64), (kernel, kernel), 0)
    log = np.pad(np.log(np.clip(blurred, 0.001, 50)), 1, mode="edge")[y : y + 3, x : x + 3]
    (_, north, _), (west, center, east), (_, south, south_east) = log
    dxy = (south_east - east - south + 2 * center - west - north + log[0, 0]) / 2
    hessian = np.array([[east - 2 * center + west, dxy], [dxy, south - 2 * center + north]])
    gradient = np.array([east - west, south - north]) / 2
    return newton(gradient, hessian + np.finfo(np.float32).eps * np.eye(2))


OFFSETS = {"none": lambda *_: (0.0, 0.0), "quarter": quarter_offset, "dark": dark_offset, "udp": udp_offset}


def cells_to_input(cells, mapping, stride, size):
    if mapping == "plain":
        return stride * cells
    if mapping == "half_pixel":
        return stride * (cells + 0.5) - 0.5
    return cells * (stride * size - 1) / (size - 1)


def reference(maps, transforms, stride, mapping="plain", refine="dark", kernel=11):
    batch, keypoints, height, width = maps.shape
    flat = maps.reshape(batch, keypoints, height * width)
    cells = np.stack([flat.argmax(-1) % width, flat.argmax(-1) // width], axis=-1).astype(np.float64)
    for b, k in np.ndindex(batch, keypoints):
        x, y = cells[b, k].astype(int)
        offset = OFFSETS[refine](maps[b, k], x, y, kernel) if maps[b, k].max() > 0 else (0.0, 0.0)
        moved = cells[b, k] + offset
        if (moved >= -1).all() and (moved <= (width, height)).all():
            cells[b, k] = moved
    inputs = cells_to_input(cells, mapping, stride, np.array([width, height]))
    return np.einsum("bij,bkj->bki", transforms[..., :2], inputs) + transforms[:, None, :, 2], flat.max(-1)


def assert_matches(actual, expected, atol=1e-3):
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-5, atol=atol)
    np.testing.assert_array_equal(actual[1], expected[1])


@pytest.mark.parametrize("refine", REFINEMENTS)
@pytest.mark.parametrize("shape", [(1, 17, 64, 48), (3, 5, 20, 33), (0, 4, 64, 48)])
def test_matches_numpy_and_opencv(shape, refine, simd):
    maps = random_maps(*shape)
    transforms = np.random.default_rng(2).normal(0, 5, (shape[0], 2, 3))
    for mapping, stride in (("plain", 4), ("half_pixel", 2.5), ("udp", 4)):
        xy, scores = _core.decode_heatmaps(maps, transforms, stride, mapping, refine)
        assert (xy.shape, scores.shape) == ((*shape[:2], 2), shape[:2])
        assert xy.dtype == scores.dtype == np.float32
        assert_matches((xy, scores), reference(maps, transforms, stride, mapping, refine))


@pytest.mark.parametrize("refine", ["dark", "udp"])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9, 11, 13, 17, 31, 255])
def test_any_kernel_blurs_as_opencv_does(kernel, refine):
    maps = random_maps(2, 9, 40, 32, noise=0.0)
    xy = _core.decode_heatmaps(maps, identities(2), 1.0, "plain", refine, kernel)[0]
    np.testing.assert_allclose(xy, reference(maps, identities(2), 1.0, "plain", refine, kernel)[0], atol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1e-9, 1e-12, 1.0, 100.0])
def test_rescaling_counts_where_blurred_cells_reach_the_floor(scale):
    # a map of noise: near most maxima some blurred cells are negative
    maps = np.random.default_rng(4).normal(0.02, 0.2, (2, 40, 24, 24)).astype(np.float32) * np.float32(scale)
    actual = _core.decode_heatmaps(maps, identities(2), 1.0)
    assert_matches(actual, reference(maps, identities(2), 1.0), atol=1e-2)


@pytest.mark.parametrize(("refine", "worst"), [("none", 0.5), ("quarter", 0.26), ("dark", 0.003), ("udp", 0.003)])
@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_known_centers(refine, worst, sigma):
    centers = np.random.default_rng(5).uniform([14, 14], [34, 50], (4, 17, 2))
    maps = gaussians(centers, 64, 48, sigma)
    for mapping in MAPPINGS:
        xy, scores = _core.decode_heatmaps(maps, identities(4), 4.0, mapping, refine)
        expected = cells_to_input(centers, mapping, 4.0, np.array([48, 64]))
        assert np.abs(xy - expected).max() <= 4.1 * worst
        np.testing.assert_array_equal(scores, maps.max((2, 3)))


@pytest.mark.parametrize("refine", ["quarter", "dark"])
def test_no_refinement_at_the_border(refine):
    height, width = 12, 10
    near = {"quarter": (2, 1), "dark": (2, 2)}[refine]  # cells that are left out at the low and the high end
    for y, x in np.ndindex(height, width):
        maps = gaussians([[[x + 0.3, y + 0.3]]], height, width, sigma=1.0)
        xy = _core.decode_heatmaps(maps, identities(1), 1.0, "plain", refine, 3)[0][0, 0]
        inside = near[0] <= x < width - near[1] and near[0] <= y < height - near[1]
        assert (xy != (x, y)).all() == inside


def test_udp_refines_at_the_border():
    maps = gaussians([[[0.3, 7.2]]], 16, 12)
    xy = _core.decode_heatmaps(maps, identities(1), 1.0, "plain", "udp", 3)[0]
    np.testing.assert_allclose(xy, reference(maps, identities(1), 1.0, "plain", "udp", 3)[0], atol=1e-4)
    assert xy[0, 0, 1] == pytest.approx(7.2, abs=0.01)


def test_full_resolution_equals_argmax_with_ties(simd):
    generator = np.random.default_rng(6)
    for shape, levels in (((17, 256, 192), 2**24), ((17, 256, 192), 40), ((5, 61, 17), 2), ((3, 31, 1), 1)):
        maps = generator.integers(-levels, levels, shape).astype(np.float32)
        xy, scores = _core.decode_heatmaps(maps[None], identities(1), 1.0, "plain", "none")
        flat = maps.reshape(shape[0], -1)
        np.testing.assert_array_equal(xy[0, :, 1] * shape[2] + xy[0, :, 0], flat.argmax(1))
        np.testing.assert_array_equal(scores[0], flat.max(1))


def test_first_of_equal_maxima_in_any_two_cells(simd):
    height, width = 40, 35
    for first, second in np.random.default_rng(7).integers(0, height * width, (300, 2)):
        maps = np.zeros((1, 1, height, width), np.float32)
        maps.flat[[first, second]] = 1
        xy = _core.decode_heatmaps(maps, identities(1), 1.0, "plain", "none")[0][0, 0]
        assert xy[1] * width + xy[0] == min(first, second)


@pytest.mark.parametrize("refine", REFINEMENTS)
@pytest.mark.parametrize(
    ("values", "cell", "score"),
    [
        ({(3, 2): 1.0, (0, 0): np.nan}, (3, 2), np.nan),
        ({(3, 2): 1.0, (6, 6): np.nan}, (3, 2), np.nan),
        ({(3, 2): -np.inf, (3, 3): np.nan}, (0, 0), np.nan),
        ({(3, 2): np.inf, (4, 4): np.inf}, (3, 2), np.inf),
        ({}, (0, 0), 0.0),
    ],
)
def test_nan_and_infinity(values, cell, score, refine, simd):
    maps = np.zeros((1, 1, 7, 7), np.float32)
    for (x, y), value in values.items():
        maps[0, 0, y, x] = value
    xy, scores = _core.decode_heatmaps(maps, identities(1), 1.0, "plain", refine)
    np.testing.assert_array_equal(xy, [[cell]])
    np.testing.assert_array_equal(scores, [[score]])


@pytest.mark.parametrize(("value", "score"), [(np.nan, np.nan), (-np.inf, -np.inf), (np.inf, np.inf), (-1.0, -1.0)])
def test_maps_of_one_value(value, score):
    for refine in REFINEMENTS:
        xy, scores = _core.decode_heatmaps(
            np.full((2, 3, 9, 5), value, np.float32), identities(2), 1.0, "plain", refine
        )
        np.testing.assert_array_equal(scores, np.full((2, 3), score))
        np.testing.assert_array_equal(xy, np.zeros((2, 3, 2)))


any_float = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(
    data=st.data(),
    shape=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    mapping=st.sampled_from(MAPPINGS),
    refine=st.sampled_from(REFINEMENTS),
    kernel=st.sampled_from([1, 3, 11]),
    elements=st.sampled_from([any_float, st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, np.inf])]),
)
def test_hostile_maps(data, shape, mapping, refine, kernel, elements):
    maps = data.draw(hnp.arrays(np.float32, shape, elements=elements))
    height, width = shape[2:]
    xy, scores = _core.decode_heatmaps(maps, identities(shape[0]), 1.0, mapping, refine, kernel)
    assert ((xy >= -1) & (xy <= (width, height))).all()
    lowest = np.where(np.isnan(maps), -np.inf, maps).reshape(*shape[:2], height * width)
    holds_nan = np.isnan(maps).any((2, 3))
    np.testing.assert_array_equal(scores, np.where(holds_nan, np.nan, lowest.max(-1)))
    if refine == "none":
        peaks = (xy[..., 1] * width + xy[..., 0]).round().astype(int)  # the mapping of stride 1 rounds
        np.testing.assert_array_equal(np.take_along_axis(lowest, peaks[..., None], -1)[..., 0], lowest.max(-1))
    stretched = np.repeat(np.repeat(maps, 2, axis=0), 2, axis=3)[::2, :, :, ::2]
    for actual, expected in zip(
        _core.decode_heatmaps(stretched, identities(shape[0]), 1.0, mapping, refine, kernel), (xy, scores), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def mirrored_back(maps, flip_index, shift):
    back = maps[:, flip_index, :, ::-1].copy()
    if shift:
        back[..., 1:] = back[..., :-1].copy()
    return back


@given(
    shape=st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 12), st.integers(1, 70)),
    seed=st.integers(0, 1000),
    shift=st.booleans(),
    refine=st.sampled_from(REFINEMENTS),
    level=st.sampled_from(_core.simd_levels()),
)
def test_flip_equals_merging_first(shape, seed, shift, refine, level):
    generator = np.random.default_rng(seed)
    maps, mirrored = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    flip_index = generator.permutation(shape[1])
    arguments = (identities(shape[0]), 4.0, "plain", refine)
    best = _core.simd_level()
    _core.use_simd(level)
    try:
        expected = _core.decode_heatmaps(
            (maps + mirrored_back(mirrored, flip_index, shift)) * np.float32(0.5), *arguments
        )
        actual = _core.decode_heatmaps(maps, *arguments, flipped=mirrored, flip_index=flip_index, shift_heatmap=shift)
    finally:
        _core.use_simd(best)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def test_flip_of_nan_and_infinity():
    maps, mirrored = np.zeros((2, 1, 1, 6, 6), np.float32)
    maps[0, 0, 1, 4], mirrored[0, 0, 1, 1] = np.inf, -np.inf  # the same cell: the mean is NaN
    maps[0, 0, 3, 3] = 1
    xy, scores = _core.decode_heatmaps(maps, identities(1), 1.0, flipped=mirrored, flip_index=[0])
    np.testing.assert_array_equal(xy, [[[3, 3]]])
    assert np.isnan(scores).all()


def test_any_layout():
    both = random_maps(12, 5, 16, 12)
    maps, mirrored = both[0::2].copy(), both[1::2].copy()
    transforms = np.random.default_rng(2).normal(0, 5, (6, 2, 3))
    flip = {"flip_index": [1, 0, 2, 4, 3], "shift_heatmap": True}
    expected = _core.decode_heatmaps(maps, transforms, 4.0, flipped=mirrored, **flip)
    shifted = np.frombuffer(b"\0" + maps.tobytes(), np.uint8)[1:].view(np.float32).reshape(maps.shape)
    columns_first = np.asfortranarray(mirrored)
    for one, other in ((both[0::2], both[1::2]), (shifted, columns_first), (both[0::2], mirrored)):
        actual = _core.decode_heatmaps(one, transforms, 4.0, flipped=other, **flip)
        np.testing.assert_array_equal(actual[0], expected[0])
        np.testing.assert_array_equal(actual[1], expected[1])
    backwards = _core.decode_heatmaps(maps[::-1], transforms[::-1], 4.0, flipped=mirrored[::-1], **flip)
    np.testing.assert_array_equal(backwards[0], expected[0][::-1])
    repeated = _core.decode_heatmaps(np.broadcast_to(maps[:1], maps.shape), identities(6), 1.0)
    np.testing.assert_array_equal(repeated[1], np.broadcast_to(maps[:1].max((2, 3)), (6, 5)))


def test_interleaved_persons_are_not_copied():
    both = np.zeros((16, 17, 64, 48), np.float32)
    transforms = identities(8)
    tracemalloc.start()
    try:
        _core.decode_heatmaps(both[0::2], transforms, 4.0, flipped=both[1::2], flip_index=np.arange(17))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < both.nbytes / 100


GOOD = {"heatmaps": random_maps(2, 3, 8, 6), "transforms": identities(2), "stride": 4.0}
FLIP = {"flipped": random_maps(2, 3, 8, 6), "flip_index": [0, 2, 1]}
BAD = [
    ({"heatmaps": GOOD["heatmaps"].astype(np.float64)}, TypeError, "heatmaps must be a float32 array .* got float64"),
    ({"heatmaps": GOOD["heatmaps"].astype(np.float16)}, TypeError, r"got float16 .* with \.astype"),
    ({"heatmaps": GOOD["heatmaps"].astype(">f4")}, TypeError, "got >f4"),
    ({"heatmaps": [[[[1.0]]]]}, TypeError, "got list"),
    ({"heatmaps": GOOD["heatmaps"][0]}, ValueError, r"shape \(B, K, height, width\), got \(3, 8, 6\)"),
    (
        {"heatmaps": GOOD["heatmaps"][:, :0]},
        ValueError,
        r"at least one keypoint and one cell, got shape \(2, 0, 8, 6\)",
    ),
    ({"heatmaps": GOOD["heatmaps"][..., :0]}, ValueError, "at least one keypoint and one cell"),
    ({"heatmaps": GOOD["heatmaps"][:, :, :0]}, ValueError, "at least one keypoint and one cell"),
    ({"transforms": identities(1)}, ValueError, "one matrix for each of the 2 pictures of heatmaps, got 1"),
    ({"transforms": IDENTITY}, ValueError, r"transforms must have shape \(N, 2, 3\)"),
    ({"transforms": np.full((2, 2, 3), np.inf)}, ValueError, r"transforms\[0\] holds"),
    ({"stride": 0.0}, ValueError, "stride must be positive and finite, got 0"),
    ({"stride": -4}, ValueError, "stride must be positive and finite, got -4"),
    ({"stride": np.nan}, ValueError, "stride must be positive and finite, got nan"),
    ({"mapping": "affine"}, ValueError, "mapping must be one of 'plain', 'half_pixel', 'udp', got 'affine'"),
    ({"refine": "taylor"}, ValueError, "refine must be one of 'none', 'quarter', 'dark', 'udp', got 'taylor'"),
    ({"kernel": 10}, ValueError, "kernel must be odd, from 1 to 255, got 10"),
    ({"kernel": -1}, ValueError, "kernel must be odd, from 1 to 255, got -1"),
    ({"kernel": 257}, ValueError, "kernel must be odd, from 1 to 255, got 257"),
    ({"kernel": 11.5}, TypeError, "incompatible function arguments"),
    ({"flipped": FLIP["flipped"]}, ValueError, "flipped and flip_index must be given together"),
    ({"flip_index": [0, 1, 2]}, ValueError, "flipped and flip_index must be given together"),
    (
        FLIP | {"flipped": FLIP["flipped"][..., :5]},
        ValueError,
        r"flipped must have the shape of heatmaps, \(2, 3, 8, 6\)",
    ),
    (FLIP | {"flipped": FLIP["flipped"][:1]}, ValueError, r"\(2, 3, 8, 6\), got \(1, 3, 8, 6\)"),
    (FLIP | {"flipped": FLIP["flipped"].astype(int)}, TypeError, "flipped must be a float32 array .* got int64"),
    (FLIP | {"flip_index": [0, 1]}, ValueError, r"flip_index must have shape \(K,\), .* got \(2,\)"),
    (FLIP | {"flip_index": [0, 1, 3]}, ValueError, r"flip_index\[2\] must be from 0 to 2, got 3"),
    (FLIP | {"flip_index": [0, -1, 2]}, ValueError, r"flip_index\[1\] must be from 0 to 2, got -1"),
    (FLIP | {"flip_index": [0.0, 1.0, 2.0]}, TypeError, "flip_index must be an array of integers, got list"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        _core.decode_heatmaps(**(GOOD | change))


def test_threads_share_maps():
    maps, mirrored = random_maps(8, 17, 64, 48), random_maps(8, 17, 64, 48, seed=9)
    transforms = np.random.default_rng(2).normal(0, 5, (8, 2, 3))

    def decode(_):
        return _core.decode_heatmaps(maps, transforms, 4.0, flipped=mirrored, flip_index=np.arange(17))

    expected = decode(0)
    with ThreadPoolExecutor(8) as pool:
        for xy, scores in pool.map(decode, range(32)):
            np.testing.assert_array_equal(xy, expected[0])
            np.testing.assert_array_equal(scores, expected[1])
