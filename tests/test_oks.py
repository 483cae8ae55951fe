from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from coco_reference import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from leanpose import COCO17, Poses
from leanpose.keypoints import CROWDPOSE14
from leanpose.oks import oks_matrix, oks_nms, soft_oks_nms

SIGMAS = np.array(COCO17.sigmas)
EPS = np.finfo(float).eps


def persons(seed: int, count: int, keypoints: int = 17) -> NDArray[np.float64]:
    """Poses (N, K, 2) of which many resemble each other."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 300, (4, keypoints, 2))
    return places[rng.integers(0, 4, count)] + rng.normal(0, 1, (count, keypoints, 2)) * rng.choice([0.5, 5, 20])


# The matrix


def plain_oks(pose: NDArray[Any], truth: NDArray[Any], box: NDArray[Any], area: float, sigmas: NDArray[Any]) -> float:
    """COCO's formula, keypoint by keypoint; the box is x1, y1, x2, y2."""
    similarities = []
    (left, top), (width, height) = box[:2], box[2:] - box[:2]
    for (x, y), (tx, ty, visible), sigma in zip(pose, truth, sigmas, strict=True):
        if (truth[:, 2] > 0).any():
            if visible <= 0:
                continue
            dx, dy = x - tx, y - ty
        else:
            dx = max(0, left - width - x, x - (left + 2 * width))
            dy = max(0, top - height - y, y - (top + 2 * height))
        similarities.append(np.exp(-(dx**2 + dy**2) / (2 * sigma) ** 2 / (area + EPS) / 2))
    return float(np.mean(similarities))


@given(st.integers(0, 2**32), st.integers(0, 5), st.integers(0, 5), st.sampled_from([1, 7, 8, 17, 133, 300]))
def test_matrix_is_the_plain_formula(seed: int, count: int, others: int, keypoints: int) -> None:
    rng = np.random.default_rng(seed)
    sigmas = rng.uniform(0.02, 0.2, keypoints)
    poses, truth = persons(seed, count, keypoints), persons(seed, others, keypoints)
    visible = rng.choice([0, 1, 2], (others, keypoints)) * (rng.random((others, 1)) < 0.7)
    truth = np.concatenate([truth, visible[..., None]], axis=2)
    boxes = np.sort(rng.uniform(0, 300, (others, 2, 2)), axis=1).reshape(others, 4)
    areas = rng.uniform(0, 9000, others)
    found = oks_matrix(poses, truth, boxes=boxes, areas=areas, sigmas=sigmas)
    expected = [[plain_oks(p, t, b, a, sigmas) for t, b, a in zip(truth, boxes, areas, strict=True)] for p in poses]
    assert found.shape == (count, others)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.reshape(expected, (count, others)), rtol=1e-12, atol=1e-15)


def test_a_threshold_of_the_matrix_is_where_pycocotools_stops_to_match() -> None:
    truth = np.concatenate([persons(1, 1)[0], np.ones((17, 1))], axis=1)
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "keypoints": truth.ravel().tolist(),
        "num_keypoints": 17,
        "bbox": [0, 0, 9, 9],
        "area": 5000.0,
        "iscrowd": 0,
    }
    data = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": [annotation]}
    for shift in np.linspace(0, 40, 60):
        moved = np.add(truth, (shift, 0, 0))
        entry = {"image_id": 1, "category_id": 1, "keypoints": moved.ravel().tolist(), "score": 1.0}
        matched = reference(data, [entry])[2][:, 0, 0]
        oks = oks_matrix(moved[None], truth[None], areas=[5000.0])[0, 0]
        np.testing.assert_array_equal(matched > 0, oks >= np.linspace(0.5, 0.95, 10))


def test_boxes_stand_for_a_part_of_their_area() -> None:
    poses, truth = persons(2, 3), persons(2, 2)
    boxes = [[0, 0, 50, 100], [10, 10, 40, 50]]
    np.testing.assert_allclose(
        oks_matrix(poses, truth, boxes=boxes), oks_matrix(poses, truth, areas=[0.53 * 5000, 0.53 * 1200])
    )


def as_poses(xy: NDArray[np.float64], scores: NDArray[np.float64] | None = None) -> Poses:
    boxes = np.concatenate([np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)], axis=1)
    keypoint_scores = np.ones(xy.shape[:2])
    return Poses(xy, keypoint_scores, boxes, np.ones(len(xy)) if scores is None else scores, COCO17)


def test_poses_bring_their_boxes_and_sigmas() -> None:
    first, second = as_poses(persons(3, 4)), as_poses(persons(3, 2))
    expected = oks_matrix(first.xy, second.xy, boxes=second.boxes, sigmas=SIGMAS)
    np.testing.assert_array_equal(oks_matrix(first, second), expected)
    np.testing.assert_array_equal(
        oks_matrix(first, second, areas=[9.0, 9.0]), oks_matrix(first, second.xy, areas=[9, 9])
    )
    assert oks_matrix(Poses.empty(COCO17), second).shape == (0, 2)
    assert oks_matrix(first, Poses.empty(COCO17)).shape == (4, 0)
    np.testing.assert_allclose(np.diag(oks_matrix(first, first)), 1)


