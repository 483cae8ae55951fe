from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from detectors import SIZE, YOLO, Crowd, save_detector
from hypothesis import given
from hypothesis import strategies as st

from leanpose import Detector
from leanpose.detection.families import FAMILIES, recognised

HEIGHT, WIDTH = SIZE
BOXES = [[1, 2, 20, 30], [30.5, 5.25, 50, 40.75], [50, 30, 95, 63.5]]  # far apart
SCORES = [0.5, 0.9, 0.7]
BEST_FIRST = [1, 2, 0]
IMAGENET, UNIT = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)), ((0, 0, 0), (255, 255, 255))
PLAIN, IMAGENET_BGR = ((0, 0, 0), (1, 1, 1)), (IMAGENET[0][::-1], IMAGENET[1][::-1])
# Each form of outputs: the family that recognises it, its resize, colours and normalisation, and what writes it.
SERVED: dict[str, tuple[str, str, str, Any]] = {
    "yolox": ("yolox", "letterbox", "bgr", PLAIN),
    "rtmdet": ("rtmdet", "letterbox", "bgr", IMAGENET_BGR),
    "picodet": ("picodet", "stretch", "rgb", IMAGENET),
    "nanodet": ("nanodet", "stretch", "bgr", IMAGENET_BGR),
    "yolov5": ("yolov5", "letterbox_center", "rgb", UNIT),
    "yolov8": ("yolov8", "letterbox_center", "rgb", UNIT),
    "detr": ("detr", "stretch", "rgb", IMAGENET),
    "deformable_detr": ("deformable_detr", "stretch", "rgb", IMAGENET),
    "rt_detr": ("rt_detr", "stretch", "rgb", UNIT),
}
Writer = Callable[[Any, Any], dict[str, npt.NDArray[Any]]]


def crowd(boxes: Any, scores: Any, **options: Any) -> Crowd:
    return Crowd(boxes, scores, **options)


FORMS: dict[str, tuple[str, Writer]] = {
    "yolox": ("yolox", lambda b, s: Crowd(b, s).yolox()),
    "yolox of one class": ("yolox", lambda b, s: Crowd(b, s, classes=1).yolox()),
    "yolox, decoded": ("yolox", lambda b, s: Crowd(b, s).yolox(decoded=True)),
    "rtmdet": ("rtmdet", lambda b, s: Crowd(b, s).labelled()),
    "rtmdet, labels first": ("rtmdet", lambda b, s: dict(reversed(Crowd(b, s).labelled().items()))),
    "picodet": ("picodet", lambda b, s: Crowd(b, s).picodet()),
    "picodet of one class, boxes first": (
        "picodet",
        lambda b, s: dict(reversed(Crowd(b, s, classes=1).picodet().items())),
    ),
    "picodet by strides": ("picodet", lambda b, s: Crowd(b, s).levels()),
    "nanodet-plus": ("nanodet", lambda b, s: Crowd(b, s).nanodet()),
    "nanodet": ("nanodet", lambda b, s: Crowd(b, s).nanodet(plus=False)),
    "nanodet by strides": ("nanodet", lambda b, s: Crowd(b, s).levels(strides=YOLO, by_turns=True)),
    "yolov5": ("yolov5", lambda b, s: Crowd(b, s).yolov5()),
    "yolov8": ("yolov8", lambda b, s: Crowd(b, s).yolov8()),
    "yolov8 of one class": ("yolov8", lambda b, s: Crowd(b, s, classes=1).yolov8()),
    "yolov8, rows first": ("yolov8", lambda b, s: Crowd(b, s).yolov8(transposed=True)),
    "yolov10": ("yolov8", lambda b, s: Crowd(b, s).rows6()),
    "detr": ("detr", lambda b, s: Crowd(b, s, classes=91, person=1).detr()),
    "deformable_detr": ("deformable_detr", lambda b, s: Crowd(b, s, classes=91, person=1).detr(exclusive=False)),
    "rt_detr": ("rt_detr", lambda b, s: Crowd(b, s).detr(exclusive=False)),
    "rt_detr, finished": ("rt_detr", lambda b, s: Crowd(b, s).apart()),
}


