from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose.boxes import validate_boxes

WIDTH, HEIGHT = 64, 48


@st.composite
def good_boxes(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """(N, 5) boxes that overlap a WIDTH x HEIGHT picture, with scores."""
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        x1, y1 = draw(st.floats(-1000, WIDTH - 1)), draw(st.floats(-1000, HEIGHT - 1))
        x2, y2 = draw(st.floats(max(x1, 0) + 0.5, 2000)), draw(st.floats(max(y1, 0) + 0.5, 2000))
        rows.append([x1, y1, x2, y2, draw(st.floats(0, 1))])
    return np.array(rows)


@given(good_boxes(), st.sampled_from(["array", "float32", "lists", "tuples"]))
def test_values_come_back_as_given(rows: npt.NDArray[np.float64], kind: str) -> None:
    rows = rows.astype(np.float32).astype(np.float64)
    given_rows: Any = rows
    if kind == "float32":
        given_rows = rows.astype(np.float32)
    elif kind != "array":
        given_rows = rows.tolist() if kind == "lists" else tuple(map(tuple, rows.tolist()))
    boxes, scores = validate_boxes(given_rows, WIDTH, HEIGHT)
    assert boxes.dtype == np.float64
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(boxes, rows[:, :4])
    np.testing.assert_array_equal(scores, rows[:, 4].astype(np.float32))
    unscored, ones = validate_boxes(rows[:, :4], WIDTH, HEIGHT)
    np.testing.assert_array_equal(unscored, boxes)
    np.testing.assert_array_equal(ones, np.ones(len(rows), np.float32))


@given(good_boxes(), st.data())
def test_the_first_bad_row_is_named(rows: npt.NDArray[np.float64], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    bad = data.draw(st.sampled_from(["nan", "swapped", "outside", "score"]))
    for row in range(first, len(rows)):
        if bad == "nan":
            rows[row, data.draw(st.integers(0, 4))] = np.nan
        elif bad == "swapped":
            rows[row, [1, 3]] = rows[row, [3, 1]]
        elif bad == "outside":
            rows[row, [0, 2]] += 4000
        else:
            rows[row, 4] = 1.5
    with pytest.raises(ValueError, match=rf"^boxes: row {first} is \["):
        validate_boxes(rows, WIDTH, HEIGHT)


@pytest.mark.parametrize("box", [[1, 2, 30, 40], (1.0, 2.0, 30.0, 40.0), np.array([1, 2, 30, 40], np.uint8)])
def test_a_single_box_is_one_row(box: Any) -> None:
    boxes, scores = validate_boxes(box, WIDTH, HEIGHT)
    assert boxes.tolist() == [[1, 2, 30, 40]]
    assert scores.tolist() == [1]


def test_a_single_box_with_score() -> None:
    boxes, scores = validate_boxes([1, 2, 30, 40, 0.5], WIDTH, HEIGHT)
    assert (boxes.tolist(), scores.tolist()) == ([[1, 2, 30, 40]], [0.5])


def test_none_is_the_whole_picture() -> None:
    boxes, scores = validate_boxes(None, WIDTH, HEIGHT)
    assert boxes.dtype == np.float64
    assert scores.dtype == np.float32
    assert (boxes.tolist(), scores.tolist()) == ([[0, 0, WIDTH, HEIGHT]], [1])


@pytest.mark.parametrize("empty", [[], (), np.empty((0, 4)), np.empty((0, 5)), np.empty((0, 4), np.float32)])
def test_empty_is_no_boxes(empty: Any) -> None:
    boxes, scores = validate_boxes(empty, WIDTH, HEIGHT)
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float64
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


def test_result_shares_no_memory_with_the_input() -> None:
    rows = np.array([[1.0, 2.0, 30.0, 40.0]])
    boxes, _ = validate_boxes(rows, WIDTH, HEIGHT)
    boxes[0, 0] = -1
    assert rows[0, 0] == 1


@pytest.mark.parametrize(
    ("boxes", "error", "message"),
    [
        ([[0, 0, 9, 9], [np.nan, 0, 9, 9]], ValueError, "row 1 is [nan, 0, 9, 9]; expected finite"),
        ([[0, 0, np.inf, 9]], ValueError, "row 0 is [0, 0, inf, 9]; expected finite"),
        ([[-np.inf, 0, 9, 9]], ValueError, "expected finite"),
        ([[0, 0, 1e30, 9]], ValueError, "expected finite numbers of at most 1e+09"),
        ([[0, 0, 9, 9, np.nan]], ValueError, "expected finite"),
        ([[30, 30, 10, 10]], ValueError, "row 0 is [30, 30, 10, 10]; expected x1 < x2 and y1 < y2"),
        ([[30, 10, 20, 40]], ValueError, "if these are x, y, width, height, pass x, y, x + width, y + height"),
        ([[5, 5, 5, 9]], ValueError, "expected x1 < x2"),
        ([[5, 5, 9, 5]], ValueError, "y1 < y2"),
        ([[64, 0, 70, 9]], ValueError, "expected a box that overlaps the picture, 64 x 48 pixels"),
        ([[0, 48, 9, 60]], ValueError, "overlaps the picture"),
        ([[-9, 0, 0, 9]], ValueError, "overlaps the picture"),
        ([[0, -9, 9, 0]], ValueError, "overlaps the picture"),
        ([[0, 0, 9, 9, 87]], ValueError, "row 0 is [0, 0, 9, 9, 87]; expected a score in 0..1"),
        ([[0, 0, 9, 9, -0.1]], ValueError, "expected a score in 0..1"),
        ([[0, 0, 9]], ValueError, "got shape (1, 3)"),
        ([[0, 0, 9, 9, 1, 0]], ValueError, "got shape (1, 6)"),
        (np.ones((2, 2, 4)), ValueError, "got shape (2, 2, 4)"),
        (np.empty((0, 3)), ValueError, "got shape (0, 3)"),
        (7.0, ValueError, "got shape ()"),
        ([[0, 0, 9, 9], [0, 0, 9]], ValueError, "rows of different lengths"),
        ("0,0,9,9", TypeError, "values of type str"),
        ([["0", "0", "9", "9"]], TypeError, "values of type list"),
        ([[0, 0, 9, None]], TypeError, "got object values"),
        ([[True, False, True, True]], TypeError, "got bool values"),
        ([[0, 0, 9, 9j]], TypeError, "got complex128 values"),
        ({"x1": 0}, TypeError, "values of type dict"),
        (object(), TypeError, "values of type object"),
    ],
)
def test_bad_boxes(boxes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        validate_boxes(boxes, WIDTH, HEIGHT)
    assert str(caught.value).startswith("boxes: ")
