from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose import _core

RULES = {"min": np.minimum, "mean": lambda a, b: (a + b) / 2, "max": np.maximum, "product": np.multiply}
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

pytestmark = pytest.mark.usefixtures("simd")


def logits(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def axis_score(values, temperature):
    values = values.astype(np.float64)
    if temperature is None:
        return values.max(-1)
    exponentials = np.exp((values - values.max(-1, keepdims=True)) / temperature)
    return (exponentials / exponentials.sum(-1, keepdims=True)).max(-1)


def reference(x, y, transforms, split_ratio, rule, temperature):
    inputs = np.stack([x.argmax(-1), y.argmax(-1)], axis=-1) / split_ratio
    xy = np.einsum("bij,bkj->bki", transforms[..., :2], inputs) + transforms[:, None, :, 2]
    return xy, RULES[rule](axis_score(x, temperature), axis_score(y, temperature))


@pytest.mark.parametrize("temperature", [None, 1.0, 0.1, 7.5])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_matches_numpy(batch, rule, temperature):
    x, y = logits(batch, 17, 96), logits(batch, 17, 128, seed=1)
    transforms = np.random.default_rng(2).normal(0, 5, (batch, 2, 3))
    xy, scores = _core.decode_simcc(x, y, transforms, 2.0, rule, temperature)
    assert (xy.shape, scores.shape) == ((batch, 17, 2), (batch, 17))
    assert xy.dtype == scores.dtype == np.float32
    expected_xy, expected_scores = reference(x, y, transforms, 2.0, rule, temperature)
    np.testing.assert_allclose(xy, expected_xy, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 3, 15, 16, 17, 95, 257])
def test_softmax_of_every_length(bins):
    x, y = logits(2, 3, bins) * 20, logits(2, 3, bins, seed=1)
    for temperature in (1e-3, 0.02, 1.0, 30.0, 1e6):
        _, scores = _core.decode_simcc(x, y, np.stack([IDENTITY] * 2), 2.0, "min", temperature)
        expected = np.minimum(axis_score(x, temperature), axis_score(y, temperature))
        np.testing.assert_allclose(scores, expected, rtol=2e-5)


def gaussians(centres, bins):
    return np.exp(-((np.arange(bins) - np.asarray(centres)[..., None]) ** 2) / 8).astype(np.float32)


def test_refinement_finds_the_centre_between_bins():
    centres = np.random.default_rng(5).uniform(3, 28, (2, 9, 2))
    logits_of = lambda axis: np.log(gaussians(centres[..., axis], 32))  # noqa: E731
    xy, scores = _core.decode_simcc(logits_of(0), logits_of(1), np.stack([IDENTITY] * 2), 1.0, refine=True)
    np.testing.assert_allclose(xy, centres, atol=1e-4)
    coarse, coarse_scores = _core.decode_simcc(logits_of(0), logits_of(1), np.stack([IDENTITY] * 2), 1.0)
    np.testing.assert_array_equal(coarse, np.round(centres))
    np.testing.assert_array_equal(scores, coarse_scores)


@pytest.mark.parametrize("row", [[5, 4, 3], [3, 4, 5], [7], [2, 2, 2], [-np.inf, 3, 2], [1, np.inf, 1], [np.nan, 3, 1]])
def test_no_refinement_without_two_finite_neighbours_and_a_maximum(row):
    x, y = np.float32([[row]]), np.zeros((1, 1, 1), np.float32)
    for refine in (False, True):
        xy, _ = _core.decode_simcc(x, y, IDENTITY[None], 1.0, refine=refine)
        assert xy[0, 0, 0] == np.argmax(np.where(np.isnan(row), -np.inf, row))


def merged(x, y, flipped, flip_index, split_ratio):
    """The mean that the flip test decodes."""
    last = x.shape[2] - 1
    where = np.clip(last - np.arange(last + 1) - max(round(split_ratio) - 1, 0), 0, last)
    half = np.float32(0.5)
    return (x + flipped[0][:, flip_index][:, :, where]) * half, (y + flipped[1][:, flip_index]) * half


