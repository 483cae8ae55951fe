"""Boxes of persons from a detector, as training data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

import label_persons
from training.annotations import boxed_persons

ROWS = np.array([[2, 3, 12, 23, 0.9], [20, 5, 30, 30, 0.5], [1, 1, 9, 9, 0.3]], np.float32)


class Seer:
    """Finds the rows above its threshold in bright pictures, and nobody in black ones."""

    def __init__(self, model: str, *, score_threshold: float, providers: str | None) -> None:
        assert model == "seer.onnx"
        self.threshold = score_threshold

    def predict(self, image: np.ndarray) -> Any:
        rows = ROWS[ROWS[:, 4] > self.threshold] if image.any() else ROWS[:0]
        return SimpleNamespace(boxes=rows[:, :4], scores=rows[:, 4])


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(label_persons, "Detector", Seer)
    monkeypatch.setattr(sys, "argv", ["label_persons.py", *words, "--detector", "seer.onnx"])
    label_persons.main()


def test_sure_boxes_are_persons_and_doubtful_ones_crowds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    for name, level in (("a.png", 0), ("b.png", 200)):
        cv2.imwrite(str(tmp_path / "images" / name), np.full((40, 50, 3), level, np.uint8))
    (tmp_path / "images" / "c.jpg").write_bytes(b"no picture")
    run(monkeypatch, str(tmp_path), "--sure", "0.5", "--doubtful", "0.25")
    data = json.loads((tmp_path / "annotations.json").read_text())
    assert [(image["file_name"], image["width"], image["height"]) for image in data["images"]] == [
        ("a.png", 50, 40),
        ("b.png", 50, 40),
    ]
    nobody, found = boxed_persons(data).values()  # as training reads them
    assert nobody == []
    assert [(person["bbox"], person["iscrowd"]) for person in found] == [
        ([2, 3, 10, 20], 0),
        ([20, 5, 10, 25], 1),
        ([1, 1, 8, 8], 1),
    ]
    printed = capsys.readouterr()
    assert "2 pictures, 1 persons, 2 doubtful" in printed.out
    assert "c.jpg" in printed.err


def test_doubtful_scores_lie_below_sure_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, str(tmp_path), "--sure", "0.2", "--doubtful", "0.3")
