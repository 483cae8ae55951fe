"""Other people's detectors beside a plain reference: needs a folder of models and pictures with labelled persons."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from detectors import YOLO, cells_of
from test_nms import reference as kept_by_nms

from detection_scoring import Results, load_persons
from leanpose import Detector, Estimator
from leanpose.detection.families import FAMILIES

_FOLDER = os.environ.get("LEANPOSE_SHARED")
pytestmark = pytest.mark.skipif(
    _FOLDER is None, reason="LEANPOSE_SHARED does not name a folder with models/*.onnx and data/coco_dev"
)
SHARED = Path(_FOLDER or "")
COCO_DEV = SHARED / "data" / "coco_dev"
Array = npt.NDArray[Any]
Run = Callable[[Array], list[Array]]
THRESHOLD = 0.3


def session(path: Path) -> Run:
    opened = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = opened.get_inputs()[0].name
    return lambda array: opened.run(None, {name: np.float32(array.transpose(2, 0, 1)[None])})


def letterboxed(picture: Array, side: int) -> tuple[Array, Array]:
    """OpenCV on floats, which it does not round."""
    scale = side / max(picture.shape[:2])
    height, width = (int(length * scale + 0.5) for length in picture.shape[:2])
    canvas = np.full((side, side, 3), 114, np.float32)
    canvas[:height, :width] = cv2.resize(picture.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas, np.array([picture.shape[1] / width, picture.shape[0] / height])


def rtmdet(run: Run, picture: Array) -> tuple[Array, Array]:
    canvas, scale = letterboxed(picture, 320)
    dets, labels = run((canvas - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395])
    rows = dets[0][(labels[0] == 0) & (dets[0, :, 4] > THRESHOLD)]
    return rows[:, :4] * np.tile(scale, 2), rows[:, 4]


def yolox(run: Run, picture: Array) -> tuple[Array, Array]:
    canvas, scale = letterboxed(picture, 416)
    boxes, scores = [], []
    for (column, row, stride), values in zip(cells_of((416, 416), YOLO), run(canvas)[0][0], strict=True):
        x, y = (values[0] + column) * stride, (values[1] + row) * stride
        half = np.exp(values[2:4]) * stride / 2
        if values[4] * values[5] > THRESHOLD:
            boxes.append([x - half[0], y - half[1], x + half[0], y + half[1]])
            scores.append(values[4] * values[5])
    return np.reshape(boxes, (-1, 4)) * np.tile(scale, 2), np.array(scores)


def picodet(run: Run, picture: Array) -> tuple[Array, Array]:
    canvas = cv2.resize(picture[..., ::-1].astype(np.float32), (320, 320), interpolation=cv2.INTER_LINEAR)
    scores, boxes = run((canvas - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375])
    rows = scores[0, 0] > THRESHOLD
    return boxes[0][rows] * np.tile([picture.shape[1] / 320, picture.shape[0] / 320], 2), scores[0, 0][rows]


DETECTORS: dict[str, tuple[str, Callable[[Run, Array], tuple[Array, Array]]]] = {
    "rtmdet_nano_person_end2end.onnx": ("rtmdet", rtmdet),
    "yolox_nano_coco80.onnx": ("yolox", yolox),
    "picodet_s_320_pedestrian.onnx": ("picodet", picodet),
}


@pytest.fixture(scope="module")
def pictures() -> list[Path]:
    return sorted((COCO_DEV / "images").iterdir())[::12]


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_equal_those_of_the_reference(name: str, pictures: list[Path]) -> None:
    family, reference = DETECTORS[name]
    detector, run = Detector(SHARED / "models" / name, threads=1), session(SHARED / "models" / name)
    assert detector.family == family
    total = 0
    for path in pictures:
        picture = cv2.imread(str(path))
        boxes, scores = reference(run, picture)
        rows = kept_by_nms(boxes, scores, FAMILIES[family].nms or 1)
        expected = np.clip(boxes[rows], 0, np.tile(picture.shape[1::-1], 2))
        found = detector.predict(path)
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.boxes, expected, atol=0.05)
        np.testing.assert_allclose(found.scores, scores[rows], atol=1e-3)
        total += len(found)
    assert total > 30


@pytest.mark.parametrize("name", DETECTORS)
def test_a_renamed_file_is_recognised(name: str, tmp_path: Path) -> None:
    shutil.copyfile(SHARED / "models" / name, tmp_path / "model.onnx")
    assert Detector(tmp_path / "model.onnx").family == DETECTORS[name][0]


def test_pose_models_are_no_detectors() -> None:
    for name in ("tinypose_256x192_heatmap", "tinypose_256x192_simcc", "rtmpose_t_256x192_random_weights"):
        with pytest.raises(ValueError, match="fit no family of detectors"):
            Detector(SHARED / "models" / f"{name}.onnx")


@pytest.mark.parametrize("name", DETECTORS)
def test_recall(name: str, pictures: list[Path]) -> None:
    labels = dict(load_persons(COCO_DEV))
    detector = Detector(SHARED / "models" / name, threads=1)
    found = [detector.predict(path) for path in pictures]
    results = Results.of([(entry.boxes, entry.scores) for entry in found], [labels[path] for path in pictures])
    right, wrong, _ = results.above(0.3)
    assert results.large_persons > 30
    assert right > 0.7 * results.large_persons
    assert wrong < 2 * len(pictures)


def test_poses_of_persons_that_a_detector_finds(pictures: list[Path]) -> None:
    estimator = Estimator(detector=SHARED / "models" / "rtmdet_nano_person_end2end.onnx", threads=1)
    found = [estimator.detector.predict(path) for path in pictures[:5]] if estimator.detector else []
    for poses, detections in zip(estimator.stream(map(str, pictures[:5])), found, strict=True):
        np.testing.assert_array_equal(poses.boxes, detections.boxes)
        np.testing.assert_array_equal(poses.box_scores, detections.scores)
        assert np.isfinite(poses.xy).all()
