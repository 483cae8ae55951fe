from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from leanpose import COCO17, AssociativeEmbedding, Estimator, Heatmap, ModelCard, load_image
from leanpose.cli import COMMANDS, main
from leanpose.metadata import read_card_json
from models import (
    CROWD,
    CROWD_SIZE,
    DOTS,
    SIZE,
    constant_model,
    crowd_model,
    crowd_picture,
    dot_card,
    dot_graph,
    dot_model,
    dots_picture,
    heat_model,
    save_model,
)

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
        code, out, err = self.run("predict", "-m", self.model, "-o", self.out, "--threads", 1, *arguments)
        assert out == ""
        return code, err

    def written(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir()) if self.out.is_dir() else []

    def keypoints(self, name: str = "a") -> Any:
        return json.loads((self.out / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path, capsys)


# predict


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


# info


def test_info_as_text(shop: Shop) -> None:
    code, out, err = shop.run("info", shop.model)
    assert (code, err) == (0, "")
    rows = dict(line.split(None, 1) for line in out.splitlines() if not line.startswith(("mean, std", "trained on")))
    assert rows["name"] == "dots"
    assert rows["inputs"] == "image [batch, 3, 32, 24]"
    assert rows["outputs"] == "simcc_x [batch, 3, 24]; simcc_y [batch, 3, 32]"
    assert rows["input"] == "32 x 24 (height x width), rgb, padding 1, plain transform"
    assert rows["keypoints"] == "3: red, green, blue"
    assert str(shop.model) in rows["file"]


def test_info_as_json(shop: Shop) -> None:
    code, out, err = shop.run("info", shop.model, "--json")
    assert (code, err) == (0, "")
    described = json.loads(out)
    assert ModelCard.from_dict(described.pop("card")) == dot_card()
    assert described == {
        "path": str(shop.model),
        "bytes": shop.model.stat().st_size,
        "inputs": {"image": ["batch", 3, 32, 24]},
        "outputs": {"simcc_x": ["batch", 3, 24], "simcc_y": ["batch", 3, 32]},
    }


@pytest.mark.parametrize("name", ["a.png", "none.onnx", "."])
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_info_on_what_is_no_model(name: str, arguments: list[str], shop: Shop) -> None:
    code, out, err = shop.run("info", name, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("leanpose info: model: ")


def test_info_without_a_card_shows_what_the_graph_tells(shop: Shop) -> None:
    bare = save_model(shop.folder / "bare.onnx", dot_graph(), None)
    code, out, err = shop.run("info", bare)
    assert (code, err) == (0, "")
    assert "image [batch, 3, 32, 24]" in out
    assert "none: what follows is read from the graph" in out
    assert "simcc, split_ratio 1.0" in out
    code, out, _ = shop.run("info", bare, "--json")
    assert code == 0
    assert json.loads(out)["card_is_inferred"] is True
    assert ModelCard.from_dict(json.loads(out)["card"]) == Estimator(bare, threads=1).card


def test_info_of_what_no_contract_fits_shows_the_graph(shop: Shop) -> None:
    path = constant_model(shop.folder / "other.onnx", ["batch", 3, 32, 24], {"logits": np.zeros(1000)})
    code, out, err = shop.run("info", path)
    assert (code, err) == (0, "")
    assert "no known contract of pose models fits the graph" in out
    code, out, _ = shop.run("info", path, "--json")
    assert (code, json.loads(out)["card"]) == (0, None)
    assert "logits [batch, 1000]" in json.loads(out)["problem"]


def test_info_on_a_card_that_lies_shows_the_graph_and_fails(shop: Shop) -> None:
    lying = save_model(shop.folder / "lying.onnx", dot_graph(), dot_card(size=(24, 32)))
    code, out, err = shop.run("info", lying)
    assert (code, err) == (1, "")
    assert "image [batch, 3, 32, 24]" in out
    assert "field input.size" in out


def test_card_mends_a_card_that_lies_but_writes_none(shop: Shop) -> None:
    lying = save_model(shop.folder / "lying.onnx", dot_graph(), dot_card(size=(24, 32)))
    before = lying.read_bytes()
    code, _, err = shop.run("card", lying, "--set", "name=other")
    assert code == 1
    assert "field input.size" in err
    assert lying.read_bytes() == before
    code, _, err = shop.run("card", lying, "--set", "input.size=[32,24]")
    assert (code, err) == (0, "")
    assert Estimator(lying, threads=1).card.input.size == (32, 24)


# card

SETTINGS = [
    "input.size=[32,24]",
    "input.mean=[0,0,0]",
    "input.std=[1,1,1]",
    "input.padding=1",
    "codec.split_ratio=1",
    f"keypoints={json.dumps(DOTS.to_dict())}",
]


def test_card_makes_a_bare_model_usable(shop: Shop) -> None:
    bare = save_model(shop.folder / "bare.onnx", dot_graph(), None)
    code, out, err = shop.run("card", bare, *(word for setting in SETTINGS for word in ("--set", setting)))
    assert code == 0
    assert "has no card" in err
    card = ModelCard.from_json(out)
    assert card == ModelCard.from_dict({**dot_card().to_dict(), "name": "bare"})
    estimator = Estimator(bare, threads=1)
    assert estimator.card == card
    np.testing.assert_array_equal(estimator.predict(shop.picture).xy, [CENTERS])


def test_card_reads_what_the_graph_tells_and_writes_it(shop: Shop) -> None:
    path = constant_model(shop.folder / "hrnet.onnx", ["batch", 3, 256, 192], {"output": np.zeros((17, 64, 48))})
    code, out, err = shop.run("card", path)
    assert code == 0
    assert err == "the file has no card: read from its graph as heatmap\n"
    card = ModelCard.from_json(out)
    assert (card.name, card.codec, card.keypoints) == ("hrnet", Heatmap(heatmaps="output"), COCO17)
    assert Estimator(path, threads=1).card == card == ModelCard.from_json(read_card_json(path) or "")


def test_card_and_predict_name_the_fields_that_settle_an_ambiguity(shop: Shop) -> None:
    stages = {"a": np.zeros((17, 64, 48)), "b": np.zeros((17, 64, 48))}
    path = constant_model(shop.folder / "stages.onnx", ["batch", 3, 256, 192], stages)
    before = path.read_bytes()
    code, out, err = shop.run("card", path)
    assert (code, out) == (1, "")
    assert "can be read in 4 ways: inputs image [batch, 3, 256, 192]; outputs a [batch, 17, 64, 48]; b [" in err
    assert "leanpose card FILE --set codec.type=heatmap --set codec.heatmaps=b" in err
    assert path.read_bytes() == before
    code, err = shop.predict(shop.picture, "--model", path)
    assert code == 1
    assert "can be read in 4 ways" in err
    code, out, _ = shop.run("card", path, "--set", "codec.type=heatmap", "--set", "codec.heatmaps=b")
    assert code == 0
    assert ModelCard.from_json(out).codec == Heatmap(heatmaps="b")


def test_card_of_a_file_without_one_needs_a_runtime(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = save_model(shop.folder / "bare.onnx", dot_graph(), None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, err = shop.run("card", bare)
    assert (code, out) == (1, "")
    assert "found no ONNX Runtime" in err
    code, _, err = shop.run("card", shop.model, "--set", "name=other")
    assert code == 0
    assert "the card is not checked against the graph" in err


def test_card_of_another_codec_starts_from_its_parameters(shop: Shop) -> None:
    model = heat_model(shop.folder, 4)
    settings = ["codec.type=simcc", "codec.type=heatmap", "codec.stride=4"]
    code, out, _ = shop.run("card", model, *(word for setting in settings for word in ("--set", setting)))
    assert code == 0
    assert ModelCard.from_json(out).codec == Heatmap()
    code, _, err = shop.run(
        "card", model, "--set", "codec.refine=none", "--set", "codec.type=heatmap", "-o", "new.onnx"
    )
    assert (code, err) == (0, "")
    assert Estimator(shop.folder / "new.onnx", threads=1).card.codec == Heatmap(refine="none")


def test_card_of_a_bottom_up_model_takes_whole_pictures(shop: Shop) -> None:
    model = crowd_model(shop.folder, stride=2, tag_stride=4)
    described = onnx.load_model(model)
    del described.metadata_props[:]
    onnx.save_model(described, model)
    settings = [
        "codec.type=associative_embedding",
        f"input.size={list(CROWD_SIZE)}",
        "input.mean=[0,0,0]",
        "input.std=[255,255,255]",
        f"keypoints={json.dumps(CROWD.to_dict())}",
    ]
    code, out, _ = shop.run("card", model, *(word for setting in settings for word in ("--set", setting)))
    assert code == 0
    card = ModelCard.from_json(out)
    assert (card.codec, card.input.padding) == (AssociativeEmbedding(), 1.0)
    picture = crowd_picture(*CROWD_SIZE, [((20, 12), (30, 40)), ((60, 14), (70, 44))])
    assert len(Estimator(model, threads=1).predict(picture)) == 2
    assert "found in pictures" in shop.run("info", model)[1]
    assert "one per box" in shop.run("info", shop.model)[1]


def test_card_prints_what_a_file_has_and_leaves_it(shop: Shop) -> None:
    before = shop.model.read_bytes()
    code, out, err = shop.run("card", shop.model)
    assert (code, err) == (0, "")
    assert ModelCard.from_json(out) == dot_card()
    assert shop.model.read_bytes() == before


def test_card_copies_where_only_an_output_is_given(shop: Shop) -> None:
    code, _, err = shop.run("card", shop.model, "-o", "copy.onnx")
    assert (code, err) == (0, "")
    assert Estimator(shop.folder / "copy.onnx", threads=1).card == dot_card()


def test_card_changes_only_what_is_set(shop: Shop) -> None:
    before = shop.model.read_bytes()
    settings = ["license=CC BY 4.0", "codec.temperature=2.5", 'accuracy=[{"metric":"AP","value":0.5,"dataset":"x"}]']
    words = [word for setting in settings for word in ("--set", setting)]
    code, _, err = shop.run("card", shop.model, *words, "-o", "new.onnx")
    assert (code, err) == (0, "")
    assert shop.model.read_bytes() == before
    expected = dot_card().to_dict()
    expected["license"] = "CC BY 4.0"
    expected["codec"]["temperature"] = 2.5
    expected["accuracy"] = [{"metric": "AP", "value": 0.5, "dataset": "x"}]
    assert json.loads(read_card_json("new.onnx") or "") == expected


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("license", "'license': expected FIELD=VALUE"),
        ("", "expected FIELD=VALUE"),
        ("=5", "unknown field"),
        ("colour=rgb", "unknown field colour"),
        ("input.colour=rgb", "input: unknown field colour"),
        ("input.color=blue", "field input.color: expected one of rgb, bgr, got 'blue'"),
        ("output.size=1", "the card has no object 'output'"),
        ("name.first=x", "the card has no object 'name'"),
        ("keypoints.names.0=x", "the card has no object 'names'"),
        ("input.size=256,192", "field input.size: expected 2 integers"),
        ("input.padding=NaN", "field input.padding"),
        ("codec.type=regression", "field codec.type: expected one of simcc, heatmap"),
        ("codec.type=heatmap", "the graph has no output 'heatmaps'"),
        ("codec.x=simcc_y", "expected two outputs"),
        ("name=123", "field name: expected a string, got 123"),
        ("version=2", "version is 2"),
        ("name=" + "[" * 100_000, "recursion"),
    ],
    ids=lambda text: text[:25],
)
def test_bad_assignments_write_nothing(assignment: str, message: str, shop: Shop) -> None:
    before = {path.name: path.read_bytes() for path in shop.folder.iterdir()}
    for output in ([], ["-o", "new.onnx"]):
        code, out, err = shop.run("card", shop.model, "--set", "license=MIT", "--set", assignment, *output)
        assert (code, out) == (1, "")
        assert message in err
    assert {path.name: path.read_bytes() for path in shop.folder.iterdir()} == before


@pytest.mark.parametrize("name", ["a.png", "none.onnx", "."])
def test_card_of_what_is_no_model(name: str, shop: Shop) -> None:
    code, out, err = shop.run("card", name, "--set", "name=x")
    assert (code, out) == (1, "")
    assert err.startswith("leanpose card: model: ")


def test_card_without_the_onnx_package(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, out, err = shop.run("card", shop.model)
    assert (code, out) == (1, "")
    assert "pip install 'leanpose[card]'" in err
    assert shop.predict(shop.picture) == (0, "")
    assert shop.run("info", shop.model)[0] == 0


# the command itself


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    assert "usage: leanpose" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["--fast"],
        ["predict"],
        ["predict", "a.png"],
        ["info"],
        ["info", "a", "b"],
        ["predict", "a.png", "-o", "out", "--threads", "two"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: leanpose" in capsys.readouterr().err


def test_python_m_leanpose(shop: Shop) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-W", "error", "-m", "leanpose", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C"})

    version = run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("leanpose ")
    done = run("predict", shop.picture, "missing.png", "-o", shop.out, "-m", shop.model, "--threads", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "leanpose predict: missing.png: image: there is no file 'missing.png'",
        "leanpose predict: failed: 1",
    ]
    assert shop.written() == ["a.jpg"]
