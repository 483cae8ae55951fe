"""A folder with a model and pictures, and the command run in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from leanpose.cli import main
from models import SIZE, dot_model, dots_picture

SPEED = r"(\d+ (picture|frame)s? in \d+\.\d\d s: \d+\.\d (picture|frame)s per second\n)?"
ASTRONAUT = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"
CENTERS = np.array([[3, 5], [12, 20], [20, 9]])


def save_picture(path: Path, shift: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", dots_picture(*SIZE, CENTERS + shift))[1].tobytes())
    return path


class Shop:
    """A folder with a model and a picture, and the command run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.model = dot_model(folder)
        self.picture = save_picture(folder / "a.png")
        self.out = folder / "out"

    def run(self, *arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    def predict(self, *arguments: object) -> tuple[int, str]:
        """Exit code and errors; what is printed besides is the speed, where something was done."""
        code, out, err = self.run("predict", "-m", self.model, "-o", self.out, "--threads", 1, *arguments)
        assert re.fullmatch(SPEED, out)
        return code, err

    def written(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir()) if self.out.is_dir() else []

    def keypoints(self, name: str = "a") -> Any:
        return json.loads((self.out / f"{name}.json").read_text(encoding="utf-8"))
