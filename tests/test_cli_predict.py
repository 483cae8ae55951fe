from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import helper, numpy_helper
from shop import CENTERS, Shop, save_picture

from leanpose import Estimator, load_image
from models import SIZE, dot_card, dot_graph, dots_picture, save_model


def test_predict_draws_and_writes_json(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--json") == (0, "")
    assert shop.written() == ["a.jpg", "a.json"]
    poses = Estimator(shop.model, threads=1).predict(shop.picture)
    assert shop.keypoints() == poses.to_dict()
    drawn = load_image(shop.out / "a.jpg")
    expected = poses.draw(load_image(shop.picture), threshold=0.3)
    assert drawn.shape == expected.shape
    assert np.abs(drawn.astype(int) - expected).mean() < 12  # by the losses of JPEG
    assert np.abs(drawn.astype(int) - load_image(shop.picture)).mean() > 15


def test_without_json_only_pictures_are_written(shop: Shop) -> None:
    assert shop.predict(shop.picture) == (0, "")
    assert shop.written() == ["a.jpg"]


def test_good_inputs_are_written_beside_bad_ones(shop: Shop) -> None:
    (shop.folder / "text.png").write_text("no picture")
    (shop.folder / "empty.png").touch()
    good = [save_picture(shop.folder / f"good{i}.png") for i in range(3)]
    bad = [shop.folder / name for name in ("text.png", "empty.png", "missing.png")]
    order = [good[0], bad[0], good[1], bad[1], bad[2], good[2]]
    code, err = shop.predict(*order, "--json")
    assert code == 1
    assert shop.written() == sorted(f"good{i}.{end}" for i in range(3) for end in ("jpg", "json"))
    lines = err.splitlines()
    assert lines[-1] == "leanpose predict: failed: 3"
    assert [line.split(": ")[1] for line in lines[:-1]] == [str(path) for path in bad]


def test_one_box_for_every_picture(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--json", "--boxes", "1,2.5,20,30") == (0, "")
    assert shop.keypoints() == Estimator(shop.model).predict(shop.picture, [1, 2.5, 20, 30]).to_dict()


def test_boxes_from_a_file_by_name_or_path(shop: Shop) -> None:
    other = save_picture(shop.folder / "sub" / "b.png", 1)
    boxes = {"a.png": [[0, 0, 24, 32, 1], [3, 3, 9, 9, 0.5]], str(other): [], "b.png": [[0, 0, 1, 1]]}
    (shop.folder / "boxes.json").write_text(json.dumps(boxes))
    assert shop.predict(shop.picture, other, "--json", "--boxes", "boxes.json") == (0, "")
    assert shop.keypoints() == Estimator(shop.model).predict(shop.picture, boxes["a.png"]).to_dict()
    assert shop.keypoints("b") == Estimator(shop.model).predict(other, []).to_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\udcff", "not valid JSON"),
        ("[[0, 0, 9, 9]]", "expected {picture name: [[x1, y1, x2, y2], ...]}, got list"),
    ],
    ids=lambda text: text[:9],
)
def test_broken_box_files(content: str, message: str, shop: Shop) -> None:
    (shop.folder / "boxes.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    code, err = shop.predict(shop.picture, "--boxes", "boxes.json")
    assert code == 1
    assert err.startswith(f"leanpose predict: --boxes boxes.json: {message}")
    assert shop.written() == []


def test_pictures_that_the_box_file_lacks_or_has_wrong(shop: Shop) -> None:
    for name in ("b", "c", "d", "e"):
        save_picture(shop.folder / f"{name}.png")
    (shop.folder / "boxes.json").write_text(
        '{"a.png": [[0, 0, NaN, 9]], "b.png": [[5, 5, 6, 6]], "d.png": {"x": 1}, "e.png": null}'
    )
    code, err = shop.predict(*(f"{name}.png" for name in "abcde"), "--boxes", "boxes.json")
    assert code == 1
    assert shop.written() == ["b.jpg"]
    assert "a.png: boxes: row 0 is [0, 0, nan, 9]" in err
    assert "c.png: boxes.json has no boxes for 'c.png'" in err
    assert "e.png: boxes.json has no boxes for 'e.png'" in err
    assert "d.png: boxes: expected boxes as x1, y1, x2, y2" in err


@pytest.mark.parametrize("boxes", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "none.json", ".", ""])
def test_boxes_that_are_neither_numbers_nor_a_file(boxes: str, shop: Shop) -> None:
    code, err = shop.predict(shop.picture, f"--boxes={boxes}")
    assert code == 1
    assert err.startswith("leanpose predict: --boxes ")
    assert shop.written() == []


