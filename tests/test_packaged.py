"""The packaged model: it loads by name from anywhere, says what it is, and finds the astronaut's face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leanpose import COCO17, DEFAULT_DETECTOR, DEFAULT_MODEL, Detector, Estimator, load_image, packaged_models

ASTRONAUT = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"
# Read off the photograph by eye, in pixels.
BODY = (16, 0, 465, 512)
LANDMARKS = {"nose": (222, 124), "left_eye": (247, 108), "right_eye": (204, 103)}


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(threads=1)


def test_the_defaults_are_packaged_and_open_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert packaged_models() == (DEFAULT_MODEL, DEFAULT_DETECTOR)
    assert repr(Detector("person_detector.onnx", threads=1)) == repr(Detector(threads=1))
    assert Estimator("amfacpose.onnx", threads=1).card == Estimator(threads=1).card


def test_the_card_tells_origin_and_accuracy(estimator: Estimator) -> None:
    card = estimator.card
    assert card.keypoints == COCO17
    assert card.training_data
    assert card.license != "unknown"
    (accuracy,) = (entry for entry in card.accuracy if entry.metric == "AP")
    assert 0.1 <= accuracy.value < 1
    assert "ground-truth boxes" in accuracy.dataset


@pytest.mark.parametrize("flip_test", [False, True])
def test_it_finds_the_face_of_a_photograph(flip_test: bool) -> None:
    poses = Estimator(threads=1, flip_test=flip_test).predict(ASTRONAUT)
    assert len(poses) == 1
    assert ((poses.keypoint_scores >= 0) & (poses.keypoint_scores <= 1)).all()
    for name, place in LANDMARKS.items():
        found = poses.xy[0, poses.names.index(name)]
        assert np.linalg.norm(found - place) < 30, name


def test_the_detector_finds_everybody(estimator: Estimator) -> None:
    """Three copies of the astronaut side by side; nobody in an empty picture."""
    detector = Detector(threads=1)
    row = np.tile(load_image(ASTRONAUT), (1, 3, 1))
    found = detector.predict(row)[:3]
    np.testing.assert_allclose(np.sort(found.boxes[:, 0]), BODY[0] + 512 * np.arange(3), atol=70)
    np.testing.assert_allclose(found.boxes[:, 3] - found.boxes[:, 1], BODY[3] - BODY[1], rtol=0.2)
    assert len(detector.predict(np.full((200, 300, 3), 90, np.uint8))) == 0
    poses = Estimator(detector=DEFAULT_DETECTOR, threads=1).predict(row)
    assert poses == estimator.predict(row, detector.predict(row))


def test_without_a_detector_the_picture_is_one_person(estimator: Estimator) -> None:
    np.testing.assert_array_equal(estimator.predict(ASTRONAUT).boxes, [[0, 0, 512, 512]])
