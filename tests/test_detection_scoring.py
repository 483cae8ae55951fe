"""AP50 and recall of boxes: cases by hand, and pycocotools as the reference."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluate_detector
from detection_scoring import FALSE, NEITHER, RIGHT, Persons, Results, iou, load_persons, match
from training.annotations import boxed_persons


def persons(*boxes: tuple[float, float, float, float], areas: Any = None, crowds: Any = None) -> Persons:
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    sides = (rows[:, 2:] - rows[:, :2]).prod(1)
    return Persons(
        rows,
        sides if areas is None else np.array(areas, np.float64),
        np.zeros(len(rows), bool) if crowds is None else np.array(crowds, bool),
    )


def found(*rows: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of rows x1, y1, x2, y2, score."""
    values = np.array(rows, np.float32).reshape(-1, 5)
    return values[:, :4], values[:, 4]


def test_overlap_of_boxes() -> None:
    first = np.array([[0, 0, 10, 10], [20, 20, 30, 40]], float)
    second = np.array([[5, 0, 15, 10], [0, 0, 40, 40]], float)
    np.testing.assert_allclose(iou(first, second), [[50 / 150, 100 / 1600], [0, 200 / 1600]])
    np.testing.assert_allclose(iou(first, second, np.array([False, True])), [[50 / 150, 1], [0, 1]])


def test_each_person_is_found_once_by_the_box_that_comes_first() -> None:
    label = persons((0, 0, 40, 40), (100, 0, 140, 40))
    boxes = np.array([[2, 0, 42, 40], [0, 0, 40, 40], [100, 0, 140, 30], [300, 0, 340, 40]], float)
    assert match(boxes, label).tolist() == [RIGHT, FALSE, RIGHT, FALSE]
    assert match(boxes, label, least=0.8).tolist() == [RIGHT, FALSE, FALSE, FALSE]


def test_small_persons_are_neither_found_nor_false_and_taken_last() -> None:
    label = persons((0, 0, 40, 40), (0, 0, 40, 39), areas=(2000, 900))
    box = np.array([[0, 0, 40, 39]] * 3, float)  # overlaps the small one more
    assert match(box, label, area=1024).tolist() == [RIGHT, NEITHER, FALSE]
    assert match(box, label).tolist() == [RIGHT, RIGHT, FALSE]


def test_boxes_in_a_crowd_do_not_count_however_many() -> None:
    label = persons((0, 0, 200, 100), (0, 0, 40, 40), crowds=(True, False))
    boxes = np.array([[0, 0, 40, 40], [0, 0, 41, 40], [50, 10, 90, 60], [150, 0, 260, 100]], float)
    assert match(boxes, label).tolist() == [RIGHT, NEITHER, NEITHER, FALSE]
    results = Results.of([(boxes, np.array([0.9, 0.8, 0.7, 0.6]))], [label])
    assert (results.persons, results.large_persons) == (1, 1)
    assert results.average_precision() == 1


def test_recall_at_one_false_box_per_picture() -> None:
    label = persons((0, 0, 40, 40), (100, 0, 140, 40))
    hits, miss = [(0, 0, 40, 40), (100, 0, 140, 40)], (200, 200, 240, 240)
    pictures = [
        found((*hits[0], 0.9), (*miss, 0.8), (*miss, 0.5), (*hits[1], 0.4)),
        found((*miss, 0.7), (*hits[0], 0.6), (*hits[1], 0.55)),
    ]
    results = Results.of(pictures, [label, label])
    # false at 0.8, 0.7 and 0.5: two are allowed, so that what scores above 0.5 counts
    assert results.recall() == (pytest.approx(3 / 4), pytest.approx(0.55))
    assert results.recall(0.5) == (pytest.approx(1 / 4), pytest.approx(0.8))
    assert results.recall(2) == (1.0, pytest.approx(0.4))
    assert results.above(0.65) == (1, 2, 3)
    # right, false, false, right, right, false, right: the highest precision from each recall on
    expected = np.select([np.linspace(0, 1, 101) <= level for level in (0.25, 0.75, 1)], [1, 3 / 5, 4 / 7]).mean()
    assert results.average_precision() == pytest.approx(expected)


def test_boxes_of_one_score_count_together_or_not_at_all() -> None:
    label = persons((0, 0, 40, 40))
    results = Results.of([found((0, 0, 40, 40, 0.5), (200, 0, 240, 40, 0.5), (300, 0, 340, 40, 0.5))], [label])
    assert results.recall() == (0.0, 1.0)
    assert results.recall(2) == (1.0, 0.5)


