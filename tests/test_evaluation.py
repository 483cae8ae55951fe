from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import Json, data_set, reference
from hypothesis import given, settings
from hypothesis import strategies as st

import scoring
from bench.evaluation_data import make
from leanpose import COCO17, KeypointSet, Poses, _core
from leanpose.evaluation import (
    OksEvaluation,
    evaluate_coco,
    load_ground_truth,
    load_results,
)
from leanpose.evaluation.coco import STATISTICS
from leanpose.evaluation.matching import OKS_THRESHOLDS, RECALLS


def assert_equal(found: OksEvaluation, truth: Json, results: list[Json], **options: Any) -> None:
    statistics, precision, recall = reference(truth, results, **options)
    assert tuple(found.statistics) == STATISTICS
    if len(statistics):
        np.testing.assert_allclose(list(found.statistics.values()), statistics, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.precision, precision)
    np.testing.assert_array_equal(found.recall, recall)


def person(number: int = 1, picture: int = 1, **changes: Any) -> Json:
    joints = np.column_stack([np.arange(17) * 3 + 5, np.arange(17) * 7 % 40 + 5, np.full(17, 2)])
    entry = {"id": number, "image_id": picture, "category_id": 1, "keypoints": joints.ravel().tolist()}
    return {**entry, "num_keypoints": 17, "bbox": [5, 5, 48, 40], "area": 1500.0, "iscrowd": 0, **changes}


def ground_truth(*persons: Json, pictures: int = 2) -> Json:
    images = [{"id": number} for number in range(1, pictures + 1)]
    return {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": list(persons)}


def result(of: Json, score: float = 0.9, shift: float = 0.0, **changes: Any) -> Json:
    joints = np.add(np.reshape(of["keypoints"], (-1, 3)), (shift, 0, 0))
    entry = {"image_id": of["image_id"], "category_id": 1, "keypoints": joints.ravel().tolist(), "score": score}
    return {**entry, **changes}


# Equality with pycocotools


@settings(max_examples=250)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_equals_pycocotools_on_hostile_data(seed: int, threads: int) -> None:
    truth, results = data_set(seed)
    assert_equal(evaluate_coco(truth, results, threads=threads), truth, results)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([1, 5, 14, 133, 300]))
def test_equals_pycocotools_for_other_keypoints_and_limits(seed: int, most: int, count: int) -> None:
    truth, results = data_set(seed, count)
    sigmas = tuple(np.random.default_rng(seed).uniform(0.02, 0.2, count).tolist())
    keypoints = KeypointSet(tuple(map(str, range(count))), (), (), (0.1,) * count)
    found = evaluate_coco(truth, results, keypoints=keypoints, sigmas=sigmas, max_detections=most)
    assert_equal(found, truth, results, sigmas=sigmas, max_detections=most)


def test_hostile_data_reaches_every_kind_of_outcome() -> None:
    aps = [evaluate_coco(*data_set(seed)).statistics["AP"] for seed in range(120)]
    assert min(aps) == -1
    assert max(aps) > 0.9
    assert sum(0.01 < ap < 0.99 for ap in aps) > 40


