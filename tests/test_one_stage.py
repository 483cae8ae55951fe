"""Rows of persons, YOLO's and MoveNet's, against a plain reference that works row by row."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose import COCO17, Estimator, ModelCard, OneStage
from models import constant_model, dot_card

HEIGHT, WIDTH = 96, 128
Row = list[float]
Array = npt.NDArray[Any]


def persons_of(
    seed: int, count: int, keypoints: int = 17
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Boxes in input pixels, scores and keypoints with scores."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, [WIDTH - 40, HEIGHT - 40], (count, 2))
    boxes = np.concatenate((corners, corners + generator.uniform(10, 60, (count, 2))), axis=1)
    places = generator.uniform(0, [WIDTH, HEIGHT], (count, keypoints, 2))
    return boxes, generator.random(count), np.concatenate((places, generator.random((count, keypoints, 1))), axis=2)


def written(form: str, boxes: Any, scores: Any, keypoints: Any, classes: int = 1) -> npt.NDArray[np.float32]:
    """What a network of that form gives for one input."""
    rows: list[Row] = []
    for (left, top, right, bottom), score, points in zip(boxes, scores, keypoints, strict=True):
        if form == "yolo":
            others = [score * 0.5] * (classes - 1)
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            rows.append([*box, *others, score, *points.ravel()])
        elif form == "yolo_objectness":
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            rows.append([*box, 0.8, *[score * 0.5] * (classes - 1), score / 0.8, *points.ravel()])
        elif form == "yolo_end_to_end":
            rows.append([left, top, right, bottom, score, 0, *points.ravel()])
        elif form == "rtmo":
            rows.append([left, top, right, bottom, score, *points.ravel()])
        else:
            flat = [value for x, y, s in points for value in (y / HEIGHT, x / WIDTH, s)]
            rows.append([*flat, top / HEIGHT, left / WIDTH, bottom / HEIGHT, right / WIDTH, score])
    values = np.array(rows, np.float32)
    return values.T if form == "yolo" else values


def outputs_of(form: str, rows: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """The tensors of a batch of what `written` gives."""
    if form != "rtmo":
        return [rows]
    return [rows[..., :5], rows[..., 5:].reshape(*rows.shape[:2], (rows.shape[2] - 5) // 3, 3)]


def codec_of(form: Any, **parameters: Any) -> OneStage:
    return OneStage((HEIGHT, WIDTH), form, keypoints="keypoints" if form == "rtmo" else None, **parameters)


def overlap(a: Any, b: Any) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def expected(boxes: Any, scores: Any, codec: OneStage) -> list[int]:
    """The persons that stay, best first."""
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        threshold = codec.nms_threshold
        free = threshold is None or all(overlap(boxes[index], boxes[better]) <= threshold for better in kept)
        if scores[index] > codec.score_threshold and free:
            kept.append(index)
    return kept[: codec.max_persons]


FORMS = ["yolo", "yolo_objectness", "yolo_end_to_end", "movenet", "rtmo"]
TURN = np.array([[0.5, 0.25, 3.0], [-0.75, 2.0, -1.0]])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("nms_threshold", [None, 0.0, 0.3, 0.7])
@pytest.mark.parametrize("count", [1, 6, 60])
def test_rows_become_the_persons_of_a_plain_reference(form: Any, nms_threshold: float | None, count: int) -> None:
    codec = codec_of(form, nms_threshold=nms_threshold, max_persons=20)
    inputs = [persons_of(seed, count) for seed in (1, 2, 3)]
    transforms = np.stack((np.eye(2, 3), TURN, np.eye(2, 3) * 2))
    rows = np.stack([written(form, *persons) for persons in inputs])
    untouched = rows.copy()
    decoded = codec.decode(outputs_of(form, rows), transforms)
    np.testing.assert_array_equal(rows, untouched)
    assert decoded.boxes is not None
    assert decoded.person_scores is not None
    start = 0
    for item, ((boxes, scores, keypoints), transform) in enumerate(zip(inputs, transforms, strict=True)):
        kept = expected(boxes, scores, codec)
        part = slice(start, start + len(kept))
        assert decoded.items[part].tolist() == [item] * len(kept)
        np.testing.assert_allclose(decoded.person_scores[part], scores[kept], rtol=1e-6)
        np.testing.assert_allclose(decoded.scores[part], keypoints[kept][..., 2], rtol=1e-6)
        placed = keypoints[kept][..., :2] @ transform[:, :2].T + transform[:, 2]
        np.testing.assert_allclose(decoded.xy[part], placed, rtol=1e-5, atol=1e-3)
        corners = boxes[kept].reshape(-1, 2, 2) @ transform[:, :2].T + transform[:, 2]
        np.testing.assert_allclose(decoded.boxes[part], corners.reshape(-1, 4), rtol=1e-5, atol=1e-3)
        start += len(kept)
    assert start == len(decoded.items) == len(decoded.xy)
    assert decoded.xy.dtype == decoded.scores.dtype == decoded.boxes.dtype == decoded.person_scores.dtype == np.float32


@pytest.mark.parametrize("form", ["yolo", "yolo_objectness"])
def test_the_highest_class_counts(form: Any) -> None:
    boxes, scores, keypoints = persons_of(5, 4)
    codec = OneStage((HEIGHT, WIDTH), form, classes=3, score_threshold=-1, nms_threshold=None)
    rows = written(form, boxes, scores, keypoints, classes=3)
    assert rows.shape == ((4 + 3 + 51, 4) if form == "yolo" else (4, 5 + 3 + 51))
    decoded = codec.decode([rows[None]], np.eye(2, 3)[None])
    np.testing.assert_allclose(decoded.person_scores, np.sort(scores)[::-1], rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [0, 5])
def test_nobody_above_the_cut_is_nobody(form: Any, count: int) -> None:
    codec = codec_of(form)
    boxes, scores, keypoints = persons_of(0, 5)
    rows = written(form, boxes, scores * 0.2, keypoints)
    rows = rows[:, :count] if form == "yolo" else rows[:count]
    decoded = codec.decode(outputs_of(form, rows[None]), np.eye(2, 3)[None])
    assert decoded.xy.shape == (0, 17, 2)
    assert decoded.scores.shape == (0, 17)
    assert decoded.boxes is not None
    assert decoded.boxes.shape == (0, 4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38])
def test_values_that_are_not_finite_cost_a_keypoint_or_a_person(form: Any, value: float) -> None:
    boxes, scores, keypoints = persons_of(0, 3)
    scores[:] = 0.9, 0.8, 0.7
    keypoints[0, 4, 0], keypoints[0, 5, 2] = value, value
    boxes[1, 2] = value
    scores[2] = math.nan if value == 3e38 else value
    codec = codec_of(form, nms_threshold=None)
    with np.errstate(over="ignore", invalid="ignore"):
        rows = written(form, boxes, scores, keypoints)
        decoded = codec.decode(outputs_of(form, rows[None]), 5 * np.eye(2, 3)[None])
    np.testing.assert_allclose(decoded.person_scores, [0.9], rtol=1e-6)
    assert np.isnan(decoded.xy[0, 4]).all()
    assert decoded.scores[0, 4] == 0
    assert (decoded.scores[0, 5] == 0) == (not math.isfinite(np.float32(value)))
    assert np.isfinite(decoded.xy[0, :4]).all()


def test_there_is_no_flip_test(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"flip_test: there is none for models of codec one_stage"):
        OneStage().decode_flipped([np.zeros((1, 56, 1), np.float32)] * 1, [], np.eye(2, 3)[None], np.arange(17))
    path = yolo(tmp_path, "yolo")
    with pytest.raises(ValueError, match=r"flip_test: there is none for models of codec one_stage"):
        Estimator(path, threads=1, flip_test=True)


def cells(height: int, width: int) -> int:
    return sum(math.ceil(height / stride) * math.ceil(width / stride) for stride in (8, 16, 32))


def yolo(folder: Path, form: str, batch: Any = "batch") -> Path:
    """Three persons, the last of whom is the second again; all other rows are empty."""
    boxes, scores, keypoints = persons_of(7, 3)
    boxes[0], boxes[1] = (10, 10, 40, 60), (60, 20, 100, 90)
    boxes[2], keypoints[2] = boxes[1] + 1, keypoints[1]
    scores[:] = 0.5, 0.9, 0.8
    rows = written(form, boxes, scores, keypoints)
    if form == "movenet":
        rows = np.concatenate((rows, np.zeros((3, 56), np.float32)))
        return constant_model(folder / "movenet.onnx", [batch, HEIGHT, WIDTH, 3], {"output_0": rows}, dtype=6)
    if form == "rtmo":
        dets, keypoints = (output[0] for output in outputs_of(form, rows[None]))
        return constant_model(folder / "rtmo.onnx", [batch, 3, HEIGHT, WIDTH], {"dets": dets, "keypoints": keypoints})
    if form == "yolo":
        rows = np.concatenate((rows, np.zeros((56, cells(HEIGHT, WIDTH) - 3), np.float32)), axis=1)
    if form == "yolo_objectness":
        rows = np.concatenate((rows, np.zeros((3 * cells(HEIGHT, WIDTH) - 3, 57), np.float32)))
    return constant_model(folder / f"{form}.onnx", [batch, 3, HEIGHT, WIDTH], {"output0": rows})


@pytest.mark.parametrize("batch", ["batch", 1, 4])
@pytest.mark.parametrize(
    ("form", "persons", "spec"),
    [
        ("yolo", [1, 0], ((0, 0, 0), (255, 255, 255), "nchw", 114)),
        ("yolo_objectness", [1, 0], ((0, 0, 0), (255, 255, 255), "nchw", 114)),
        ("yolo_end_to_end", [1, 2, 0], ((0, 0, 0), (255, 255, 255), "nchw", 114)),
        ("rtmo", [1, 2, 0], ((0, 0, 0), (1, 1, 1), "nchw", 114)),
        ("movenet", [1, 2, 0], ((0, 0, 0), (1, 1, 1), "nhwc", 0)),
    ],
)
def test_files_without_a_card_find_persons_in_pictures(
    form: str, persons: list[int], spec: Any, batch: Any, tmp_path: Path
) -> None:
    estimator = Estimator(yolo(tmp_path, form, batch), threads=1)
    card = estimator.card
    assert isinstance(card.codec, OneStage)
    assert (card.codec.form, card.keypoints) == (form, COCO17)
    assert (card.input.mean, card.input.std, card.input.layout, card.input.border) == spec
    assert (card.input.color, card.input.padding) == ("bgr" if form == "rtmo" else "rgb", 1.0)
    _, _, keypoints = persons_of(7, 3)
    keypoints[2] = keypoints[1]
    # twice as high as the input's aspect ratio: the picture lies in the middle, a quarter of the width on each side
    pictures = [np.zeros((HEIGHT * 2, WIDTH, 3), np.uint8)] * 3
    for poses in estimator.predict(pictures):
        placed = keypoints[persons, :, :2] * 2 - (WIDTH / 2, 0)
        np.testing.assert_allclose(poses.xy, placed, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(poses.scores, [(0.5, 0.9, 0.8)[person] for person in persons], rtol=1e-6)
        assert poses.boxes[:, [0, 2]].max() <= WIDTH


def test_the_score_cut_can_be_set(tmp_path: Path) -> None:
    path, picture = yolo(tmp_path, "yolo"), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert len(Estimator(path, threads=1, card={"codec.score_threshold": 0.6}).predict(picture)) == 1
    assert len(Estimator(path, threads=1, card={"codec.nms_threshold": None}).predict(picture)) == 3
    nobody = Estimator(path, threads=1, card={"codec.score_threshold": 0.95}).predict(picture)
    assert nobody.xy.shape == (0, 17, 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_of_one_more_changes_nothing(axis: int, tmp_path: Path) -> None:
    rows = np.zeros((5, 6 + 3 * 17), np.float32)
    rows[2, :5], rows[2, 6:] = (8, 8, 40, 40, 0.9), 20
    card = {"codec.type": "one_stage", "codec.form": "yolo_end_to_end", "codec.rows": "rows"}
    plain, odd = (
        Estimator(constant_model(tmp_path / f"{name}.onnx", [1, 3, 64, 64], {"rows": array}), card=card, threads=1)
        for name, array in (("plain", rows), ("odd", np.expand_dims(rows, axis)))
    )
    picture = np.zeros((64, 64, 3), np.uint8)
    assert len(odd.predict(picture)) == 1
    assert odd.predict(picture) == plain.predict(picture)


def test_the_second_output_belongs_to_rtmo() -> None:
    for codec in (OneStage(form="rtmo"), OneStage(keypoints="keypoints")):
        data = replace(dot_card(), codec=codec).to_dict()
        with pytest.raises(ValueError, match=r"field codec\.keypoints: expected an output where codec\.form"):
            ModelCard.from_dict(data)
    data = replace(dot_card(), codec=OneStage(form="rtmo", rows="a", keypoints="a")).to_dict()
    with pytest.raises(ValueError, match=r"fields codec\.rows and codec\.keypoints: expected two outputs, got 'a'"):
        ModelCard.from_dict(data)


WRONG: dict[str, list[Any]] = {
    "size": [None, 640, [640], [640.0, 640.0], [1, 640]],
    "form": [None, "yolov8", 1],
    "classes": [None, 0, -1, 1.5, True, 100_001],
    "score_threshold": [None, "0.5", True, math.nan, math.inf],
    "nms_threshold": ["0.5", True, -0.1, 1.1, math.nan],
    "max_persons": [None, 0, -1, 2.5, True],
    "rows": [None, "", 1],
    "keypoints": ["", 1, "rows"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=lambda v: f"{v!r:.20}"
)
def test_each_wrong_field_is_named(name: str, value: Any) -> None:
    card = replace(dot_card(), codec=OneStage())
    assert ModelCard.from_json(card.to_json()) == card
    data = card.to_dict()
    data["codec"][name] = value
    with pytest.raises(ValueError, match=rf"^model card: field codec\.{name}: expected "):
        ModelCard.from_dict(data)
    del data["codec"][name]
    with pytest.raises(ValueError, match=rf"^model card: field codec\.{name} is missing"):
        ModelCard.from_dict(data)


@given(
    st.sampled_from(FORMS),
    st.lists(st.lists(st.floats(width=32), min_size=11, max_size=11), min_size=0, max_size=6),
    st.none() | st.floats(0, 1),
)
def test_any_numbers_give_persons_that_can_be_used(
    form: Any, values: list[list[float]], threshold: float | None
) -> None:
    codec = codec_of(form, score_threshold=-1e9, nms_threshold=threshold)
    width = {"yolo": 8, "yolo_objectness": 9, "yolo_end_to_end": 9, "movenet": 8, "rtmo": 8}[form]
    rows = np.array(values, np.float32).reshape(-1, 11)[:, :width]
    decoded = codec.decode(outputs_of(form, (rows.T if form == "yolo" else rows)[None]), TURN[None])
    assert decoded.xy.shape == (len(decoded.items), 1, 2)
    assert decoded.boxes is not None
    assert decoded.person_scores is not None
    assert np.isfinite(decoded.boxes).all()
    assert np.isfinite(decoded.person_scores).all()
    assert np.isfinite(decoded.scores).all()
    assert (np.isnan(decoded.xy).any(axis=2) <= (decoded.scores == 0)).all()
    assert (np.diff(decoded.person_scores) <= 0).all()
