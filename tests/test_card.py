from __future__ import annotations

import copy
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from leanpose import (
    COCO17,
    Accuracy,
    AssociativeEmbedding,
    Estimator,
    Heatmap,
    InputSpec,
    KeypointSet,
    ModelCard,
    SimCC,
)
from leanpose.metadata import read_card_json, write_card
from models import COLORS, DOTS, dot_card, dot_graph, dot_model, save_model

text = st.text(min_size=1)
finite = st.floats(-1e9, 1e9)
positive = st.floats(1e-9, 1e9)
cards = st.builds(
    ModelCard,
    name=text,
    input=st.builds(
        InputSpec,
        size=st.tuples(st.integers(2, 4096), st.integers(2, 4096)),
        color=st.sampled_from(["rgb", "bgr"]),
        mean=st.tuples(finite, finite, finite),
        std=st.tuples(positive, positive, positive),
        padding=positive,
        transform=st.sampled_from(["plain", "udp"]),
        layout=st.sampled_from(["nchw", "nhwc"]),
        border=st.floats(0, 255),
    ),
    codec=st.builds(
        SimCC,
        split_ratio=positive,
        score_rule=st.sampled_from(["min", "mean", "max", "product"]),
        temperature=st.none() | positive,
        x=st.just("a") | text.map(lambda name: name + "x"),
        y=st.just("b") | text.map(lambda name: name + "y"),
    )
    | st.builds(
        Heatmap,
        stride=positive,
        mapping=st.sampled_from(["plain", "half_pixel", "udp"]),
        refine=st.sampled_from(["none", "quarter", "dark", "udp"]),
        kernel=st.integers(0, 127).map(lambda radius: 2 * radius + 1),
        shift_heatmap=st.booleans(),
        heatmaps=text,
    ),
    keypoints=st.sampled_from([COCO17, DOTS, KeypointSet(("ü",), (), (), (1e-3,))]),
    training_data=st.lists(st.text()).map(tuple),
    accuracy=st.lists(st.builds(Accuracy, text, finite, text)).map(tuple),
    license=text,
)


@given(cards)
def test_json_round_trip(card: ModelCard) -> None:
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_dict(card.to_dict()) == card


def test_file_round_trip_replaces_the_card_and_keeps_other_metadata(tmp_path: Path) -> None:
    graph = dot_graph()
    graph.metadata_props.add(key="author", value="somebody")
    path = save_model(tmp_path / "model.onnx", graph, None)
    assert read_card_json(path) is None
    for card in (dot_card(), replace(dot_card(), name="zweite Fassung, größer")):
        write_card(path, card)
        stored = onnx.load(str(path))
        assert {entry.key: entry.value for entry in stored.metadata_props} == {
            "author": "somebody",
            "leanpose": card.to_json(),
        }
        assert stored.graph == graph.graph
    out = tmp_path / "other.onnx"
    before = path.read_bytes()
    write_card(path, dot_card(), out)
    assert path.read_bytes() == before
    assert ModelCard.from_json(read_card_json(out) or "") == dot_card()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "other.onnx"]


def test_writing_through_a_link_keeps_the_link_and_the_permissions(tmp_path: Path) -> None:
    path, link = dot_model(tmp_path), tmp_path / "link.onnx"
    link.symlink_to(path)
    path.chmod(0o640)
    write_card(link, replace(dot_card(), license="MIT"))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert ModelCard.from_json(read_card_json(path) or "").license == "MIT"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dot_model(tmp_path)
    before = path.read_bytes()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"folder' is a folder; expected the file to write"):
        write_card(path, dot_card(), tmp_path / "folder")
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*none' to write 'model.onnx' into"):
        write_card(path, dot_card(), tmp_path / "none" / "model.onnx")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_card(path, replace(dot_card(), license="MIT"))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dots.onnx", "folder"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    path, pipe = dot_model(tmp_path), tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match=r"pipe' is a device or pipe; expected the file to write"):
        write_card(path, dot_card(), pipe)
    assert pipe.is_fifo()