@given(
    data=st.data(),
    batch=st.integers(0, 3),
    keypoints=st.integers(1, 5),
    bins=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    split_ratio=st.sampled_from([0.3, 1.0, 2.0, 2.5, 3.0, 100.0]),
    refine=st.booleans(),
    interleaved=st.booleans(),
)
def test_flip_test_decodes_the_mean(data, batch, keypoints, bins, split_ratio, refine, interleaved):
    flip_index = np.array(data.draw(st.permutations(range(keypoints))))
    x, y, fx, fy = (logits(batch, keypoints, bins[i % 2], seed=i) for i in range(4))
    transforms = np.random.default_rng(2).normal(0, 5, (batch, 2, 3))
    expected = _core.decode_simcc(
        *merged(x, y, (fx, fy), flip_index, split_ratio), transforms, split_ratio, refine=refine
    )
    if interleaved:
        x, fx = np.moveaxis(np.stack([x, fx], 1), 1, 0)
        y, fy = np.moveaxis(np.stack([y, fy], 1), 1, 0)
    actual = _core.decode_simcc(x, y, transforms, split_ratio, refine=refine, flipped=(fx, fy), flip_index=flip_index)
    for got, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_flip_test_brings_mirrored_peaks_together():
    ratio, width, u = 2, 10, 3  # input pixel u of the picture is width - 1 - u of its mirror image
    x, mirrored = np.zeros((2, 1, 2, ratio * width), np.float32)
    x[0, 1, ratio * u], mirrored[0, 0, ratio * (width - 1 - u)] = 1, 3
    y = np.zeros((1, 2, 4), np.float32)
    xy, _ = _core.decode_simcc(x, y, IDENTITY[None], ratio, flipped=(mirrored, y), flip_index=[1, 0])
    assert xy[0, 1, 0] == u
    _, scores = _core.decode_simcc(x, y + 9, IDENTITY[None], ratio, flipped=(mirrored, y + 9), flip_index=[1, 0])
    assert scores[0, 1] == 2


def test_defaults_are_the_smaller_raw_maximum():
    x, y = logits(2, 5, 8), logits(2, 5, 9, seed=1)
    _, scores = _core.decode_simcc(x, y, np.stack([IDENTITY] * 2), 2.0)
    np.testing.assert_array_equal(scores, np.minimum(x.max(-1), y.max(-1)))


def test_first_of_equal_maxima():
    xy, scores = _core.decode_simcc(
        np.float32([[[0, 4, 4, 1]]]), np.zeros((1, 1, 5), np.float32), IDENTITY[None], 1.0, "product", 1.0
    )
    np.testing.assert_array_equal(xy, [[[1, 0]]])
    np.testing.assert_allclose(scores, 0.2 / (2 + np.exp(-4) + np.exp(-3)), rtol=1e-6)


def test_round_trip_through_a_crop():
    transforms = _core.crop_transforms([[30, 40, 90, 200]], (256, 192), 1.25, "udp")
    bins = np.array([[7, 500], [383, 0]])
    x, y = np.zeros((1, 2, 384), np.float32), np.zeros((1, 2, 512), np.float32)
    x[0, [0, 1], bins[:, 0]] = y[0, [0, 1], bins[:, 1]] = 1
    xy, _ = _core.decode_simcc(x, y, transforms, 2.0)
    inputs = _core.simcc_bins_to_input(bins, 2.0)
    expected = np.column_stack([inputs, np.ones(2)]) @ transforms[0].T
    np.testing.assert_allclose(xy[0], expected, rtol=1e-6)


any_float = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(
    data=st.data(),
    batch=st.integers(0, 3),
    keypoints=st.integers(1, 4),
    bins=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    rule=st.sampled_from([*RULES]),
    temperature=st.none() | st.floats(1e-300, 1e300),
)
def test_hostile_logits(data, batch, keypoints, bins, rule, temperature):
    x, y = (data.draw(hnp.arrays(np.float32, (batch, keypoints, n), elements=any_float)) for n in bins)
    xy, scores = _core.decode_simcc(x, y, np.tile(IDENTITY, (batch, 1, 1)), 1.0, rule, temperature)
    for axis, values in enumerate((x, y)):
        lowest = np.where(np.isnan(values), -np.inf, values)
        peaks = np.take_along_axis(lowest, xy[..., axis, None].astype(int), -1)[..., 0]
        np.testing.assert_array_equal(peaks, lowest.max(-1))
    holds_nan = np.isnan(x).any(-1) | np.isnan(y).any(-1)
    assert np.isnan(scores[holds_nan]).all()
    if temperature is not None:
        assert ((scores[~holds_nan] > 0) & (scores[~holds_nan] <= 1)).all()