def noise(height: int = HEIGHT, width: int = WIDTH) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> tuple[str, Writer]:
    return FORMS[request.param]


# Known answers


def test_boxes_of_every_form(form: tuple[str, Writer], tmp_path: Path) -> None:
    family, write = form
    detector = Detector(save_detector(tmp_path / "m.onnx", write(BOXES, SCORES)), threads=1)
    assert detector.family == family
    assert detector.input_size == SIZE
    found = detector.predict(noise())
    np.testing.assert_allclose(found.boxes, np.array(BOXES)[BEST_FIRST], atol=2e-3)
    np.testing.assert_allclose(found.scores, np.array(SCORES)[BEST_FIRST], atol=1e-4)


def test_nobody_in_every_form(form: tuple[str, Writer], tmp_path: Path) -> None:
    _, write = form
    detector = Detector(save_detector(tmp_path / "m.onnx", write([], [])), threads=1)
    found = detector.predict(noise())
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))


def test_every_form_into_pictures_of_any_size(form: tuple[str, Writer], tmp_path: Path) -> None:
    _, write = form
    detector = Detector(save_detector(tmp_path / "m.onnx", write(BOXES, SCORES)), threads=1)
    for height, width in ((64, 96), (300, 200), (31, 400), (7, 5)):
        found = detector.predict(noise(height, width))
        scale = np.array([width / WIDTH, height / HEIGHT])
        inner = np.array([WIDTH, HEIGHT])
        if detector.resize != "stretch":
            inner = np.floor(np.array([width, height]) / scale.max() + 0.5)
            scale = np.array([width, height]) / inner
        origin = (np.array([WIDTH, HEIGHT]) - inner) // 2 if detector.resize == "letterbox_center" else 0
        expected = (np.array(BOXES)[BEST_FIRST].reshape(-1, 2, 2) - origin) * scale
        expected = np.clip(expected, 0, (width, height)).reshape(-1, 4)
        expected = expected[(expected[:, 2] > expected[:, 0]) & (expected[:, 3] > expected[:, 1])]
        np.testing.assert_allclose(found.boxes, expected, atol=3e-3 * scale.max(), rtol=1e-5)


def test_every_family_is_served_as_published(tmp_path: Path) -> None:
    assert set(SERVED) == set(FAMILIES) == {family for family, _ in FORMS.values()}
    for family, write in FORMS.values():
        detector = Detector(save_detector(tmp_path / "m.onnx", write(BOXES, SCORES)), threads=1)
        served = (detector.family, detector.resize, detector.color, (detector.mean, detector.std))
        assert served == SERVED[family]
        assert detector.pad == 114


@given(data=st.data(), name=st.sampled_from(sorted(FORMS)))
def test_any_boxes_come_back(data: st.DataObject, name: str) -> None:
    """Without a session: the outputs of all forms, read by what recognises them."""
    family, write = FORMS[name]
    count = data.draw(st.integers(0, 4))
    boxes = []
    for column in range(count):  # side by side
        x1, width = 24 * column + data.draw(st.floats(0, 2)), data.draw(st.floats(17, 21))
        y1, height = data.draw(st.floats(0, 30)), data.draw(st.floats(17, 30))
        boxes.append([x1, y1, x1 + width, y1 + height])
    scores = [data.draw(st.floats(0.3125, 0.984375, width=16)) for _ in boxes]
    outputs = [array[0] for array in write(boxes, scores).values()]
    ((found, form),) = recognised(outputs, SIZE, None, "model")
    assert found == family
    person = 1 if form.classes == 91 else 0
    read, read_scores = form.persons(outputs, person, 0.3)
    order = np.argsort(-read_scores, kind="stable")
    expected = np.argsort(-np.array(scores), kind="stable") if boxes else []
    assert sorted(np.round(read_scores, 3)) == sorted(np.round(np.float32(scores), 3))
    np.testing.assert_allclose(read_scores[order], np.array(scores)[expected], atol=1e-4)
    by_place = np.argsort(read[:, 0]) if len(read) else []
    np.testing.assert_allclose(read[by_place], np.reshape(boxes, (-1, 4)), atol=5e-3)