def test_nan_is_unlabelled_in_references_and_missed_in_poses() -> None:
    pose = persons(4, 1)
    holes = pose.copy()
    holes[0, :4, 0] = np.nan
    assert oks_matrix(pose, holes, areas=[100]) == pytest.approx(1)
    assert oks_matrix(holes, pose, areas=[100]) == pytest.approx(13 / 17)
    nowhere = np.full_like(pose, np.nan)
    assert oks_matrix(nowhere, pose, areas=[100]) == 0
    assert oks_matrix(pose, nowhere, boxes=[[0, 0, 300, 300]]) == pytest.approx(1)
    assert oks_matrix(nowhere, nowhere, boxes=[[0, 0, 300, 300]]) == 0
    with pytest.raises(ValueError, match="row 0 has no labelled keypoint; pass boxes"):
        oks_matrix(pose, nowhere, areas=[100])


# Suppression


def plain_similarity(a: NDArray[Any], b: NDArray[Any], area: float, sigmas: NDArray[Any]) -> float:
    shared = ~(np.isnan(a).any(axis=1) | np.isnan(b).any(axis=1))
    exponents = ((a - b) ** 2).sum(axis=1) / (2 * sigmas) ** 2 / (area + EPS) / 2
    return float(np.exp(-exponents[shared]).mean()) if shared.any() else 0.0


def falling(scores: NDArray[Any]) -> list[int]:
    return sorted(range(len(scores)), key=lambda row: (np.isnan(scores[row]), -scores[row], row))


def plain_nms(xy: NDArray[Any], scores: NDArray[Any], areas: NDArray[Any], threshold: float) -> list[int]:
    left, kept = falling(scores), []
    while left:
        best, *left = left
        kept.append(best)
        left = [
            row
            for row in left
            if not plain_similarity(xy[best], xy[row], (areas[best] + areas[row]) / 2, SIGMAS) > threshold
        ]
    return kept


def plain_soft_nms(
    xy: NDArray[Any], scores: NDArray[Any], areas: NDArray[Any], threshold: float, decay: str, most: int
) -> tuple[list[int], list[float]]:
    scores, left = scores.copy(), falling(scores)
    kept, values = [], []
    while left and len(kept) < most:
        left.sort(key=lambda row: (np.isnan(scores[row]), -scores[row]))
        best, *left = left
        kept.append(best)
        values.append(float(scores[best]))
        for row in left:
            oks = plain_similarity(xy[best], xy[row], (areas[best] + areas[row]) / 2, SIGMAS)
            if decay == "gaussian":
                scores[row] *= np.exp(-(oks**2) / threshold)
            elif oks >= threshold:
                scores[row] *= 1 - oks
    return kept, values


