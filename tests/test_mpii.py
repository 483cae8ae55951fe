from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from leanpose import Poses
from leanpose.evaluation import evaluate_mpii
from leanpose.evaluation.mpii import STATISTICS
from leanpose.keypoints import MPII16

Json = dict[str, Any]


def mpii_data(seed: int) -> tuple[Json, list[Json], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Ground truth and results, and as arrays labels (N, 16, 3), predictions (N, 16, 2) and head boxes (N, 2, 2)."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 30))
    labels = np.concatenate([rng.uniform(0, 300, (count, 16, 2)), rng.integers(0, 2, (count, 16, 1))], axis=2)
    corners = rng.uniform(0, 200, (count, 2))
    heads = np.stack([corners, corners + rng.uniform(10, 60, (count, 2))], axis=1)
    predictions = labels[..., :2] + rng.normal(0, rng.choice([2, 10, 30]), (count, 16, 2))
    if rng.random() < 0.3:
        predictions[rng.random((count, 16)) < 0.1] = np.nan
    pictures = np.sort(rng.integers(0, count, count))
    annotations = [
        {
            "id": 100 + row,
            "image_id": int(pictures[row]),
            "keypoints": labels[row].ravel().tolist(),
            "head_box": heads[row].ravel().tolist(),
        }
        for row in range(count)
    ]
    order = rng.permutation(count)[: count if rng.random() < 0.5 else count // 2 + 1]
    results = [
        {"annotation_id": 100 + int(row), "keypoints": np.insert(predictions[row], 2, 1, axis=1).ravel().tolist()}
        for row in order
    ]
    missing = np.setdiff1d(np.arange(count), order)
    predictions[missing] = np.inf
    return {"annotations": annotations}, results, labels, predictions, heads


def plain_pckh(
    labels: NDArray[Any], predictions: NDArray[Any], heads: NDArray[Any], threshold: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Share of right joints and number of labels by joint, as the well-known evaluation computes them."""
    visible = (labels[..., 2] > 0).T.astype(float)  # (16, N)
    errors = np.linalg.norm(predictions - labels[..., :2], axis=2).T
    sizes = np.linalg.norm(heads[:, 1] - heads[:, 0], axis=1) * 0.6
    right = (errors / sizes <= threshold) * visible
    with np.errstate(invalid="ignore"):
        return right.sum(axis=1) / visible.sum(axis=1), visible.sum(axis=1)


@given(st.integers(0, 2**32))
def test_equals_the_plain_evaluation(seed: int) -> None:
    truth, results, labels, predictions, heads = mpii_data(seed)
    found = evaluate_mpii(truth, results)
    shares, counts = plain_pckh(labels, predictions, heads, 0.5)
    tenths, _ = plain_pckh(labels, predictions, heads, 0.1)
    assert tuple(found.statistics) == STATISTICS
    assert [joint.name for joint in found.joints] == list(MPII16.names)
    assert [joint.labelled for joint in found.joints] == counts.tolist()
    np.testing.assert_allclose([joint.PCKh for joint in found.joints], np.nan_to_num(shares, nan=-1), atol=1e-12)
    np.testing.assert_allclose([joint.PCKh01 for joint in found.joints], np.nan_to_num(tenths, nan=-1), atol=1e-12)
    kept = np.delete(np.arange(16), [6, 7])  # without pelvis and thorax
    if counts[kept].sum():
        weights = counts[kept] / counts[kept].sum()
        assert found.statistics["Mean"] == pytest.approx(np.nansum(shares[kept] * weights))
        assert found.statistics["Mean@0.1"] == pytest.approx(np.nansum(tenths[kept] * weights))
    pairs = {"Shoulder": (13, 12), "Elbow": (14, 11), "Wrist": (15, 10), "Hip": (3, 2), "Knee": (4, 1), "Ankle": (5, 0)}
    for name, (left, right) in pairs.items():
        if counts[left] and counts[right]:
            assert found.statistics[name] == pytest.approx(0.5 * (shares[left] + shares[right]))
    assert found.statistics["Head"] == pytest.approx(np.nan_to_num(shares[9], nan=-1))
    assert (found.persons, found.results) == (len(labels), len(results))


def two_persons(shift: float = 0.0) -> tuple[Json, list[Json]]:
    joints = np.column_stack([np.arange(16) * 10.0, np.arange(16) * 5.0, np.ones(16)])
    annotations = [
        {"id": number, "image_id": f"p{number}", "keypoints": joints.ravel().tolist(), "head_box": [0, 0, 30, 40]}
        for number in (1, 2)
    ]
    moved = np.add(joints, (shift, 0, 0)).ravel().tolist()
    return {"annotations": annotations}, [{"image_id": f"p{number}", "keypoints": moved} for number in (1, 2)]


@pytest.mark.parametrize(
    ("shift", "half", "tenth"), [(0, 1, 1), (3, 1, 1), (3.01, 1, 0), (15, 1, 0), (15.01, 0, 0), (np.nan, 0, 0)]
)
def test_limits_are_parts_of_the_head(shift: float, half: float, tenth: float) -> None:
    found = evaluate_mpii(*two_persons(shift))  # heads have a size of 0.6 x 50
    assert (found.statistics["Mean"], found.statistics["Mean@0.1"]) == (half, tenth)


def test_files_and_poses(tmp_path: Path) -> None:
    truth, results = two_persons(4)
    truth["annotations"][1]["image_id"] = "p1"
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = [{**entry, "annotation_id": number} for number, entry in enumerate(results, start=1)]
    (tmp_path / "results.json").write_text(json.dumps(results))
    expected = evaluate_mpii(truth, results)
    assert expected.statistics["Mean"] == 1
    assert evaluate_mpii(tmp_path / "truth.json", tmp_path / "results.json") == expected
    xy = np.reshape([entry["keypoints"] for entry in results], (2, 16, 3))[..., :2]
    poses = Poses(xy, np.ones((2, 16)), [[0, 0, 9, 9]] * 2, [1, 1], MPII16)
    assert evaluate_mpii(truth, {"p1": poses}) == expected
    assert json.loads(json.dumps(expected.to_dict()))["statistics"] == expected.statistics


def test_bootstrap() -> None:
    truth, results, *_ = mpii_data(7)
    found = evaluate_mpii(truth, results, bootstrap=150)
    assert found == evaluate_mpii(truth, results, bootstrap=150)
    assert found.intervals != evaluate_mpii(truth, results, bootstrap=150, seed=1).intervals
    low, high = found.intervals["Mean"]
    assert low < found.statistics["Mean"] < high


def test_nothing_to_measure() -> None:
    truth, _ = two_persons()
    assert evaluate_mpii(truth, []).statistics == dict.fromkeys(STATISTICS, 0)
    assert evaluate_mpii({"annotations": []}, [], bootstrap=3).statistics == dict.fromkeys(STATISTICS, -1)
    for entry in truth["annotations"]:
        entry["keypoints"][2::3] = [0] * 16
    truth["annotations"][0]["keypoints"][3 * 13 + 2] = 1  # one left shoulder
    statistics = evaluate_mpii(truth, two_persons()[1]).statistics
    assert (statistics["Shoulder"], statistics["Mean"], statistics["Elbow"]) == (1, 1, -1)


def change(section: int, number: int, **changes: Any) -> Callable[[], Any]:
    def call() -> Any:
        case = two_persons()
        entry = (case[0]["annotations"], case[1])[section][number]
        for name, value in changes.items():
            if value is None:
                del entry[name]
            else:
                entry[name] = value
        return evaluate_mpii(*case)

    return call


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (change(0, 1, head_box=None), ValueError, r"ground truth: annotations\[1\]: field 'head_box' is missing"),
        (change(0, 1, head_box=[1, 1, 1, 1]), ValueError, r"annotations\[1\]: field 'head_box': expected x1 < x2"),
        (change(0, 1, head_box=[0, 0, float("nan"), 1]), ValueError, r"annotations\[1\]: field 'head_box': expected"),
        (change(0, 1, keypoints=[1] * 51), ValueError, r"annotations\[1\]: .* list of 48 numbers, not of 51"),
        (change(0, 1, id=1), ValueError, "annotations: expected every id once, got 1 repeated"),
        (change(0, 1, image_id="p1"), ValueError, r"results\[0\]: .* 'p1' has several persons; give annotation_id"),
        (change(1, 1, image_id="p1"), ValueError, r"results\[1\]: a second result for person 1"),
        (change(1, 1, image_id="x"), ValueError, r"results\[1\]: field 'image_id': 'x' is not in the ground truth"),
        (change(1, 1, annotation_id=9), ValueError, r"results\[1\]: field 'annotation_id': 9 is not in the ground"),
        (change(1, 1, annotation_id=[]), ValueError, "field 'annotation_id': expected an id"),
        (change(1, 1, image_id=None), ValueError, "field 'image_id' is missing"),
        (change(1, 1, keypoints=None), ValueError, r"results\[1\]: field 'keypoints' is missing"),
        (lambda: evaluate_mpii([], []), ValueError, "ground truth: expected an object"),  # type: ignore[arg-type]
        (lambda: evaluate_mpii(two_persons()[0], 3), ValueError, "results: expected a list"),  # type: ignore[arg-type]
        (
            lambda: evaluate_mpii(two_persons()[0], {"p1": Poses.empty(MPII16)}),
            ValueError,
            "expected one pose for each",
        ),
        (lambda: evaluate_mpii(two_persons()[0], {"p1": 3}), TypeError, "expected Poses of 16"),  # type: ignore[dict-item]
        (lambda: evaluate_mpii(*two_persons(), bootstrap=-1), ValueError, "bootstrap: expected at least 0"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