@pytest.mark.parametrize(
    ("row", "bin_", "raw", "probability"),
    [
        ([np.nan, 1, 3, 2], 2, np.nan, np.nan),
        ([5, np.nan, 7, np.nan], 2, np.nan, np.nan),
        ([np.nan, -np.inf], 1, np.nan, np.nan),
        ([np.nan, np.nan], 0, np.nan, np.nan),
        ([-np.inf, -np.inf], 0, -np.inf, 0.5),
        ([0, np.inf, np.inf, -np.inf], 1, np.inf, 0.5),
        ([-np.inf, 2], 1, 2, 1.0),
    ],
)
def test_nan_and_infinity(row, bin_, raw, probability):
    x, y = np.float32([[row]]), np.float32([[[np.inf]]])
    for temperature, score in ((None, raw), (1.0, probability)):
        xy, scores = _core.decode_simcc(x, y, IDENTITY[None], 1.0, "min", temperature)
        np.testing.assert_array_equal(xy, [[[bin_, 0]]])
        np.testing.assert_array_equal(scores, [[score]])


def test_any_layout_of_the_logits():
    x, y = logits(6, 5, 20), logits(6, 5, 24, seed=1)
    transforms = np.random.default_rng(2).normal(0, 5, (6, 2, 3))
    expected = _core.decode_simcc(x, y, transforms, 2.0)
    wide = np.repeat(x, 2, axis=-1)[..., ::2]
    shifted = np.frombuffer(b"\0" + y.tobytes(), np.uint8)[1:].view(np.float32).reshape(y.shape)
    for actual, wanted in zip(_core.decode_simcc(wide, shifted, transforms, 2.0), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    backwards = _core.decode_simcc(x[::-1], y[::-1], transforms[::-1], 2.0)
    for actual, wanted in zip(backwards, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted[::-1])


@given(st.floats(-1e6, 1e6), st.floats(0.01, 100))
def test_bins_and_input_are_inverse(value, split_ratio):
    bins = _core.simcc_input_to_bins(value, split_ratio)
    assert bins == value * split_ratio
    assert _core.simcc_bins_to_input(bins, split_ratio) == pytest.approx(value, rel=1e-12)


def test_bins_and_input_of_arrays():
    bins = np.arange(6, dtype=np.int32).reshape(2, 3)
    inputs = _core.simcc_bins_to_input(bins, 2.0)
    assert inputs.dtype == np.float64
    np.testing.assert_array_equal(inputs, bins / 2)
    np.testing.assert_array_equal(_core.simcc_input_to_bins(inputs, 2.0), bins)
    assert _core.simcc_bins_to_input(np.empty((0, 2)), 2.0).shape == (0, 2)


@pytest.mark.parametrize("convert", [_core.simcc_bins_to_input, _core.simcc_input_to_bins])
@pytest.mark.parametrize("split_ratio", [0.0, -1.0, np.nan, np.inf])
def test_bad_split_ratio(convert, split_ratio):
    with pytest.raises(ValueError, match="split_ratio must be positive and finite"):
        convert([1.0, 2.0], split_ratio)


GOOD = {
    "simcc_x": logits(2, 3, 8),
    "simcc_y": logits(2, 3, 6),
    "transforms": np.stack([IDENTITY] * 2),
    "split_ratio": 2.0,
}
FLIP = {"flipped": (logits(2, 3, 8), logits(2, 3, 6))}
BAD = [
    ({"simcc_x": logits(2, 3, 8).astype(np.float64)}, TypeError, "simcc_x must be a float32 array .* got float64"),
    ({"simcc_y": logits(2, 3, 6).astype(np.float16)}, TypeError, r"got float16 .* with \.astype"),
    ({"simcc_x": logits(2, 3, 8).astype(">f4")}, TypeError, "simcc_x must be a float32 array .* got >f4"),
    ({"simcc_x": [[[1.0]]]}, TypeError, "got list"),
    ({"simcc_x": logits(3, 8)}, ValueError, r"simcc_x must have shape \(B, K, bins\), got \(3, 8\)"),
    ({"simcc_x": logits(2, 3, 0)}, ValueError, "at least one keypoint and one bin"),
    ({"simcc_x": logits(2, 0, 8), "simcc_y": logits(2, 0, 6)}, ValueError, "at least one keypoint and one bin"),
    ({"simcc_x": logits(3, 3, 8)}, ValueError, r"agree .* got shapes \(3, 3, 8\) and \(2, 3, 6\)"),
    ({"simcc_y": logits(2, 4, 6)}, ValueError, r"agree .* got shapes \(2, 3, 8\) and \(2, 4, 6\)"),
    ({"transforms": IDENTITY[None]}, ValueError, "one matrix for each of the 2 .* got 1"),
    ({"transforms": IDENTITY}, ValueError, r"transforms must have shape \(N, 2, 3\)"),
    ({"transforms": np.full((2, 2, 3), np.nan)}, ValueError, r"transforms\[0\] holds nan"),
    ({"split_ratio": 0.0}, ValueError, "split_ratio must be positive and finite, got 0"),
    ({"split_ratio": np.nan}, ValueError, "split_ratio must be positive and finite, got nan"),
    ({"score_rule": "sum"}, ValueError, "score_rule must be one of 'min', 'mean', 'max', 'product', got 'sum'"),
    ({"temperature": 0.0}, ValueError, "temperature must be positive and finite, got 0"),
    ({"flipped": (logits(2, 3, 8), logits(2, 3, 6))}, ValueError, "flipped and flip_index must be given together"),
    ({"flip_index": [0, 1, 2]}, ValueError, "flipped and flip_index must be given together"),
    ({"flipped": logits(2, 3, 8)[0], "flip_index": [0, 1, 2]}, TypeError, "flipped must be a pair"),
    ({"flipped": 3, "flip_index": [0, 1, 2]}, TypeError, "flipped must be a pair .* got int"),
    ({"flipped": (logits(2, 3, 8), None), "flip_index": [0, 1, 2]}, TypeError, r"flipped\[1\] must be a float32 array"),
    ({"flipped": (logits(2, 3, 6), logits(2, 3, 6)), "flip_index": [0, 1, 2]}, ValueError, "the shape of simcc_x"),
    ({"flipped": (logits(2, 3, 8), logits(1, 3, 6)), "flip_index": [0, 1, 2]}, ValueError, "the shape of simcc_y"),
    (FLIP | {"flip_index": [0, 1]}, ValueError, r"flip_index must have shape \(K,\), .* got \(2,\)"),
    (FLIP | {"flip_index": [0, 1, 3]}, ValueError, r"flip_index\[2\] must be from 0 to 2, got 3"),
    (FLIP | {"flip_index": [0, -1, 2]}, ValueError, r"flip_index\[1\] must be from 0 to 2, got -1"),
    (FLIP | {"flip_index": [0.0, 1.0, 2.0]}, TypeError, "flip_index must be an array of integers, got list"),
    ({"temperature": np.inf}, ValueError, "temperature must be positive and finite, got inf"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        _core.decode_simcc(**(GOOD | change))


def test_threads_share_logits():
    x, y = logits(8, 17, 384), logits(8, 17, 512, seed=1)
    transforms = np.random.default_rng(2).normal(0, 5, (8, 2, 3))
    expected_xy, expected_scores = _core.decode_simcc(x, y, transforms, 2.0, "mean", 0.5)
    with ThreadPoolExecutor(8) as pool:
        for xy, scores in pool.map(lambda _: _core.decode_simcc(x, y, transforms, 2.0, "mean", 0.5), range(32)):
            np.testing.assert_array_equal(xy, expected_xy)
            np.testing.assert_array_equal(scores, expected_scores)
