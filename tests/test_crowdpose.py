from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from coco_reference import Json, data_set
from hypothesis import given, settings
from hypothesis import strategies as st

from leanpose import Poses
from leanpose.evaluation import evaluate_coco, evaluate_crowdpose
from leanpose.evaluation.crowdpose import STATISTICS
from leanpose.keypoints import CROWDPOSE14


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function to the nine statistics of xtcocotools, the last three rounded to four digits."""
    pytest.importorskip("matplotlib", reason="xtcocotools needs it")
    # Its compiled part is for masks, which keypoints do not need, and its wheels have it for NumPy 1 only.
    sys.modules.setdefault("xtcocotools._mask", MagicMock())
    coco = pytest.importorskip("xtcocotools.coco", reason="the reference: pip install xtcocotools")
    from xtcocotools.cocoeval import COCOeval

    path = tmp_path_factory.mktemp("crowdpose") / "truth.json"

    def statistics(truth: Json, results: list[Json]) -> list[float]:
        path.write_text(json.dumps(truth))
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            loaded = coco.COCO(str(path))
            found = loaded.loadRes(copy.deepcopy(results))
            evaluation = COCOeval(loaded, found, "keypoints_crowd", np.array(CROWDPOSE14.sigmas), use_area=False)
            loaded.anno_file.append("results")
            evaluation.anno_file = [str(path), "results"]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [float(value) for value in evaluation.stats]

    return statistics


def crowd_data(seed: int) -> tuple[Json, list[Json]]:
    rng = np.random.default_rng(seed)
    truth, results = data_set(seed, 14)
    truth["categories"] = [{"id": 1, "name": "person"}]
    truth["images"] = [
        {**image, "crowdIndex": float(rng.choice([0.0, 0.1, 0.2, 0.5, 0.8, 1.0]))} for image in truth["images"]
    ]
    for number, entry in enumerate(truth["annotations"]):
        entry["category_id"], entry["id"] = 1, number
        del entry["area"]
    for entry in results:
        entry["category_id"] = 1
        if rng.random() < 0.1:
            entry["keypoints"][2::3] = [0] * 14
    return truth, results


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # its files
@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_equals_xtcocotools(reference: Any, seed: int) -> None:
    truth, results = crowd_data(seed)
    found = evaluate_crowdpose(truth, results, crowd_limits=(0.2, 0.8), threads=1 + seed % 2)
    expected = reference(truth, results)
    assert tuple(found.statistics) == STATISTICS
    values = list(found.statistics.values())
    np.testing.assert_allclose(values[:6], expected[:6], rtol=0, atol=1e-12)
    np.testing.assert_allclose(values[6:], expected[6:], rtol=0, atol=5.001e-5)


def sample(index: list[float], shifts: list[float]) -> tuple[Json, list[Json]]:
    """One person in each picture, found with a shift."""
    joints = np.column_stack([np.arange(14) * 9, np.arange(14) % 5 * 20, np.full(14, 2)]).astype(float)
    truth: Json = {"images": [], "categories": [{"id": 1}], "annotations": []}
    results = []
    for number, (crowd, shift) in enumerate(zip(index, shifts, strict=True)):
        truth["images"].append({"id": number, "crowdIndex": crowd})
        entry = {"image_id": number, "category_id": 1, "keypoints": joints.ravel().tolist()}
        truth["annotations"].append({**entry, "id": number, "num_keypoints": 14, "bbox": [0, 0, 120, 90], "iscrowd": 0})
        moved = np.add(joints, (shift, 0, 0)).ravel().tolist()
        results.append({**entry, "keypoints": moved, "score": 1 - number / 10})
    return truth, results


def test_levels_are_told_by_the_crowd_index() -> None:
    truth, results = sample([0.0, 0.09, 0.1, 0.5, 0.79, 0.8, 1.0], [0, 0, 0, 900, 900, 900, 900])
    found = evaluate_crowdpose(truth, results)
    assert [(group.name, group.persons) for group in found.groups] == [
        *(("all", 7), ("easy", 2), ("medium", 3), ("hard", 2))
    ]
    everywhere, easy, medium, hard = found.groups
    assert pytest.approx((1, 0)) == (easy.AP, hard.AP)
    assert 0.3 < medium.AP < 0.4
    assert 0.3 < everywhere.AP < 0.5
    assert found.statistics["APmedium"] == medium.AP
    assert evaluate_crowdpose(truth, results, crowd_limits=(0.6, 0.9)).groups[1].persons == 4
    empty = evaluate_crowdpose(truth, results, crowd_limits=(0.0, 0.0))
    assert (empty.statistics["APeasy"], empty.statistics["APmedium"]) == (-1, -1)


def test_area_is_a_part_of_the_box() -> None:
    truth, results = sample([0.5, 0.5], [6, 9])
    with_areas = copy.deepcopy(truth)
    for number, entry in enumerate(with_areas["annotations"]):
        entry |= {"area": 0.53 * 120 * 90, "id": number + 1}
    expected = evaluate_coco(with_areas, results, keypoints=CROWDPOSE14)
    found = evaluate_crowdpose(truth, results)
    assert found.statistics["AP"] == pytest.approx(expected.statistics["AP"])
    assert 0.1 < found.statistics["AP"] < 0.95


def test_bootstrap_files_and_poses(tmp_path: Path) -> None:
    truth, results = sample([0.0, 0.0, 0.5, 0.5, 0.9, 0.9], [0, 9, 1, 900, 900, 5])
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = evaluate_crowdpose(tmp_path / "truth.json", tmp_path / "results.json", bootstrap=120, threads=2)
    assert found.to_dict() == evaluate_crowdpose(truth, results, bootstrap=120).to_dict()
    for name, (low, high) in found.intervals.items():
        assert low <= found.statistics[name] <= high
    assert found.intervals["AP"][0] < found.intervals["AP"][1]
    poses = {
        entry["image_id"]: Poses(
            np.reshape(entry["keypoints"], (1, 14, 3))[..., :2],
            np.ones((1, 14)),
            [[0, 0, 9, 9]],
            [entry["score"]],
            CROWDPOSE14,
        )
        for entry in results
    }
    statistics = evaluate_crowdpose(truth, poses).statistics
    assert statistics == pytest.approx(found.statistics)


def test_bad_input_is_named() -> None:
    truth, results = sample([0.0, 0.5], [0, 0])
    del truth["images"][1]["crowdIndex"]
    with pytest.raises(ValueError, match=r"ground truth: images\[1\]: field 'crowdIndex' is missing"):
        evaluate_crowdpose(truth, results)
    truth["images"][1]["crowdIndex"] = float("nan")
    with pytest.raises(ValueError, match="image 1: field 'crowdIndex' is NaN"):
        evaluate_crowdpose(truth, results)
    truth["images"][1]["crowdIndex"] = 0.5
    with pytest.raises(ValueError, match="crowd_limits: expected two rising numbers"):
        evaluate_crowdpose(truth, results, crowd_limits=(0.8, 0.1))
    with pytest.raises(ValueError, match="expected a list of 51 numbers, not of 42"):
        evaluate_coco(truth, results)
    with pytest.raises(ValueError, match="ground truth: expected an object"):
        evaluate_crowdpose([], results)  # type: ignore[arg-type]
