from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detectors import SIZE, Crowd, save_detector

from leanpose import Detections, Detector, load_image
from leanpose.cli import main
from leanpose.drawing import draw_detections

BOXES, SCORES = [[5, 6, 40, 50], [50, 10, 90, 60]], [0.5, 0.9]


class Shop:
    """A folder with a detector and a picture, and the command run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys, self.out = folder, capsys, folder / "out"
        nobody = {"dets": np.empty((1, 0, 5), np.float32), "labels": np.empty((1, 0), np.int64)}
        self.model = save_detector(folder / "m.onnx", Crowd(BOXES, SCORES).labelled(), nobody)
        self.picture = self.save("a.png")

    def save(self, name: str, grey: bool = False) -> Path:
        picture = np.repeat(np.indices(SIZE).sum(axis=0)[..., None], 3, axis=2).astype(np.uint8)
        path = self.folder / name
        path.write_bytes(cv2.imencode(".png", np.zeros_like(picture) if grey else picture)[1].tobytes())
        return path

    def run(self, *arguments: object) -> tuple[int, str, str]:
        code = main(["detect", "-d", str(self.model), "-o", str(self.out), "--threads", "1", *map(str, arguments)])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    def written(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir()) if self.out.is_dir() else []

    def json(self, name: str) -> Any:
        return json.loads((self.out / name).read_text(encoding="utf-8"))


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path, capsys)


def test_pictures_are_drawn_with_json_beside(shop: Shop) -> None:
    black = shop.save("black.png", grey=True)
    code, out, err = shop.run(shop.picture, black)
    assert (code, err) == (0, "")
    assert "2 pictures in" in out
    assert shop.written() == ["a.jpg", "a.json", "black.jpg", "black.json"]
    found = Detector(shop.model, threads=1).predict(shop.picture)
    assert shop.json("a.json") == found.to_dict()
    assert len(found) == 2
    assert shop.json("black.json") == {"persons": []}
    drawn, plain = load_image(shop.out / "a.jpg").astype(int), load_image(shop.picture)
    assert np.abs(drawn - draw_detections(plain, found)).mean() < 5  # by the losses of JPEG
    assert np.abs(drawn - plain).mean() > 10
    assert load_image(shop.out / "black.jpg").max() < 5


def test_boxes_are_drawn_on_a_copy() -> None:
    picture = np.full((*SIZE, 3), 120, np.uint8)
    drawn = draw_detections(picture, Detections(np.array(BOXES), np.array(SCORES)))
    assert (picture == 120).all()
    assert (drawn[6, 10] != 120).any()
    assert (drawn[30, 20] == 120).all()
    np.testing.assert_array_equal(draw_detections(picture, Detections.empty()), picture)


def test_a_video(shop: Shop) -> None:
    path = shop.folder / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE[::-1])
    for _ in range(5):
        writer.write(load_image(shop.picture))
    writer.release()
    code, out, err = shop.run(path)
    assert (code, err) == (0, "")
    assert "5 frames in" in out
    assert shop.written() == ["walk.json", "walk.mp4"]
    frames = shop.json("walk.json")["frames"]
    assert [frame["index"] for frame in frames] == [0, 1, 2, 3, 4]
    assert all(len(frame["persons"]) == 2 for frame in frames)


def test_options_reach_the_detector(shop: Shop) -> None:
    options = ("--no-draw", "--score-threshold", 0.6, "--nms-threshold", 0.5, "--input-size", *SIZE)
    assert shop.run(shop.picture, *options, "--family", "yolox", "--provider", "cpu")[0] == 0
    assert shop.written() == ["a.json"]
    assert [round(person["score"], 2) for person in shop.json("a.json")["persons"]] == [0.9]


def test_good_inputs_are_written_beside_bad_ones(shop: Shop) -> None:
    (shop.folder / "text.png").write_text("no picture")
    code, _, err = shop.run(shop.folder / "text.png", shop.picture, shop.folder / "missing.avi")
    assert code == 1
    assert shop.written() == ["a.jpg", "a.json"]
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        str(shop.folder / "text.png"),
        str(shop.folder / "missing.avi"),
        "failed",
    ]


def test_bad_options(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.run(shop.picture, "--score-threshold", 2)[0] == 1
    assert "leanpose detect: score_threshold: expected" in shop.run(shop.picture, "--score-threshold", 2)[2]
    assert "is an input and would be overwritten" in shop.run(shop.picture, "-o", shop.folder / "a.png")[2]
    assert "is not the height and width" in shop.run(shop.picture, "--input-size", 5, 5)[2]
    with pytest.raises(SystemExit):
        main(["detect", str(shop.picture)])
    assert "-o/--output" in capsys.readouterr().err
