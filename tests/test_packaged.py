"""The packaged model: it loads by name from anywhere, says what it is, and finds the astronaut's face."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from shop import ASTRONAUT

from leanpose import COCO17, DEFAULT_DETECTOR, DEFAULT_MODEL, Detector, Estimator, load_image, packaged_models
from leanpose.cli import main

# Read off the photograph by eye, in pixels.
BODY = (16, 5, 375, 512)
LANDMARKS = {"nose": (222, 124), "left_eye": (247, 108), "right_eye": (204, 103)}


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(threads=1)


def test_the_defaults_are_packaged_and_open_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {DEFAULT_DETECTOR, DEFAULT_MODEL} == set(packaged_models())
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


def test_the_detector_tells_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", DEFAULT_DETECTOR, "--json"]) == 0
    metadata = json.loads(capsys.readouterr().out)["metadata"]
    assert "COCO val2017" in metadata["training_data"]
    assert metadata["license"].startswith("Apache-2.0")
    assert metadata["accuracy"].startswith("AP50 0.")


@pytest.mark.parametrize("flip_test", [False, True])
def test_it_finds_the_face_of_a_photograph(flip_test: bool) -> None:
    poses = Estimator(threads=1, flip_test=flip_test).predict(ASTRONAUT)
    assert len(poses) == 1
    assert poses.boxes[0] == pytest.approx(BODY, abs=40)
    assert ((poses.keypoint_scores >= 0) & (poses.keypoint_scores <= 1)).all()
    for name, place in LANDMARKS.items():
        found = poses.xy[0, poses.names.index(name)]
        assert np.linalg.norm(found - place) < 30, name


def test_everybody_is_found_without_boxes(estimator: Estimator) -> None:
    """Three copies of the astronaut, side by side, come first; nobody is in an empty picture."""
    picture = load_image(ASTRONAUT)
    row = np.tile(picture, (1, 3, 1))
    poses = estimator.predict(row)
    np.testing.assert_allclose(np.sort(poses.boxes[:3, 0]), BODY[0] + 512 * np.arange(3), atol=60)
    assert len(estimator.predict(np.full((200, 300, 3), 90, np.uint8))) == 0


def test_the_detector_is_opened_where_it_is_needed(estimator: Estimator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "leanpose")
    fresh = Estimator(threads=1)
    fresh.predict(ASTRONAUT, BODY)
    assert DEFAULT_DETECTOR not in caplog.text
    twin = pickle.loads(pickle.dumps(fresh))  # noqa: S301
    assert twin.predict(ASTRONAUT) == fresh.predict(ASTRONAUT) == estimator.predict(ASTRONAUT)
    assert DEFAULT_DETECTOR in caplog.text
    assert fresh.detector is fresh.detector


def test_threads_share_one_detector() -> None:
    fresh = Estimator(threads=1)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: fresh.detector, range(6)))
    assert opened[0] is not None
    assert all(detector is opened[0] for detector in opened)


def test_a_broken_detector_costs_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT_DETECTOR).write_bytes(b"junk")  # files of the folder come before packaged ones
    poses = Estimator(threads=1).stream([(ASTRONAUT, BODY), ASTRONAUT])
    assert len(next(poses)) == 1
    with pytest.raises(ValueError, match=f"^model: '.*{DEFAULT_DETECTOR}' is not a sound ONNX model"):
        next(poses)


def test_without_a_detector_the_picture_is_one_person() -> None:
    whole = Estimator(detector=None, threads=1)
    assert whole.detector is None
    np.testing.assert_array_equal(whole.predict(ASTRONAUT).boxes, [[0, 0, 512, 512]])


def test_the_command_finds_everybody_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "row.png"), np.tile(load_image(ASTRONAUT), (1, 3, 1)))
    for words, boxes in (([], 3), (["--whole"], 1)):
        out = tmp_path / f"out{boxes}"
        command = ["predict", str(tmp_path / "row.png"), "-o", str(out), "--json", "--no-draw", "--threads", "1"]
        assert main([*command, *words]) == 0
        persons = json.loads((out / "row.json").read_text())["persons"]
        wide = [person for person in persons if person["box"][2] - person["box"][0] > 0.5 * (BODY[2] - BODY[0])]
        assert len(wide) == boxes