def test_a_copy_lies_beside_weights_in_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    graph = dot_graph()
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(600, np.float32), "bias"))
    onnx.save_model(graph, str(path), save_as_external_data=True, location="weights", size_threshold=100)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"has weights in files of their own, which '.*copy.onnx' would lack"):
        write_card(path, dot_card(), tmp_path / "folder" / "copy.onnx")
    assert not list((tmp_path / "folder").iterdir())
    write_card(path, dot_card(), tmp_path / "copy.onnx")
    assert Estimator(tmp_path / "copy.onnx", threads=1).card == dot_card()


@pytest.mark.parametrize("suffix", [".json", ".textproto", ".txt", ""])
def test_no_suffix_changes_how_a_file_is_read(suffix: str, tmp_path: Path) -> None:
    path = save_model(tmp_path / f"model{suffix}", dot_graph(), None)
    write_card(path, dot_card())
    assert ModelCard.from_json(read_card_json(path) or "") == dot_card()


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (replace(dot_card(), name=""), "field name: expected a string"),
        (replace(dot_card(), input=replace(dot_card().input, padding=-1.0)), r"field input\.padding"),
        (replace(dot_card(), input=replace(dot_card().input, mean=(0.0, math.nan, 0.0))), "not JSON compliant"),
        (replace(dot_card(), codec=SimCC(0.0)), r"field codec\.split_ratio"),
    ],
)
def test_unsound_cards_are_not_written(card: ModelCard, message: str, tmp_path: Path) -> None:
    path = dot_model(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        write_card(path, card)
    assert path.read_bytes() == before


def with_field(path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(dot_card().to_dict())
    data["accuracy"] = [{"metric": "AP", "value": 0.5, "dataset": "some"}]
    *parents, name = path.split(".")
    node: Any = data
    for parent in parents:
        node = node[int(parent)] if isinstance(node, list) else node[parent]
    node[name] = value
    return data


NOT_TEXT: list[Any] = [None, 1, True, "", ["a"], {}]
NOT_NUMBERS: list[Any] = [None, "1", True, [], {}, math.nan, math.inf, -math.inf, 1e10, 10**400, -(10**400)]
WRONG: dict[str, list[Any]] = {
    "version": [*NOT_NUMBERS, 1.0],
    "name": NOT_TEXT,
    "license": NOT_TEXT,
    "training_data": [None, "coco", [1], [None], {}],
    "input": [None, "rgb", [], 3],
    "input.size": [
        None,
        256,
        "ab",
        [256],
        [256, 192, 3],
        [256.0, 192.0],
        [1, 192],
        [-256, 192],
        [256, 4097],
        [10**400, 5],
        {},
    ],
    "input.color": [None, "RGB", "grey", ["rgb"], 1],
    "input.mean": [None, 0, "abc", [0, 0], [0, 0, 0, 0], [0, 0, math.nan], [0, 0, True], ["1", "2", "3"]],
    "input.std": [None, [1, 1], [1, 1, 0], [1, 1, -1], [1, 1, math.inf]],
    "input.padding": [*NOT_NUMBERS, 0, -1.25],
    "input.transform": [None, "UDP", "affine"],
    "input.layout": [None, "NHWC", "hwc", 1],
    "input.border": [*NOT_NUMBERS, -1, 256],
    "codec": [None, "simcc", []],
    "codec.type": [None, "regression", ["simcc"], {}, 1],
    "codec.split_ratio": [*NOT_NUMBERS, 0, -2],
    "codec.score_rule": [None, "median", 1],
    "codec.temperature": [*NOT_NUMBERS[1:], 0, -1],
    "codec.x": [*NOT_TEXT, "simcc_y"],
    "codec.y": [*NOT_TEXT, "simcc_x"],
    "keypoints": [None, [], "coco"],
    "keypoints.names": [None, [], "abc", [1, 2, 3], ["a", "a", "b"]],
    "keypoints.skeleton": [None, [[0, 3]], [[0]], [[1, 1]], [[0.0, 1.0]], [[10**30, 0]]],
    "keypoints.flip_pairs": [None, [[0, 1], [0, 1]], [[0, 1], [1, 2]], [[0, 1], [1, 0]], [[2, 2]], [["red", "blue"]]],
    "keypoints.sigmas": [None, [0.1, 0.1], [0.1, 0.1, 0], [0.1, 0.1, math.nan], ["1", "2", "3"]],
    "accuracy": [None, "0.5", [0.5], {"metric": "AP"}],
    "accuracy.0.metric": NOT_TEXT,
    "accuracy.0.value": NOT_NUMBERS,
    "accuracy.0.dataset": NOT_TEXT,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values in WRONG.items() for value in values],
    ids=lambda value: f"{value!r:.30}",
)
def test_each_wrong_field_is_named(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^model card: ") as caught:
        ModelCard.from_dict(with_field(path, value))
    named = path.replace(".0.", ".").partition("keypoints.")
    assert named[0] + named[2] in str(caught.value)
    assert len(str(caught.value)) < 300


WRONG_HEATMAP: dict[str, list[Any]] = {
    "stride": [*NOT_NUMBERS, 0, -4],
    "mapping": [None, "UDP", 1, ["plain"]],
    "refine": [None, "taylor", True],
    "kernel": [*NOT_NUMBERS, 0, -1, 10, 11.0, 257],
    "shift_heatmap": [None, 0, 1, "true"],
    "heatmaps": NOT_TEXT,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG_HEATMAP.items() for value in values],
    ids=lambda value: f"{value!r:.30}",
)
def test_each_wrong_field_of_a_heatmap_codec_is_named(name: str, value: Any) -> None:
    codec = {"type": "heatmap", **Heatmap().to_dict()}
    assert ModelCard.from_dict(with_field("codec", codec)).codec == Heatmap()
    for wrong in ({**codec, name: value}, {key: kept for key, kept in codec.items() if key != name}):
        with pytest.raises(ValueError, match=rf"^model card: field codec\.{name}"):
            ModelCard.from_dict(with_field("codec", wrong))


AE = {
    "stride": [*NOT_NUMBERS, 0, -4],
    "tag_stride": [*NOT_NUMBERS, 0, -4],
    "mapping": [None, "plain", 1, ["udp"]],
    "joint_order": [0, "01", {}, [0, 0, 1], [1, 2, 3], [0.0, 1.0, 2.0], [0, 1, None], [True, False], [-1, 0, 1]],
    "max_persons": [*NOT_NUMBERS, 0, -1, 30.0, 1001],
    "detection_threshold": NOT_NUMBERS,
    "tag_threshold": [*NOT_NUMBERS, 0, -1],
    "use_detection_val": [None, 0, 1, "true"],
    "ignore_too_much": [None, 0, 1, "true"],
    "adjust": [None, 0, 1, "true"],
    "refine": [None, 0, 1, "quarter"],
    "nms_window": [*NOT_NUMBERS, 0, -1, 4, 5.0, 257],
    "heatmaps": [*NOT_TEXT, "tags"],
    "tags": [*NOT_TEXT, "heatmaps"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in AE.items() for value in values], ids=lambda v: f"{v!r:.30}"
)
def test_each_wrong_field_of_an_associative_embedding_is_named(name: str, value: Any) -> None:
    codec = {"type": "associative_embedding", **AssociativeEmbedding().to_dict()}
    assert ModelCard.from_dict(with_field("codec", codec)).codec == AssociativeEmbedding()
    for wrong in ({**codec, name: value}, {key: kept for key, kept in codec.items() if key != name}):
        with pytest.raises(ValueError, match=rf"^model card: fields? codec\..*{name}"):
            ModelCard.from_dict(with_field("codec", wrong))


def test_an_order_of_keypoints_survives_json() -> None:
    codec = AssociativeEmbedding(joint_order=(2, 0, 1))
    card = replace(dot_card(), codec=codec)
    assert ModelCard.from_json(card.to_json()) == card


def objects(data: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = [key for key, value in data.items() if isinstance(value, dict)]
    return [path, *(found for key in inner for found in objects(data[key], (*path, key)))]


@pytest.mark.parametrize("path", objects(dot_card().to_dict()), ids=".".join)
def test_missing_and_unknown_fields_are_named(path: tuple[str, ...]) -> None:
    def edited() -> tuple[dict[str, Any], dict[str, Any]]:
        data = copy.deepcopy(dot_card().to_dict())
        node = data
        for key in path:
            node = node[key]
        return data, node

    for name in set(edited()[1]) - {"refine", "layout", "border"}:  # younger than the first cards
        data, node = edited()
        del node[name]
        with pytest.raises(ValueError, match=rf"model card.*{name}"):
            ModelCard.from_dict(data)
    data, node = edited()
    node["colour"] = 1
    with pytest.raises(ValueError, match=r"model card.*unknown field.*colour"):
        ModelCard.from_dict(data)


def test_a_card_without_layout_and_border_means_planes_in_black() -> None:
    data = copy.deepcopy(dot_card().to_dict())
    del data["input"]["layout"], data["input"]["border"]
    spec = ModelCard.from_dict(data).input
    assert (spec.layout, spec.border) == ("nchw", 0.0)


def test_a_card_without_refine_asks_for_none() -> None:
    data = copy.deepcopy(dot_card().to_dict())
    del data["codec"]["refine"]
    assert ModelCard.from_dict(data) == dot_card()
    data["codec"]["refine"] = "yes"
    with pytest.raises(ValueError, match=r"field codec\.refine: expected true or false, got 'yes'"):
        ModelCard.from_dict(data)


def test_sigmas_beyond_floating_point_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^model card: field keypoints: "):
        ModelCard.from_dict(with_field("keypoints.sigmas", [10**400] * 3))


def test_versions_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"version is 2, this leanpose reads version 1; upgrade leanpose"):
        ModelCard.from_dict(with_field("version", 2))
    with pytest.raises(ValueError, match=r"version is 0, .* write the card anew"):
        ModelCard.from_dict(with_field("version", 0))


@pytest.mark.parametrize("depth", [900, 5000, 1_000_000])
def test_deeply_nested_json_is_refused(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for document in (nested, dot_card().to_json().replace('"dots"', nested)):
        with pytest.raises(ValueError, match=r"^model card: "):
            ModelCard.from_json(document)


@pytest.mark.parametrize(
    "document",
    ["", "nope", "{", "[]", "null", "1", '"card"', "NaN", '{"version": ' + "1" * 5000 + "}", "\ufeff{}", "\x00"],
    ids=lambda document: f"{document!r:.20}",
)
def test_text_that_is_no_card(document: str) -> None:
    with pytest.raises(ValueError, match=r"^model card: "):
        ModelCard.from_json(document)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e400"])
def test_json_without_a_finite_number(number: str) -> None:
    document = dot_card().to_json().replace('"padding": 1.0', f'"padding": {number}')
    with pytest.raises(ValueError, match=r"field input\.padding: expected a finite number above 0"):
        ModelCard.from_json(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(list(WRONG)), json_values)
def test_any_value_gives_a_card_or_value_error(path: str, value: Any) -> None:
    data = json.loads(json.dumps(with_field(path, value)))
    try:
        card = ModelCard.from_dict(data)
    except ValueError as error:
        assert str(error).startswith("model card: ")  # noqa: PT017
    else:
        assert ModelCard.from_json(card.to_json()) == card


def test_flip_index_of_the_card_is_an_involution() -> None:
    card = dot_card(keypoints=replace(DOTS, flip_pairs=((0, 2),)))
    read = ModelCard.from_json(card.to_json())
    assert [COLORS[i] for i in read.keypoints.flip_index] == ["blue", "green", "red"]
