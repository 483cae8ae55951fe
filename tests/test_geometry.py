from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose import _core

TRANSFORMS = ["plain", "udp"]


def reference(box, input_size, padding, transform):
    """The crop of one box, from the corners' own arithmetic."""
    height, width = input_size
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    side = np.array([box[2] - box[0], box[3] - box[1]]) * padding
    aspect = width / height
    side = np.maximum(side, [side[1] * aspect, side[0] / aspect])
    steps = np.array([width, height]) - (1 if transform == "udp" else 0)
    return np.column_stack([np.diag(side / steps), centre - side / 2])


@st.composite
def boxes(draw):
    corner = draw(st.tuples(*[st.floats(-1e4, 1e4)] * 2))
    side = draw(st.tuples(*[st.floats(0.1, 1e4)] * 2))
    return [*corner, corner[0] + side[0], corner[1] + side[1]]


@given(
    boxes=st.lists(boxes(), max_size=4),
    input_size=st.tuples(st.integers(2, 600), st.integers(2, 600)),
    padding=st.floats(0.1, 4),
    transform=st.sampled_from(TRANSFORMS),
)
def test_matches_reference(boxes, input_size, padding, transform):
    matrices = _core.crop_transforms(np.reshape(boxes, (-1, 4)), input_size, padding, transform)
    assert matrices.shape == (len(boxes), 2, 3)
    assert matrices.dtype == np.float64
    for matrix, box in zip(matrices, boxes, strict=True):
        np.testing.assert_allclose(matrix, reference(box, input_size, padding, transform), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(("transform", "last"), [("plain", (192, 256)), ("udp", (191, 255))])
def test_crop_has_the_padded_box_of_the_aspect_ratio(transform, last):
    # a 60 x 20 box padded to 75 x 25 grows to 75 x 100 in a 192 x 256 input
    (matrix,) = _core.crop_transforms([[10, 40, 70, 60]], (256, 192), 1.25, transform)
    np.testing.assert_allclose(matrix @ [0, 0, 1], [40 - 37.5, 50 - 50], atol=1e-12)
    np.testing.assert_allclose(matrix @ [*last, 1], [40 + 37.5, 50 + 50], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_any_number_type_and_layout(dtype):
    boxes = np.array([[1, 2, 30, 40], [5, 6, 7, 80]], dtype=dtype)
    expected = _core.crop_transforms(boxes.tolist(), (64, 48), 1.25, "udp")
    for given_boxes in (boxes, np.asfortranarray(boxes), np.repeat(boxes, 2, axis=0)[::2], boxes.astype(">f8")):
        np.testing.assert_array_equal(_core.crop_transforms(given_boxes, (64, 48), 1.25, "udp"), expected)


def test_no_boxes():
    assert _core.crop_transforms(np.empty((0, 4)), (256, 192), 1.25, "udp").shape == (0, 2, 3)


def test_smallest_inputs():
    np.testing.assert_allclose(_core.crop_transforms([[0, 0, 2, 2]], (1, 1), 1.0, "plain"), [[[2, 0, 0], [0, 2, 0]]])
    np.testing.assert_allclose(_core.crop_transforms([[0, 0, 2, 2]], (2, 2), 1.0, "udp"), [[[2, 0, 0], [0, 2, 0]]])


GOOD = {"boxes": [[0, 0, 10, 20]], "input_size": (256, 192), "padding": 1.25, "transform": "udp"}
BAD = [
    ({"boxes": [0, 0, 10, 20]}, ValueError, r"boxes must have shape \(N, 4\), got \(4,\)"),
    ({"boxes": np.zeros((2, 5))}, ValueError, r"boxes must have shape \(N, 4\), got \(2, 5\)"),
    ({"boxes": [[0, 0, 1, 1], [0, 0, np.nan, 1]]}, ValueError, r"boxes\[1\] holds nan"),
    ({"boxes": [[0, 0, 1, 1], [0, -np.inf, 1, 1]]}, ValueError, r"boxes\[1\] holds -inf"),
    ({"boxes": [[0, 0, 1, 1], [5, 0, 5, 1]]}, ValueError, r"boxes\[1\] = \(5, 0, 5, 1\) is empty"),
    ({"boxes": [[0, 3, 1, 1]]}, ValueError, r"boxes\[0\] = \(0, 3, 1, 1\) is empty"),
    ({"boxes": [[-1e308, -1e308, 1e308, 1e308]]}, ValueError, r"boxes\[0\] .* too large"),
    ({"boxes": "boxes"}, TypeError, "boxes must be an array of integers or floats, got str"),
    ({"boxes": None}, TypeError, "boxes must be an array of integers or floats, got NoneType"),
    ({"boxes": [[0, 0, 1, 1], [0, 0]]}, TypeError, "boxes must be an array of integers or floats, got list"),
    ({"boxes": np.ones((1, 4), dtype=complex)}, TypeError, "got complex128 array of shape"),
    ({"boxes": np.ones((1, 4), dtype=bool)}, TypeError, "got bool array of shape"),
    ({"boxes": np.array([["0", "0", "1", "1"]])}, TypeError, "boxes must be an array of integers or floats"),
    ({"input_size": (0, 192)}, ValueError, r"input_size must be \(height, width\)"),
    ({"input_size": (256, -1)}, ValueError, r"input_size must be \(height, width\)"),
    ({"input_size": (1, 192)}, ValueError, "each from 2 to"),
    ({"input_size": (256, 1 << 20)}, ValueError, "each from 2 to"),
    ({"input_size": (256, 1 << 70)}, TypeError, "pair of integers"),
    ({"input_size": (256,)}, TypeError, "pair of integers"),
    ({"input_size": (256.5, 192)}, TypeError, "pair of integers"),
    ({"input_size": 256}, TypeError, "pair of integers"),
    ({"padding": 0.0}, ValueError, "padding must be positive and finite, got 0"),
    ({"padding": -1.0}, ValueError, "padding must be positive and finite, got -1"),
    ({"padding": np.nan}, ValueError, "padding must be positive and finite, got nan"),
    ({"padding": np.inf}, ValueError, "padding must be positive and finite, got inf"),
    ({"transform": "affine"}, ValueError, "transform must be one of 'plain', 'udp', got 'affine'"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        _core.crop_transforms(**(GOOD | change))
