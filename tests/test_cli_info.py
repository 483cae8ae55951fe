from __future__ import annotations

import json

import numpy as np
import pytest
from shop import Shop

from leanpose import DEFAULT_DETECTOR, Estimator, ModelCard
from models import constant_model, dot_card, dot_graph, save_model


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
        "metadata": {},
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


def test_info_of_a_detector_tells_its_family(shop: Shop) -> None:
    code, out, err = shop.run("info", DEFAULT_DETECTOR)
    assert (code, err) == (0, "")
    rows = dict(line.split(None, 1) for line in out.splitlines())
    assert rows["detector"] == "of the family yolov8"
    assert rows["input"] == "320 x 320 (height x width), rgb, letterbox_center, border 114"
    described = json.loads(shop.run("info", DEFAULT_DETECTOR, "--json")[1])
    assert described["detector"]["thresholds"] == "score 0.3, suppression 0.5"
    assert described["card"] is None
    assert described["metadata"]["names"] == "{0: 'person'}"
    assert "problem" not in described


def test_info_shows_other_metadata(shop: Shop) -> None:
    graph = dot_graph()
    graph.metadata_props.add(key="license", value="a\nb")
    path = save_model(shop.folder / "licensed.onnx", graph, dot_card())
    assert "metadata    license: a b" in shop.run("info", path)[1].splitlines()
    assert json.loads(shop.run("info", path, "--json")[1])["metadata"] == {"license": "a\nb"}