CASES: dict[str, Callable[[], tuple[Json, list[Json]]]] = {
    "perfect": lambda: (ground_truth(person(), person(2, 2)), [result(person()), result(person(2, 2))]),
    "id 0 counts as no match": lambda: (ground_truth(person(0)), [result(person(0))]),
    "duplicate ids": lambda: (
        ground_truth(person(), person(1, 2, area=9000.0), person(2, 2)),
        [result(person()), result(person(1, 2))],
    ),
    "duplicate id leaves the listed pictures": lambda: (
        ground_truth(person(), person(1, 77), person(2, 2)),
        [result(person()), result(person(2, 2))],
    ),
    "persons outside pictures and categories": lambda: (
        ground_truth(person(), person(2, 50), person(3, category_id=9)),
        [result(person()), result(person(), 0.8, category_id=9)],
    ),
    "crowd takes many": lambda: (
        ground_truth(person(), person(2, iscrowd=1)),
        [result(person(), score) for score in (0.9, 0.8, 0.7)],
    ),
    "ignore has no effect": lambda: (ground_truth(person(ignore=1), person(2, 2)), [result(person())]),
    "no labelled keypoints": lambda: (
        ground_truth(person(keypoints=[0] * 51, num_keypoints=0), person(2, 2)),
        [result(person()), result(person(), 0.8, 500.0), result(person(2, 2), 0.7)],
    ),
    "unlabelled but counted": lambda: (ground_truth(person(keypoints=[0] * 51)), [result(person())]),
    "float visibility": lambda: (
        ground_truth(person(keypoints=(np.tile([1, 1, 0.5], 17) * np.arange(1, 52)).tolist())),
        [result(person())],
    ),
    "area on the edge of ranges": lambda: (
        ground_truth(person(area=32**2), person(2, 2, area=96**2)),
        [result(person(), bbox=[0, 0, 32, 32]), result(person(2, 2), bbox=[0, 0, 96, 96])],
    ),
    "negative and zero area": lambda: (
        ground_truth(person(area=0), person(2, 2, area=-5.0)),
        [result(person(), shift=1), result(person(2, 2), shift=1)],
    ),
    "empty bbox in the first result": lambda: (
        ground_truth(person()),
        [result(person(), bbox=[]), result(person(), 0.5, 300.0, bbox=[0, 0, 9, 9])],
    ),
    "bbox in later results only": lambda: (
        ground_truth(person()),
        [result(person(), shift=300.0), result(person(), 0.5, bbox=[0, 0, 200, 200])],
    ),
    "more than twenty results": lambda: (
        ground_truth(person()),
        [result(person(), 0.5 + n / 100, 40.0) for n in range(25)] + [result(person(), 0.01)],
    ),
    "infinite scores": lambda: (
        ground_truth(person(), person(2, 2)),
        [result(person(), float("inf")), result(person(2, 2), float("-inf")), result(person(), float("nan"))],
    ),
    "string picture ids": lambda: (
        {**ground_truth(person(picture="b"), person(2, "a")), "images": [{"id": "b"}, {"id": "a"}]},
        [result(person(picture="a"), 0.5), result(person(picture="b"), 0.5, 4.0)],
    ),
    "a picture listed twice": lambda: (
        {**ground_truth(person()), "images": [{"id": 1}, {"id": 1}]},
        [result(person()), result(person(), shift=2)],
    ),
    "nobody to be found": lambda: (ground_truth(person(iscrowd=1)), [result(person())]),
    "no annotations": lambda: (ground_truth(), [result(person())]),
    "no categories": lambda: ({**ground_truth(person()), "categories": []}, [result(person())]),
    "twelve equal scores over pictures": lambda: (
        ground_truth(*(person(n, n) for n in range(1, 13)), pictures=12),
        [result(person(n, n), 0.5, shift=float(n)) for n in range(12, 0, -1)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_pycocotools_in_corners(name: str) -> None:
    truth, results = CASES[name]()
    assert_equal(evaluate_coco(truth, results), truth, results)


def test_what_is_given_stays_as_it_is() -> None:
    truth, results = data_set(3)
    before = copy.deepcopy((truth, results))
    evaluate_coco(truth, results)
    assert json.dumps((truth, results)) == json.dumps(before)


def test_equals_pycocotools_on_plain_data() -> None:
    truth, results = make(60, 300)
    found = evaluate_coco(truth, results, threads=2)
    assert_equal(found, truth, results)
    assert 0.2 < found.statistics["AP"] < 0.8


# Beyond pycocotools


def test_no_results_score_nothing() -> None:
    found = evaluate_coco(ground_truth(person(), person(2, area=20000.0)), [])
    assert set(found.statistics.values()) == {0.0}
    assert found.results == 0
    assert found.keypoints[0].labelled == 2
    assert found.keypoints[0].matched == 0
    assert np.isnan(found.keypoints[0].similarity)


def test_counts_are_made_up_where_they_are_missing() -> None:
    seen, hidden = person(), person(2, keypoints=[0] * 51)
    lean = [
        {name: entry[name] for name in entry if name not in ("iscrowd", "num_keypoints")} for entry in (seen, hidden)
    ]
    found = evaluate_coco(ground_truth(*lean), [result(seen)])
    assert found.persons == 1
    assert found.statistics["AP"] == pytest.approx(1)


def test_files_lists_and_poses_agree(tmp_path: Path) -> None:
    truth = ground_truth(person(), person(2, 2), person(3, 2))
    rng = np.random.default_rng(0)
    poses = {}
    for picture, count in ((1, 2), (2, 3)):
        xy = np.reshape(person()["keypoints"], (17, 3))[:, :2] + rng.normal(0, 3, (count, 17, 2))
        xy[0, 3] = np.nan
        boxes = np.tile([5, 5, 60, 50], (count, 1))
        poses[picture] = Poses(xy, rng.random((count, 17)), boxes, rng.random(count), COCO17)
    listed = [entry for picture, found in poses.items() for entry in found.to_coco(picture)]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(listed))
    loaded = load_ground_truth(tmp_path / "truth.json")
    assert_equal(evaluate_coco(truth, poses), truth, listed)
    assert_equal(evaluate_coco(tmp_path / "truth.json", str(tmp_path / "results.json")), truth, listed)
    assert_equal(evaluate_coco(loaded, load_results(listed, loaded)), truth, listed)
    other = json.loads(json.dumps(truth).replace('"category_id": 1', '"category_id": 4'))
    other["categories"][0]["id"] = 4
    assert evaluate_coco(other, poses).statistics == evaluate_coco(truth, poses).statistics


def test_breakdown_by_area() -> None:
    truth, results = make(30, 120)
    found = evaluate_coco(truth, results)
    everywhere, medium, large = found.groups
    assert [area.name for area in found.groups] == ["all", "medium", "large"]
    assert everywhere.persons == found.persons >= medium.persons + large.persons
    assert (found.statistics["AP"], found.statistics["AR50"]) == (everywhere.AP, everywhere.AR50)
    assert (found.statistics["APm"], found.statistics["ARl"]) == (medium.AP, large.AR)
    assert pytest.approx(np.mean(found.precision[5, :, :, 1])) == medium.AP75


def test_breakdown_by_keypoint() -> None:
    first, second = person(), person(2, 2)
    second["keypoints"][2] = 0  # no nose
    moved = result(first)
    moved["keypoints"][3] += 2.0  # the left eye
    missed = person(3, 2, bbox=[500, 500, 48, 40], keypoints=[500] * 51)
    found = evaluate_coco(ground_truth(first, second, missed), [moved, result(second)])
    by_name = {keypoint.name: keypoint for keypoint in found.keypoints}
    assert list(by_name) == list(COCO17.names)
    nose, eye = by_name["nose"], by_name["left_eye"]
    assert (nose.labelled, nose.matched, nose.similarity, nose.good) == (2, 1, 1.0, 1.0)
    assert (eye.labelled, eye.matched, eye.good) == (3, 2, 0.5)
    assert eye.similarity == pytest.approx((1 + np.exp(-4 / (2 * 1500 * (2 * 0.025) ** 2))) / 2)


def test_bootstrap_is_that_of_drawn_pictures() -> None:
    truth, results = make(30, 120)
    for number, entry in enumerate(results):
        entry["score"] += number * 1e-7  # among equal scores the order of pictures counts, and drawing changes it
    count = 12
    found = evaluate_coco(truth, results, bootstrap=count, seed=5)
    rng = np.random.default_rng(5)
    pictures = sorted({image["id"] for image in truth["images"]})
    samples = []
    for _ in range(count):
        drawn = [pictures[place] for place in rng.integers(0, len(pictures), len(pictures))]
        copies: Json = {"images": [], "categories": truth["categories"], "annotations": []}
        copied: list[Json] = []
        for number, picture in enumerate(drawn):
            copies["images"].append({"id": number})
            copies["annotations"] += [
                {**entry, "image_id": number, "id": 1000 * number + entry["id"] + 1}
                for entry in truth["annotations"]
                if entry["image_id"] == picture
            ]
            copied += [{**entry, "image_id": number} for entry in results if entry["image_id"] == picture]
        samples.append(evaluate_coco(copies, copied).statistics)
    assert len({sample["AP"] for sample in samples}) > 3
    for name in STATISTICS:
        known = [sample[name] for sample in samples if sample[name] > -1]
        assert found.intervals[name] == pytest.approx(
            np.percentile(known, [2.5, 97.5]) if known else (-1, -1), abs=1e-9
        )


def test_seeds_and_threads_of_the_bootstrap() -> None:
    truth, results = make(30, 120)
    found = evaluate_coco(truth, results, bootstrap=150)
    assert found.intervals == evaluate_coco(truth, results, bootstrap=150, threads=3).intervals
    assert found.intervals != evaluate_coco(truth, results, bootstrap=150, seed=1).intervals
    low, high = found.intervals["AP"]
    assert low < found.statistics["AP"] < high
    assert evaluate_coco(truth, results).intervals == {}


def test_evaluation_is_plain_data() -> None:
    truth, results = data_set(15)
    found = evaluate_coco(truth, results, bootstrap=5)
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["statistics"] == found.statistics
    assert written["groups"][1]["persons"] == found.groups[1].persons
    assert len(written["keypoints"]) == 17
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert again.statistics == found.statistics
    np.testing.assert_array_equal(again.precision, found.precision)


def test_threads_share_what_is_loaded() -> None:
    truth, results = make(30, 120)
    loaded = load_ground_truth(truth)
    found = load_results(results, loaded)
    expected = evaluate_coco(truth, results, bootstrap=20).to_dict()
    with ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda n: evaluate_coco(loaded, found, bootstrap=20, threads=1 + n % 3).to_dict(), range(40))
        assert all(run == expected for run in runs)


def test_scripts_score_folders(tmp_path: Path) -> None:
    truth, results = make(12, 60)
    (tmp_path / "annotations.json").write_text(json.dumps(truth))
    loaded = scoring.load_truth(tmp_path)
    expected = evaluate_coco(truth, results, bootstrap=20)
    found = scoring.score(loaded, results, 20)
    assert found.pop("interval") == expected.intervals["AP"]
    assert found == {name: expected.statistics[name] for name in scoring.STATISTICS}
    assert scoring.score(loaded, results, 0)["interval"] is None
    assert sum(map(len, loaded.persons.values())) == expected.persons
    assert list(loaded.persons) == sorted(loaded.persons)
    picture, (first, *_) = next(iter(loaded.persons.items()))
    left, top, width, height = first["bbox"]
    assert loaded.boxes(picture)[0] == [left, top, left + width, top + height]
    assert loaded.images[picture]["id"] == picture


# Bad input


def broken(section: str, index: int, **changes: Any) -> tuple[Json, list[Json]]:
    truth, results = ground_truth(person(), person(2, 2)), [result(person()), result(person(2, 2))]
    entry = results[index] if section == "results" else truth[section][index]
    for name, value in changes.items():
        if value is None:
            del entry[name]
        else:
            entry[name] = value
    return truth, results


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (broken("annotations", 1, area=None), r"ground truth: annotations\[1\]: field 'area' is missing"),
        (broken("annotations", 0, id=None), r"annotations\[0\]: field 'id' is missing"),
        (broken("annotations", 0, id="a"), r"annotations\[0\]: field 'id': expected a number, got 'a'"),
        (broken("annotations", 1, image_id=[1]), r"annotations\[1\]: field 'image_id': expected an id, got \[1\]"),
        (broken("annotations", 1, category_id=None), r"annotations\[1\]: field 'category_id' is missing"),
        (broken("annotations", 1, bbox=[1, 2, 3]), r"annotations\[1\]: field 'bbox': expected a list of 4 .* not of 3"),
        (broken("annotations", 1, keypoints="abc"), r"annotations\[1\]: field 'keypoints': expected a list of 51"),
        (broken("annotations", 1, keypoints=[1] * 50), r"'keypoints': expected a list of 51 numbers, not of 50"),
        (broken("annotations", 1, keypoints=["1"] * 51), r"'keypoints': expected a list of 51 numbers, got \['1', "),
        (broken("annotations", 1, iscrowd="no"), r"annotations\[1\]: field 'iscrowd': expected a number, got 'no'"),
        (broken("annotations", 1, num_keypoints=[]), r"annotations\[1\]: field 'num_keypoints': expected a number"),
        (broken("images", 1, id=None), r"ground truth: images\[1\]: field 'id' is missing"),
        (broken("images", 1, id="a"), "images: expected ids that are all numbers or all strings, got both"),
        (broken("categories", 0, id={}), r"categories\[0\]: field 'id': expected an id, got {}"),
        (broken("results", 1, score=None), r"results\[1\]: field 'score' is missing"),
        (broken("results", 1, score="0.5"), r"results\[1\]: field 'score': expected a number, got '0.5'"),
        (broken("results", 1, score=10**400), r"results\[1\]: field 'score': expected a number, got 1000"),
        (broken("results", 1, keypoints=[1] * 34), r"results\[1\]: field 'keypoints': expected .* 51 .* not of 34"),
        (broken("results", 1, keypoints=None), r"results\[1\]: field 'keypoints' is missing"),
        (broken("results", 1, image_id=9), r"results\[1\]: field 'image_id': 9 is not the id of a picture"),
        (broken("results", 1, image_id="1"), r"results\[1\]: field 'image_id': '1' is not the id of a picture"),
        (broken("results", 1, category_id=None), r"results\[1\]: field 'category_id' is missing"),
        (broken("results", 0, bbox=[1, 1, 1, 1]), r"results\[1\]: field 'bbox' is missing"),
        (broken("results", 0, segmentation=[]), r"results\[0\]: a segmentation without bbox"),
        (({}, []), "ground truth: field 'images' is missing"),
        (([], []), "ground truth: expected an object with images, annotations and categories, got list"),
        (({**ground_truth(), "annotations": {}}, []), "field 'annotations': expected a list, got dict"),
        ((ground_truth(), 3), "results: expected a list of results, got int"),
        ((ground_truth(), [3]), r"results\[0\]: expected an object, got int"),
        (({**ground_truth(), "images": [1]}, []), r"images\[0\]: expected an object, got int"),
    ],
)
def test_bad_input_is_named(case: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_coco(*case)


def test_bad_files_are_named(tmp_path: Path) -> None:
    for name, content in (("a.json", b"{"), ("b.json", b"\xff"), ("c.json", b"[" * 100_000), ("d.json", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: not valid JSON"):
            evaluate_coco(tmp_path / name, [])
    (tmp_path / "e.json").write_text(json.dumps([result(person(picture=8))]))
    with pytest.raises(ValueError, match=r"e.json\[0\]: field 'image_id': 8 is not the id"):
        evaluate_coco(ground_truth(person()), tmp_path / "e.json")
    with pytest.raises(FileNotFoundError, match="missing"):
        evaluate_coco(tmp_path / "missing.json", [])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigmas": [0.1] * 16}, ValueError, "sigmas: expected 17 numbers"),
        ({"sigmas": [0.0] * 17}, ValueError, "sigmas: expected positive finite numbers"),
        ({"sigmas": ["a"] * 17}, ValueError, "sigmas: expected 17 numbers"),
        ({"max_detections": -1}, ValueError, "max_detections: expected at least 0, got -1"),
        ({"max_detections": 2.0}, TypeError, "max_detections: expected an integer, got 2.0"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        ({"threads": 10**6}, ValueError, "threads must be from 1 to"),
        ({"bootstrap": -5}, ValueError, "bootstrap: expected at least 0, got -5"),
    ],
)
def test_bad_options_are_named(options: Json, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate_coco(ground_truth(person()), [result(person())], **options)


def test_what_was_loaded_for_other_keypoints_is_refused() -> None:
    truth, results = data_set(1, 5)
    loaded = load_ground_truth(truth, 5)
    with pytest.raises(ValueError, match="ground_truth: expected 17 keypoints, got loaded ones of 5"):
        evaluate_coco(loaded, load_results(results, loaded))


def test_poses_must_be_poses() -> None:
    with pytest.raises(TypeError, match="results: expected Poses by picture id, got list for picture 1"):
        evaluate_coco(ground_truth(person()), {1: []})  # type: ignore[dict-item]


def core_arguments() -> list[Any]:
    truth = load_ground_truth(ground_truth(person()))
    found = load_results([result(person())], truth)
    thresholds = OKS_THRESHOLDS.tolist()
    return [truth.columns, found.columns, (1, 2), [0.1] * 17, thresholds, [(0.0, 1e10)], 20, 1]


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        (0, (), ValueError),
        (1, (), ValueError),
        (2, (1, 0), ValueError),
        (2, (-1, 2), ValueError),
        (2, (2**40, 2**40), ValueError),
        (3, [], ValueError),
        (3, [0.1] * 16, ValueError),
        (4, [], ValueError),
        (4, [0.5] * 33, ValueError),
        (5, [], ValueError),
        (6, -1, ValueError),
        (7, 0, ValueError),
    ],
)
def test_core_refuses_what_does_not_fit(place: int, value: Any, error: type[Exception]) -> None:
    arguments = core_arguments()
    _core.KeypointMatches(*arguments)
    arguments[place] = value
    with pytest.raises(error):
        _core.KeypointMatches(*arguments)


def test_core_checks_pairs() -> None:
    truth, areas, sigmas = np.ones((2, 3, 3)), np.ones(2), [0.1] * 3
    pairs = np.array([[1, 0]])
    np.testing.assert_array_equal(_core.keypoint_similarities(truth, areas, truth, pairs, sigmas), np.ones((1, 3)))
    for wrong in (np.array([[2, 0]]), np.array([[0, -1]]), np.array([0, 1]), np.array([[0.0, 1.0]])):
        with pytest.raises((TypeError, ValueError)):
            _core.keypoint_similarities(truth, areas, truth, wrong, sigmas)


def test_core_checks_columns_and_weights() -> None:
    for columns in (0, 1):
        for column in range(len(core_arguments()[columns])):
            arguments = core_arguments()
            changed = list(arguments[columns])
            changed[column] = changed[column][:0] if column else changed[column].astype(np.float32)
            arguments[columns] = tuple(changed)
            with pytest.raises((TypeError, ValueError)):
                _core.KeypointMatches(*arguments)
    matches = _core.KeypointMatches(*core_arguments())
    for weights in (np.ones((1, 3), np.int32), np.ones((1, 2), np.int64), np.full((1, 2), -1, np.int32)):
        with pytest.raises((TypeError, ValueError)):
            matches.samples(weights, RECALLS.tolist(), 1)
