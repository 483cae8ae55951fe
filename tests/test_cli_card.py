from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
from shop import CENTERS, Shop

from leanpose import COCO17, AssociativeEmbedding, Estimator, Heatmap, ModelCard
from leanpose.metadata import read_card_json
from models import (
    CROWD,
    CROWD_SIZE,
    DOTS,
    constant_model,
    crowd_model,
    crowd_picture,
    dot_card,
    dot_graph,
    heat_model,
    save_model,
)

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
