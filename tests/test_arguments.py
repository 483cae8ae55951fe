"""Arguments that no honest caller passes: whatever they hold, the native core must neither crash nor answer wrongly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from leanpose import _core

MATRIX = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
IMAGE = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
MAP = np.zeros((1, 4, 4), np.float32)
ONES, ZEROS = np.ones(3), np.zeros(3)


def crop(image=IMAGE, transforms=MATRIX[None], mean=ZEROS, **options):
    return _core.crop(image, transforms, (4, 4), mean, ONES, "rgb", **options)


def endless(value, *shape):
    """An array that takes no memory, but whose copy takes more than there is."""
    return np.broadcast_to(np.asarray(value), shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda: crop(transforms=endless(0.0, 2**50, 2, 3)),
        lambda: crop(transforms=endless(0, 2**50, 2, 3)),
        lambda: crop(image=endless(np.uint8(0), 2**21, 2**21, 3)),
        lambda: crop(mean=endless(0.0, 2**50)),
        lambda: crop(pictures=endless(0, 2**50)),
        lambda: _core.crop_transforms(endless(1.0, 2**50, 4), (4, 4), 1.0, "plain"),
        lambda: _core.decode_heatmaps(endless(np.float32(0), 1, 1, 2**21, 2**21), MATRIX[None], 4.0),
        lambda: _core.decode_heatmaps(MAP[None], MATRIX[None], 4.0, flipped=MAP[None], flip_index=endless(0, 2**50)),
        lambda: _core.decode_simcc(endless(np.float32(0), 1, 2**20, 2**22), MAP, MATRIX[None], 2.0),
        lambda: _core.group_keypoints(endless(np.float32(0), 1, 2**21, 2**21), MAP, MATRIX, [0]),
        lambda: _core.group_keypoints(MAP, endless(np.float32(0), 1, 1, 1, 2**42), MATRIX, [0]),
        lambda: _core.linear_assignment(endless(0.0, 2**21, 2**21)),
        lambda: _core.oks_matrix(endless(0.0, 2**40, 3, 2), np.zeros((1, 3, 3)), np.zeros((1, 4)), np.ones(1), ONES),
        lambda: _core.oks_nms(endless(0.0, 2**50, 3, 2), np.ones(1), np.ones(1), ONES, 0.5),
        lambda: _core.KeypointMatches(
            *((endless(0.0, 2**45, 3, 3), *[np.zeros(0)] * 6), (np.zeros(0),) * 4),
            *((1, 1), [1.0] * 3, [0.5], [(0.0, 1.0)], 20, 1),
        ),
    ],
)
def test_no_memory_for_a_copy(call):
    with pytest.raises(MemoryError):
        call()


@pytest.mark.parametrize(
    "values",
    [["a", "b", "c"], ["1", "2", "3"], np.array([1, 2, 3], object), np.ones(3, bool), np.ones(3, complex), None],
)
def test_what_holds_no_numbers(values):
    with pytest.raises(TypeError, match="mean must be an array of integers or floats, got"):
        crop(mean=values)
    with pytest.raises(TypeError, match="areas must be an array of integers or floats, got"):
        _core.oks_matrix(np.zeros((1, 3, 2)), np.zeros((0, 3, 3)), np.zeros((0, 4)), values, ONES)


def test_an_interrupt_is_no_wrong_argument():
    class Slow:
        def __array__(self, dtype=None, copy=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crop(transforms=Slow())


class Reshaping:
    """An argument that reshapes an earlier one while it is converted."""

    def __init__(self, value, victim, shape):
        self.value, self.victim, self.shape = value, victim, shape

    def __array__(self, dtype=None, copy=None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.victim.shape = self.shape
        return np.array(self.value)


def test_an_argument_that_reshapes_another():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    matrix = np.array([[[1.0, 0.0, 50.0], [0.0, 1.0, 5.0]]])
    expected = crop(image, matrix)
    np.testing.assert_array_equal(crop(image, Reshaping(matrix, image, (4096, 3, 1))), expected)

    maps = rng.random((4, 64, 64), dtype=np.float32)
    matrices = np.repeat(MATRIX[None], 4, axis=0)
    expected = _core.decode_simcc(maps, maps, matrices, 2.0)
    lying = maps.copy()
    found = _core.decode_simcc(lying, maps, Reshaping(matrices, lying, (4, 1, 4096)), 2.0)
    np.testing.assert_array_equal(found[0], expected[0])

    expected = _core.group_keypoints(maps, maps, MATRIX, range(4))
    for lying, arguments in [(maps.copy(), lambda a: (a, maps)), (maps.copy(), lambda a: (maps, a))]:
        found = _core.group_keypoints(*arguments(lying), Reshaping(MATRIX, lying, (1, 2**13, 2)), range(4))
        np.testing.assert_array_equal(found[0], expected[0])

    poses = rng.random((64, 3, 2))
    expected = _core.oks_nms(poses, np.ones(64), np.ones(64), ONES, 0.5)
    lying = poses.copy()
    found = _core.oks_nms(lying, Reshaping(np.ones(64), lying, (384, 1, 1)), np.ones(64), ONES, 0.5)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("start", [0, 100, 144])
@pytest.mark.parametrize("step", [1, -1])
def test_out_must_not_overlap_the_picture(start, step):
    memory = np.arange(400, dtype=np.uint8)
    image = memory[:192].reshape(8, 8, 3)[::step]
    out = memory[start : start + 48].reshape(1, 3, 4, 4)
    with pytest.raises(ValueError, match="out must not share memory with image"):
        crop([IMAGE, image], pictures=[0], dtype="uint8", out=out)
    beside = memory[192:240].reshape(1, 3, 4, 4)
    np.testing.assert_array_equal(crop(image, dtype="uint8", out=beside), crop(image.copy(), dtype="uint8"))


def test_one_row_may_have_any_stride():
    row = np.lib.stride_tricks.as_strided(IMAGE, (1, 8, 3), (-(2**63), 3, 1))
    np.testing.assert_array_equal(crop(row), crop(IMAGE[:1]))


def test_overlapping_rows_of_more_than_two_gigabytes():
    width = 2**31 // 3 + 1000
    row = np.zeros((1, width, 3), np.uint8)  # takes no memory where it is not written
    row[0, -600:] = np.random.default_rng(0).integers(0, 256, (600, 3), dtype=np.uint8)
    image = np.broadcast_to(row, (2, width, 3))
    rotated = np.array([[[1.5, 0.25, width - 500.0], [0.01, 0.02, 0.3]]])
    near = rotated - [[[0, 0, width - 600], [0, 0, 0]]]
    np.testing.assert_allclose(crop(image, rotated), crop(image[:, -600:].copy(), near), atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 2**59), (2**59, 0)])
def test_no_pairs_of_an_endless_axis(shape):
    rows, columns = _core.linear_assignment(np.zeros(shape))
    assert rows.shape == columns.shape == (0,)


@pytest.mark.parametrize("length", [-1, 0, 2**40, 2**63 - 1])
def test_no_such_length_of_lists(length):
    with pytest.raises(ValueError, match="length must be from 1 to"):
        _core.read_lists([{"a": [1]}], "a", length, "entry")