def test_nothing_found_and_nobody_there() -> None:
    nothing = Results.of([found()], [persons((0, 0, 40, 40))])
    assert (nothing.average_precision(), *nothing.recall()) == (0.0, 0.0, 1.0)
    nobody = Results.of([found((0, 0, 40, 40, 0.5))], [persons()])
    assert np.isnan(nobody.average_precision())
    assert nobody.recall() == (0.0, 0.5)


def data_set(seed: int) -> tuple[dict[str, Any], list[list[list[float]]]]:
    """Random pictures of a folder's file, and rows x1, y1, x2, y2, score for each, best first."""
    rng = np.random.default_rng(seed)
    images = [{"id": index, "file_name": f"{index}.png", "width": 300, "height": 300} for index in (3, 1, 7, 5)]
    annotations: list[dict[str, Any]] = []
    rows = []
    for image in images:
        boxes = np.concatenate((rng.uniform(0, 200, (5, 2)), rng.uniform(15, 90, (5, 2))), 1)
        for box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * rng.uniform(0.4, 1)),
                    "iscrowd": int(rng.random() < 0.2),
                }
            )
        near = boxes[rng.integers(0, 5, 14)] + rng.normal(0, 5, (14, 4))
        near[:, 2:] = near[:, :2] + near[:, 2:].clip(5)
        scores = np.sort(rng.random(14))[::-1]
        rows.append(np.concatenate((near, scores[:, None]), 1).tolist())
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}, rows


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluating = pytest.importorskip("pycocotools.cocoeval")
    data, rows = data_set(seed)
    results = [
        {"image_id": image["id"], "category_id": 1, "bbox": [x, y, x1 - x, y1 - y], "score": score}
        for image, entries in zip(data["images"], rows, strict=True)
        for x, y, x1, y1, score in entries
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = json.loads(json.dumps(data))
        truth.createIndex()
        evaluation = evaluating.COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.catIds = [1]
        evaluation.evaluate()
        evaluation.accumulate()
    expected = evaluation.eval["precision"][0, :, 0, 0, -1].mean()
    labels = [Persons.of(entries) for entries in boxed_persons(data).values()]
    values = [np.array(entries) for entries in rows]
    reached = Results.of([(entries[:, :4], entries[:, 4]) for entries in values], labels)
    assert reached.average_precision() == pytest.approx(expected, abs=1e-9)
    assert 0.1 < expected < 0.99


def test_other_categories_and_empty_boxes_are_no_persons(tmp_path: Path) -> None:
    data, _ = data_set(0)
    whole = len(data["annotations"])
    data["annotations"] += [
        {"id": 98, "image_id": 1, "category_id": 2, "bbox": [0, 0, 50, 50], "area": 2500},
        {"id": 99, "image_id": 1, "category_id": 1, "bbox": [10, 10, 0, 50], "area": 0},
    ]
    data["images"].append({"id": 100, "file_name": "empty.png", "width": 10, "height": 10})
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    pictures = load_persons(tmp_path)
    assert sum(len(label.boxes) for _, label in pictures) == whole
    assert pictures[-1][0] == tmp_path / "images" / "empty.png"
    assert pictures[-1][1].boxes.shape == (0, 4)


class Found:
    def __init__(self, rows: Any) -> None:
        self.boxes, self.scores = found(*rows)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of two files, whose results stand here in the place of detectors."""
    data, rows = data_set(1)
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    numbers = [image["file_name"] for image in data["images"]]

    class Reader:
        def __init__(self, model: str, **keywords: Any) -> None:
            assert keywords["score_threshold"] == 0.01
            self.every = model == "all.onnx"

        def predict(self, path: Path) -> Found:
            return Found([tuple(row) for row in rows[numbers.index(path.name)]] if self.every else [])

    monkeypatch.setattr(evaluate_detector, "Detector", Reader)
    monkeypatch.setattr(sys, "argv", ["", "--model", "all.onnx", "none.onnx", "--data", str(tmp_path)])
    evaluate_detector.main()
    results = Results.of(
        [(np.array(entries)[:, :4], np.array(entries)[:, 4]) for entries in rows],
        [p for _, p in load_persons(tmp_path)],
    )
    output = capsys.readouterr().out
    assert f"4 pictures, {results.persons} persons, {results.large_persons} of area above 1024" in output
    recall, score = results.recall()
    assert f"{'all':<40} {results.average_precision():7.4f} {recall:7.4f} {score:6.3f}\n" in output
    assert f"{'none':<40} {0:7.4f} {0:7.4f} {1:6.3f}\n" in output
    right, _, _ = results.above(0.3)
    assert f"{right:5}/{results.large_persons:<5}" in output
