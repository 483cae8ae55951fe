from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leanpose import _core

INF, NAN = np.inf, np.nan
BOX = [[0, 0, 1, 1]]
NUMBERS = st.floats(-50, 50, width=32) | st.sampled_from([0.0, 10.0, 20.0])


def overlaps(box: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Intersection over union of one box with others, 0 where it is not defined."""
    box, others = np.float64(box), np.float64(others).reshape(-1, 4)
    with np.errstate(all="ignore"):
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        shared = np.where((sides > 0).all(axis=1), sides.prod(axis=1), 0)
        areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + np.prod(box[2:] - box[:2])
        return np.nan_to_num(shared / (areas - shared), nan=0, posinf=0)


def reference(boxes: npt.NDArray[Any], scores: npt.NDArray[Any], threshold: float) -> list[int]:
    left = np.lexsort((np.arange(len(scores)), -scores, np.isnan(scores))).tolist()
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        rest = np.array(left, int)
        left = rest[~(overlaps(boxes[best], boxes[rest]) > threshold)].tolist()
    return kept


@given(data=st.data(), count=st.integers(0, 30), threshold=st.floats(0, 1))
def test_equal_to_numpy(data: st.DataObject, count: int, threshold: float) -> None:
    boxes = data.draw(arrays(np.float32, (count, 4), elements=NUMBERS | st.sampled_from([NAN, INF, -INF])))
    scores = data.draw(arrays(np.float32, count, elements=st.sampled_from([0.1, 0.5, 0.5000001, 0.9, NAN])))
    kept = _core.nms(boxes, scores, threshold)
    assert kept.dtype == np.int64
    assert kept.tolist() == reference(boxes, scores, threshold)


@given(data=st.data(), count=st.integers(1, 30))
def test_twins_go_and_order_does_not_matter(data: st.DataObject, count: int) -> None:
    corners = data.draw(arrays(np.float32, (count, 2), elements=st.floats(-50, 50, width=32)))
    sizes = data.draw(arrays(np.float32, (count, 2), elements=st.floats(1, 50, width=32)))
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    scores = np.linspace(1, 0, count, dtype=np.float32)
    kept = _core.nms(boxes, scores, 0.5)
    assert _core.nms(np.repeat(boxes, 2, axis=0), np.repeat(scores, 2), 0.5).tolist() == (2 * kept).tolist()
    order = data.draw(st.permutations(range(count)))
    assert np.array(order)[_core.nms(boxes[order], scores[order], 0.5)].tolist() == kept.tolist()


@given(data=st.data(), count=st.integers(0, 20), threshold=st.floats(0, 1))
def test_detections_equal_to_numpy(data: st.DataObject, count: int, threshold: float) -> None:
    boxes = data.draw(arrays(np.float32, (count, 4), elements=NUMBERS | st.sampled_from([NAN, INF, -INF])))
    scores = data.draw(arrays(np.float32, count, elements=st.sampled_from([0.1, 0.5, 0.5000001, 0.9, NAN, INF])))
    finite = np.isfinite(scores) & np.isfinite(boxes).all(axis=1)
    best = np.flatnonzero(finite)[reference(boxes[finite], scores[finite], threshold)]
    scale, offset = np.array([1.5, 0.75]), np.array([-3.25, 2.0])
    corners = (boxes[best].reshape(-1, 2, 2) - 0.5) * scale + offset + 0.5
    clipped = np.clip(corners, 0, (40, 30)).astype(np.float32)
    left = (clipped[:, 0] < clipped[:, 1]).all(axis=1)
    transform = np.concatenate([np.diag(scale), offset[:, None]], axis=1)
    found, found_scores = _core.detections(boxes, scores, threshold, transform, 40, 30)
    assert found.dtype == found_scores.dtype == np.float32
    np.testing.assert_array_equal(found, clipped[left].reshape(-1, 4))
    np.testing.assert_array_equal(found_scores, scores[best][left])


def test_thousands_of_boxes_in_threads() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 600, (3000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 200, corners.shape)], axis=1).astype(np.float32)
    scores = rng.uniform(size=len(boxes)).astype(np.float32)
    expected = reference(boxes, scores, 0.45)
    assert 100 < len(expected) < 2000
    with ThreadPoolExecutor(4) as pool:
        for kept in pool.map(lambda _: _core.nms(boxes, scores, 0.45), range(8)):
            assert kept.tolist() == expected


def test_layouts_and_dtypes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 60, 60]])
    scores = np.array([1, 2, 3])
    assert _core.nms(boxes.tolist(), scores.tolist(), 0.5).tolist() == [2, 1]
    assert _core.nms(np.asfortranarray(boxes, np.float16), np.repeat(scores, 2)[::2], 1).tolist() == [2, 1, 0]
    assert _core.nms(np.empty((0, 4)), np.empty(0), 0).shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "error", "message"),
    [
        ([[0, 0, 1]], [1], 0.5, ValueError, r"boxes must have shape \(N, 4\)"),
        ([0, 0, 1, 1], [1], 0.5, ValueError, "boxes must have shape"),
        ([[0, 0, 1, 1]], [1, 2], 0.5, ValueError, r"scores must have shape \(N,\), one for each box, got \(2,\)"),
        ([["a", "b", "c", "d"]], [1], 0.5, TypeError, "boxes must be an array"),
        ([[0, 0, 1, 1]], None, 0.5, TypeError, "scores must be an array"),
        ([[0, 0, 1, 1]], [1], -0.1, ValueError, "threshold must be from 0 to 1, got -0.1"),
        ([[0, 0, 1, 1]], [1], 1.1, ValueError, "threshold must be"),
        ([[0, 0, 1, 1]], [1], NAN, ValueError, "threshold must be"),
    ],
)
def test_bad_arguments(boxes: Any, scores: Any, threshold: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _core.nms(boxes, scores, threshold)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0, 1]], [1], 0.5, np.eye(3)[:2], 4, 4), r"boxes must have shape \(N, 4\)"),
        ((BOX, [1, 2], 0.5, np.eye(3)[:2], 4, 4), "scores must have shape"),
        ((BOX, [1], NAN, np.eye(3)[:2], 4, 4), "threshold must be from 0 to 1, got nan"),
        ((BOX, [1], 0.5, np.eye(3), 4, 4), r"transform must have shape \(2, 3\), got \(3, 3\)"),
        ((BOX, [1], 0.5, np.full((2, 3), INF), 4, 4), r"transform\[0\] holds inf"),
        ((BOX, [1], 0.5, np.eye(3)[:2], 0, 4), "width and height must be at least 1, got 0 and 4"),
    ],
)
def test_bad_arguments_of_detections(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.detections(*arguments)