def test_same_stems_do_not_overwrite_each_other(shop: Shop) -> None:
    folders = ("one", "two", "three")
    pictures = [save_picture(shop.folder / folder / "x.png", shift) for shift, folder in enumerate(folders)]
    third = save_picture(shop.folder / "three" / "x-2.png", 3)
    assert shop.predict(*pictures, third, "--json") == (0, "")
    assert len(shop.written()) == 8
    found = {tuple(shop.keypoints(Path(name).stem)["persons"][0]["keypoints"][0][:2]) for name in shop.written()}
    assert found == {(3 + shift, 5 + shift) for shift in range(4)}


def test_folders_and_repetitions(shop: Shop) -> None:
    folder = shop.folder / "pictures"
    for name in ("b.png", "a.PNG", "c.png"):
        save_picture(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    assert shop.predict(folder, folder / "b.png", folder) == (0, "")
    assert shop.written() == ["a.jpg", "b.jpg", "c.jpg"]
    (shop.folder / "empty").mkdir()
    code, err = shop.predict(shop.folder / "empty", folder / "b.png")
    assert code == 1
    assert "empty: the folder holds no picture (.jpg, " in err
    assert shop.written() == ["a.jpg", "b.jpg", "c.jpg"]


def test_inputs_are_never_overwritten(shop: Shop) -> None:
    photo = shop.folder / "photo.jpg"
    photo.write_bytes(cv2.imencode(".jpg", dots_picture(*SIZE, CENTERS))[1].tobytes())
    boxes = shop.folder / "a.json"
    boxes.write_text('{"a.png": [[0, 0, 9, 9]]}')
    before = {path: path.read_bytes() for path in shop.folder.iterdir()}
    for arguments in (["photo.jpg"], ["a.png", photo], ["a.png", "--json", "--boxes", "a.json"]):
        code, _, err = shop.run("predict", "-m", shop.model, "-o", ".", *arguments)
        assert code == 1
        assert "is an input and would be overwritten" in err
    (shop.folder / "link").symlink_to(shop.folder, target_is_directory=True)
    assert shop.run("predict", "-m", shop.model, "-o", "link", photo)[0] == 1
    (shop.folder / "link").unlink()
    assert {path: path.read_bytes() for path in shop.folder.iterdir()} == before
    code, _, err = shop.run("predict", "-m", shop.model, "-o", ".", "a.png", "--boxes", "a.json")
    assert (code, err) == (0, "")


def test_output_folders_that_cannot_be(shop: Shop) -> None:
    for out in (shop.picture, shop.picture / "below"):
        code, _, err = shop.run("predict", "-m", shop.model, "-o", out, shop.picture)
        assert code == 1
        assert err.startswith("leanpose predict: ")
        assert "a.png" in err
    assert shop.predict(shop.picture, "-o", shop.folder / "deep" / "er") == (0, "")
    assert (shop.folder / "deep" / "er" / "a.jpg").is_file()


def test_a_result_that_cannot_be_written_costs_no_other(shop: Shop) -> None:
    (shop.out / "a.jpg").mkdir(parents=True)
    other = save_picture(shop.folder / "b.png")
    code, err = shop.predict(shop.picture, other)
    assert code == 1
    assert err.splitlines()[-1] == "leanpose predict: failed: 1"
    assert (shop.out / "b.jpg").is_file()


def test_many_pictures_in_order(shop: Shop) -> None:
    for index in range(70):
        save_picture(shop.folder / "many" / f"{index:02}.png", index % 4)
    assert shop.predict(shop.folder / "many", "--json")[0] == 0
    for index in range(70):
        first = shop.keypoints(f"{index:02}")["persons"][0]["keypoints"][0]
        assert first[:2] == [3 + index % 4, 5 + index % 4]


def test_predict_options_reach_the_estimator(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--flip-test", "--provider", "cpu", "--threshold", "0.5") == (0, "")
    for wrong, message in (
        (("--provider", "vulkan"), "unknown provider 'vulkan'"),
        (("--threads", "0"), "threads: expected 1 to 1024"),
        (("--threads", "99999999999"), "threads: expected 1 to 1024"),
        (("-m", "none.onnx"), "there is no file 'none.onnx'"),
        (("-m", shop.picture), "is not a sound ONNX model"),
        (("--threshold", "nan"), "threshold: expected a number"),
    ):
        code, err = shop.predict(shop.picture, *wrong)
        assert code == 1
        assert message in err


def test_models_that_fail_during_a_run(shop: Shop) -> None:
    graph = dot_graph()
    for node in graph.graph.node:
        node.input[0] = "wrong" if node.input[0] == "image" else node.input[0]
    graph.graph.node.insert(0, helper.make_node("Reshape", ["image", "shape"], ["wrong"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([7, 3, *SIZE]), "shape"))
    failing = save_model(shop.folder / "failing.onnx", graph, dot_card())
    code, err = shop.predict(shop.picture, "-m", failing)
    assert code == 1
    assert "fails on a batch of shape" in err