def duplicates(seed: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    xy, scores = persons(seed, count), rng.random(count)
    if seed % 3 == 0:
        xy[rng.random((count, 17)) < 0.3] = np.nan
        scores[rng.random(count) < 0.2] = np.nan
    return xy, scores, rng.uniform(500, 20000, count)


@given(st.integers(0, 2**32), st.integers(0, 15), st.sampled_from([0.1, 0.5, 0.9]))
def test_nms_is_the_plain_rule(seed: int, count: int, threshold: float) -> None:
    xy, scores, areas = duplicates(seed, count)
    kept = oks_nms(xy, scores, areas=areas, threshold=threshold)
    assert kept.dtype == np.int64
    assert kept.tolist() == plain_nms(xy, scores, areas, threshold)


@given(st.integers(0, 2**32), st.integers(0, 15), st.sampled_from([0.1, 0.5]), st.sampled_from(["gaussian", "linear"]))
def test_soft_nms_is_the_plain_rule(seed: int, count: int, threshold: float, decay: Any) -> None:
    xy, scores, areas = duplicates(seed, count)
    kept, values = soft_oks_nms(xy, scores, areas=areas, threshold=threshold, decay=decay, max_poses=8)
    expected, expected_values = plain_soft_nms(xy, scores, areas, threshold, decay, 8)
    assert kept.tolist() == expected
    np.testing.assert_allclose(values, expected_values, rtol=1e-12)


def test_ties_keep_the_earlier_row_and_nan_comes_last() -> None:
    xy = np.repeat(np.arange(4.0), 34).reshape(4, 17, 2) * [[[500.0, 0]]]
    options: Any = {"areas": np.full(4, 900.0)}
    assert oks_nms(xy, [0.5, np.nan, 0.7, 0.5], **options).tolist() == [2, 0, 3, 1]
    assert soft_oks_nms(xy, [0.5, np.nan, 0.7, 0.5], **options)[0].tolist() == [2, 0, 3, 1]
    same = np.zeros((4, 17, 2))
    assert oks_nms(same, [0.5, 0.5, 0.5, np.nan], **options).tolist() == [0]
    assert soft_oks_nms(same, [0.5, 0.5, 0.5, np.nan], max_poses=2, **options)[0].tolist() == [0, 1]
    assert oks_nms(same, [0.1, 0.2, 0.3, 0.4], threshold=1.0, **options).tolist() == [3, 2, 1, 0]  # not above it


def test_nms_selects_from_poses() -> None:
    xy = np.concatenate([persons(5, 1), persons(5, 1) + 0.5, persons(6, 1) + 400])
    poses = as_poses(xy, np.array([0.6, 0.9, 0.3]))
    kept = poses[oks_nms(poses)]
    np.testing.assert_array_equal(kept.xy, poses.xy[[1, 2]])
    rows, scores = soft_oks_nms(poses)
    assert rows.tolist() == [1, 2, 0]
    assert scores[:2] == pytest.approx([0.9, 0.3])
    assert oks_nms(Poses.empty(COCO17)).shape == (0,)
    assert soft_oks_nms(Poses.empty(COCO17))[1].shape == (0,)
    assert oks_nms(xy[:, :14], poses.scores, boxes=poses.boxes, sigmas=CROWDPOSE14).tolist() == [1, 2]


def test_threads() -> None:
    xy, scores, areas = duplicates(1, 60)
    expected = oks_nms(xy, scores, areas=areas).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert all(
            kept == expected for kept in pool.map(lambda _: oks_nms(xy, scores, areas=areas).tolist(), range(40))
        )


ONE = np.zeros((1, 17, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: oks_matrix("abc", ONE, areas=[1]), ValueError, "sigmas: expected one for each keypoint"),
        (lambda: oks_matrix([["a"]], ONE, areas=[1], sigmas=SIGMAS), TypeError, "poses: expected an array of numbers"),
        (
            lambda: oks_matrix(ONE[0], ONE, areas=[1], sigmas=SIGMAS),
            ValueError,
            r"poses: expected shape .*, got \(17, 2\)",
        ),
        (
            lambda: oks_matrix(ONE, ONE[:, :3], areas=[1], sigmas=SIGMAS),
            ValueError,
            r"references: expected shape .*K = 17",
        ),
        (lambda: oks_matrix([[1], [2, 3]], ONE, sigmas=SIGMAS, areas=[1]), ValueError, "poses: .* different lengths"),
        (lambda: oks_matrix(ONE, ONE), ValueError, "expected the area or the box of each reference"),
        (lambda: oks_matrix(ONE, ONE, areas=[1, 2]), ValueError, r"areas: expected shape \(1,\), got \(2,\)"),
        (lambda: oks_matrix(ONE, ONE, areas=[-1]), ValueError, "areas: expected finite square pixels of at least 0"),
        (lambda: oks_matrix(ONE, ONE, areas=[np.nan]), ValueError, "areas: expected finite"),
        (lambda: oks_matrix(ONE, ONE, boxes=[[5, 0, 0, 5]]), ValueError, "boxes: expected finite x1 <= x2"),
        (lambda: oks_matrix(ONE, ONE, boxes=[1, 2, 3, 4]), ValueError, r"boxes: expected shape \(1, 4\)"),
        (lambda: oks_matrix(ONE, ONE + np.inf, areas=[1]), ValueError, "references: expected finite numbers, or NaN"),
        (lambda: oks_matrix(ONE, ONE, areas=[1], sigmas=[0.1]), ValueError, "K = 1"),
        (lambda: oks_matrix(ONE, ONE, areas=[1], sigmas=[0] * 17), ValueError, "sigmas: expected positive"),
        (lambda: oks_nms(ONE, areas=[1]), ValueError, "scores: expected one score for each pose, got none"),
        (lambda: oks_nms(ONE, [1, 2], areas=[1]), ValueError, r"scores: expected shape \(1,\), got \(2,\)"),
        (lambda: oks_nms(ONE, [np.inf], areas=[1]), ValueError, r"scores\[0\] is inf"),
        (lambda: oks_nms(ONE, [1]), ValueError, "expected the area or the box of each pose"),
        (lambda: oks_nms(ONE, [1], areas=[1], threshold=0), ValueError, "threshold: expected a positive"),
        (lambda: soft_oks_nms(ONE, [1], areas=[1], threshold=np.nan), ValueError, "threshold: expected a positive"),
        (
            lambda: soft_oks_nms(ONE, [1], areas=[1], decay="hard"),
            ValueError,
            "decay must be one of 'gaussian', 'linear'",
        ),
        (lambda: soft_oks_nms(ONE, [1], areas=[1], max_poses=-1), ValueError, "max_poses: expected at least 0, got -1"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
