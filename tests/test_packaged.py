"""The packaged model: it loads by name from anywhere, says what it is, and finds the astronaut's face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leanpose import COCO17, DEFAULT_MODEL, Estimator, packaged_models

ASTRONAUT = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"
# Read off the photograph by eye, in pixels.
LANDMARKS = {"nose": (222, 124), "left_eye": (247, 108), "right_eye": (204, 103)}


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(threads=1)


def test_the_default_is_packaged_and_opens_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert DEFAULT_MODEL in packaged_models()
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
