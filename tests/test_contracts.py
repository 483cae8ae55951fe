"""Cards inferred from graphs, by their shapes and names alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leanpose import COCO17, AssociativeEmbedding, Heatmap, Keypoints, KeypointSet, ModelCard, OneStage, SimCC
from leanpose.contracts import infer_card, parse_fields
from leanpose.graph import Graph, Tensor
from leanpose.keypoints import CROWDPOSE14, MPII16, anonymous_keypoints

Shape = Sequence[int | str | None]


def graph_of(image: Shape, outputs: Mapping[str, Shape], dtype: str = "float") -> Graph:
    return Graph(
        (Tensor("image", f"tensor({dtype})", tuple(image)),),
        tuple(Tensor(name, "tensor(float)", tuple(shape)) for name, shape in outputs.items()),
    )


def inferred(image: Shape, outputs: Mapping[str, Shape], dtype: str = "float", **fields: Any) -> ModelCard:
    """The card of a graph; fields are written with __ for the dot."""
    graph = graph_of(image, outputs, dtype)
    card = infer_card(None, graph, "model", {path.replace("__", "."): value for path, value in fields.items()})
    graph.check(card)
    return card


def refused(image: Shape, outputs: Mapping[str, Shape], dtype: str = "float", **fields: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        inferred(image, outputs, dtype, **fields)
    return str(caught.value)


PORTRAIT = ("batch", 3, 256, 192)
SQUARE = (1, 3, 256, 256)
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@pytest.mark.parametrize(
    ("image", "outputs", "codec"),
    [
        (PORTRAIT, {"simcc_x": ("b", 17, 384), "simcc_y": ("b", 17, 512)}, SimCC(2.0)),
        (PORTRAIT, {"simcc_y": ("b", 17, 512), "simcc_x": ("b", 17, 384)}, SimCC(2.0)),
        (PORTRAIT, {"a": ("b", 17, 768), "b": ("b", 17, 576)}, SimCC(3.0, x="b", y="a")),
        (PORTRAIT, {"a": ("b", 17, 288), "b": ("b", 17, 384)}, SimCC(1.5, x="a", y="b")),
        (SQUARE, {"out_x": (1, 17, 512), "out_y": (1, 17, 512)}, SimCC(2.0, x="out_x", y="out_y")),
        (SQUARE, {"y": (1, 17, 256), "x": (1, 17, 256)}, SimCC(1.0, x="x", y="y")),
        (SQUARE, {"simcc_x": (1, 17, 512), "simcc_y": (1, 17, 512), "features": (1, 17, 512)}, SimCC(2.0)),
        (PORTRAIT, {"output": ("b", 17, 64, 48)}, Heatmap(4.0, heatmaps="output")),
        (PORTRAIT, {"output": ("b", 17, 32, 24)}, Heatmap(8.0, heatmaps="output")),
        (PORTRAIT, {"output": ("b", 17, 256, 192)}, Heatmap(1.0, heatmaps="output")),
        ((1, 3, 130, 98), {"output": (1, 17, 32, 24)}, Heatmap(130 / 32, heatmaps="output")),
        ((1, 3, 130, 98), {"output": (1, 17, 33, 25)}, Heatmap(130 / 33, heatmaps="output")),
        (PORTRAIT, {"scores": ("b", 1000), "output": ("b", 17, 64, 48)}, Heatmap(4.0, heatmaps="output")),
        (
            SQUARE,
            {"heatmaps": (1, 17, 128, 128), "tags": (1, 17, 64, 64)},
            AssociativeEmbedding(2.0, 4.0),
        ),
        (
            SQUARE,
            {"embedding_maps": (1, 14, 64, 64), "maps": (1, 14, 64, 64)},
            AssociativeEmbedding(4.0, 4.0, heatmaps="maps", tags="embedding_maps"),
        ),
    ],
)
def test_contracts(image: Shape, outputs: Mapping[str, Shape], codec: Any) -> None:
    card = inferred(image, outputs)
    assert card.codec == codec
    assert card.input.size == image[2:]
    assert (card.input.color, card.input.mean, card.input.std) == ("rgb", *IMAGENET)
    assert card.input.padding == (1.0 if codec.finds_persons else 1.25)
    assert (card.input.transform, card.input.layout, card.input.border) == ("plain", "nchw", 0.0)
    assert (card.name, card.license, card.training_data, card.accuracy) == ("model", "unknown", (), ())


@pytest.mark.parametrize(
    ("count", "keypoints"),
    [(17, COCO17), (14, CROWDPOSE14), (16, MPII16), (133, anonymous_keypoints(133)), (1, anonymous_keypoints(1))],
)
def test_the_number_of_keypoints_names_them(count: int, keypoints: KeypointSet) -> None:
    assert inferred(PORTRAIT, {"x": ("b", count, 384), "y": ("b", count, 512)}).keypoints == keypoints


def test_channels_that_may_be_none_of_keypoints_need_a_word() -> None:
    outputs = {"output": ("b", 21, 64, 48)}
    message = refused(PORTRAIT, outputs)
    assert "does not tell codec.type" in message
    assert 'card={"codec.type": "heatmap"}' in message
    assert inferred(PORTRAIT, outputs, codec__type="heatmap").keypoints == anonymous_keypoints(21)
    names = [f"joint {index}" for index in range(21)]
    assert inferred(PORTRAIT, outputs, keypoints__names=names).keypoints.names == tuple(names)


def test_fields_lie_over_what_the_graph_tells() -> None:
    fields = {
        "codec__refine": "udp",
        "input__color": "bgr",
        "input__padding": 1.5,
        "name": "ViTPose",
        "codec__mapping": "udp",
        "input__transform": "udp",
    }
    card = inferred(PORTRAIT, {"output": ("b", 17, 64, 48)}, **fields)
    assert card.codec == Heatmap(4.0, "udp", "udp", heatmaps="output")
    assert (card.input.color, card.input.padding, card.name) == ("bgr", 1.5, "ViTPose")
    whole = inferred(
        PORTRAIT, {"output": ("b", 17, 64, 48)}, keypoints=COCO17, codec={**card.codec.to_dict(), "type": "heatmap"}
    )
    assert whole.codec == card.codec


@pytest.mark.parametrize(
    ("image", "layout", "size"),
    [
        ((1, 256, 192, 3), "nhwc", (256, 192)),
        ((None, 256, 192, 3), "nhwc", (256, 192)),
        ((1, 3, 256, 192), "nchw", (256, 192)),
        (("b", "c", 256, 192), "nchw", (256, 192)),
    ],
)
def test_layouts(image: Shape, layout: str, size: tuple[int, int]) -> None:
    spec = inferred(image, {"output": ("b", 17, 64, 48)}).input
    assert (spec.layout, spec.size) == (layout, size)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_integer_inputs_take_grey_levels(dtype: str) -> None:
    spec = inferred((1, 256, 192, 3), {"output": ("b", 17, 64, 48)}, dtype).input
    assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 1))
    message = refused((1, 256, 192, 3), {"output": ("b", 17, 64, 48)}, dtype, input__mean=[1, 2, 3])
    assert "fields input.mean and input.std: expected [0, 0, 0] and [1, 1, 1]" in message


@pytest.mark.parametrize(
    "image", [("b", 3, "h", "w"), (1, 3, None, None), (1, "h", "w", 3), (1, 3, 256, "w"), (None,) * 4]
)
def test_dynamic_sizes_are_asked_for(image: Shape) -> None:
    outputs = {"output": ("b", 17, 64, 48)}
    message = refused(image, outputs)
    assert "does not tell input.size" in message
    assert "leanpose card FILE --set 'input.size=[256, 192]'" in message
    assert inferred(image, outputs, input__size=(256, 192)).codec == Heatmap(4.0, heatmaps="output")


@pytest.mark.parametrize("sides", [(0, 0), (0, 192), (1, 1), (256, 100_000)])
def test_sizes_that_no_picture_has_are_refused(sides: tuple[int, int]) -> None:
    pair: dict[str, Shape] = {"x": ("b", 17, 384), "y": ("b", 17, 512)}
    for outputs in (pair, {"maps": ("b", 17, 64, 48)}, {"maps": ("b", "k", 4, 4)}):
        assert f"field input.size: expected 2 integers from 2 to 4096, got {sides}" in refused((1, 3, *sides), outputs)


AMBIGUOUS: dict[str, tuple[Shape, dict[str, Shape], int]] = {
    "square SimCC": (SQUARE, {"a": (1, 17, 512), "b": (1, 17, 512)}, 2),
    "two pairs": (
        PORTRAIT,
        {name: ("b", 17, bins) for name, bins in zip("abcd", (384, 512, 384, 512), strict=True)},
        4,
    ),
    "two named pairs": (SQUARE, dict.fromkeys(("a_x", "a_y", "b_x", "b_y"), (1, 17, 256)), 4),
    "two stages": (PORTRAIT, {"a": ("b", 17, 64, 48), "b": ("b", 17, 64, 48)}, 4),
    "two resolutions": (SQUARE, {"a": (1, 17, 64, 64), "b": (1, 17, 128, 128)}, 3),
    "HigherHRNet's raw outputs": (SQUARE, {"a": (1, 34, 64, 64), "b": (1, 17, 128, 128)}, 2),
    "heatmaps and places": (PORTRAIT, {"a": ("b", 17, 64, 48), "b": ("b", 17, 2), "c": ("b", 17)}, 2),
    "SimCC and heatmaps": (PORTRAIT, {"a": ("b", 17, 384), "b": ("b", 17, 512), "c": ("b", 17, 64, 48)}, 2),
}


@pytest.mark.parametrize(("image", "outputs", "ways"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_each_way_out_of_an_ambiguity_works(image: Shape, outputs: dict[str, Shape], ways: int) -> None:
    message = refused(image, outputs)
    assert f"can be read in {ways} ways" in message
    for tensor in ("image", *outputs):
        assert tensor in message
    commands = re.findall(r"leanpose card FILE (.*?)(?:; or |$)", message)
    assert len(commands) == ways
    cards = []
    for command in commands:
        fields = parse_fields(word for word in shlex.split(command) if word != "--set")
        graph = graph_of(image, outputs)
        cards.append(infer_card(None, graph, "model", fields))
        graph.check(cards[-1])
        assert all(repr(value).replace("'", '"') in message for value in fields.values())
    assert all(first.codec != second.codec for i, first in enumerate(cards) for second in cards[:i])


WHOLE = (1, 3, 640, 640)


@pytest.mark.parametrize(
    ("image", "outputs", "codec"),
    [
        (WHOLE, {"output0": (1, 56, 8400)}, OneStage((640, 640))),
        (WHOLE, {"output0": (1, 47, 8400)}, OneStage((640, 640))),
        ((1, 3, 384, 640), {"output0": (1, 56, 5040)}, OneStage((384, 640))),
        ((1, 3, 1280, 1280), {"rows": (1, 56, 34000)}, OneStage((1280, 1280), rows="rows")),
        (WHOLE, {"output": (1, 25200, 57)}, OneStage((640, 640), "yolo_objectness", rows="output")),
        ((1, 3, 960, 960), {"output0": (1, 57375, 57)}, OneStage((960, 960), "yolo_objectness")),
        ((1, 3, 64, 64), {"output0": (1, 252, 57)}, OneStage((64, 64), "yolo_objectness")),
        (WHOLE, {"output0": (1, 300, 57)}, OneStage((640, 640), "yolo_end_to_end", nms_threshold=None)),
        (WHOLE, {"output0": (1, 0, 57)}, OneStage((640, 640), "yolo_end_to_end", nms_threshold=None)),
        (
            (1, 256, 256, 3),
            {"output_0": (1, 6, 56)},
            OneStage((256, 256), "movenet", nms_threshold=None, rows="output_0"),
        ),
        (
            ("batch", 3, 640, 640),
            {"dets": ("batch", 50, 5), "keypoints": ("batch", 50, 17, 3)},
            OneStage((640, 640), "rtmo", nms_threshold=None, rows="dets", keypoints="keypoints"),
        ),
        (
            WHOLE,
            {"keypoints": (1, 1, 17, 3), "dets": (1, 1, 5)},
            OneStage((640, 640), "rtmo", nms_threshold=None, rows="dets", keypoints="keypoints"),
        ),
        ((1, 192, 192, 3), {"out": (1, 1, 17, 3)}, Keypoints((192, 192), "normalised", "yx", "out", None)),
    ],
)
def test_contracts_of_other_inputs(image: Shape, outputs: Mapping[str, Shape], codec: Any) -> None:
    card = inferred(image, outputs)
    assert card.codec == codec
    assert card.input.padding == (1.0 if codec.finds_persons else 1.25)
    form = codec.form if isinstance(codec, OneStage) else "movenet"
    expected = {"movenet": (1, 0, "rgb"), "rtmo": (1, 114, "bgr")}.get(form, (255, 114, "rgb"))
    assert (card.input.std[0], card.input.border, card.input.color) == expected


def test_rows_of_other_keypoints_or_classes_need_the_codec() -> None:
    for outputs in ({"output0": (1, 68, 8400)}, {"output0": (1, 300, 69)}):
        assert "no known contract" in refused(WHOLE, outputs)
        card = inferred(WHOLE, outputs, codec__type="one_stage")
        assert card.keypoints == anonymous_keypoints(21)
        hands = KeypointSet(tuple(f"joint {index}" for index in range(21)), (), (), (0.1,) * 21)
        assert inferred(WHOLE, outputs, keypoints=hands).keypoints == hands
    outputs = {"output0": (1, 4 + 3 + 51, 8400)}
    assert "no known contract" in refused(WHOLE, outputs)
    assert inferred(WHOLE, outputs, codec__classes=3).codec == OneStage((640, 640), classes=3)
    assert inferred(WHOLE, {"output0": (1, 25200, 58)}, codec__classes=2).keypoints == COCO17
    assert "field codec.classes: expected an integer" in refused(WHOLE, {"a": (1, 56, 8400)}, codec__classes="two")
    assert "ask for output output0 [batch, 56, any]" in refused(WHOLE, outputs, codec__type="one_stage")


@pytest.mark.parametrize(
    "outputs",
    [
        {"output0": (1, 84, 8400)},
        {"output0": (1, 300, 6)},
        {"output0": (1, 8400, 56)},
        {"output0": (1, 56, 8401)},
        {"dets": (1, 100, 5), "labels": (1, 100)},
        {"scores": (1, 1, 2125), "boxes": (1, 2125, 4)},
    ],
)
def test_detectors_and_other_rows_are_no_poses(outputs: dict[str, Shape]) -> None:
    assert "no known contract" in refused(WHOLE, outputs)


def test_keypoints_as_numbers_need_their_unit() -> None:
    pair = {"places": (1, 17, 2), "scores": (1, 17)}
    for outputs in (pair, {"places": (1, 17, 3)}):
        assert "does not tell codec.unit" in refused(SQUARE, outputs)
    codec = Keypoints((256, 256), "normalised", keypoints="places")
    assert inferred(SQUARE, pair, codec__unit="normalised").codec == codec
    triple = inferred(SQUARE, {"places": (1, 17, 3)}, codec__unit="pixel", codec__order="yx").codec
    assert triple == Keypoints((256, 256), "pixel", "yx", "places", None)


UNKNOWN: dict[str, tuple[Shape, dict[str, Shape]]] = {
    "no outputs": (PORTRAIT, {}),
    "a classifier": (PORTRAIT, {"logits": ("b", 1000)}),
    "a single axis": (PORTRAIT, {"simcc_x": ("b", 17, 384)}),
    "different ratios": (PORTRAIT, {"simcc_x": ("b", 17, 384), "simcc_y": ("b", 17, 768)}),
    "different keypoints": (PORTRAIT, {"simcc_x": ("b", 17, 384), "simcc_y": ("b", 16, 512)}),
    "maps of another aspect ratio": (PORTRAIT, {"output": ("b", 17, 64, 64)}),
    "maps larger than the input": (PORTRAIT, {"output": ("b", 17, 512, 384)}),
    "one cell": (PORTRAIT, {"output": ("b", 2048, 1, 1)}),
    "no cells": (PORTRAIT, {"output": ("b", 17, 0, 0)}),
    "no keypoints": (PORTRAIT, {"output": ("b", 0, 64, 48)}),
    "too many keypoints": (PORTRAIT, {"simcc_x": ("b", 10**12, 384), "simcc_y": ("b", 10**12, 512)}),
    "too many axes": (PORTRAIT, {"output": ("b", 1, 1, 17, 64, 48)}),
}


@pytest.mark.parametrize(("image", "outputs"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_contracts_name_inputs_outputs_and_fields(image: Shape, outputs: dict[str, Shape]) -> None:
    message = refused(image, outputs)
    assert "no known contract of pose models fits the graph: inputs image [batch, 3, 256, 192]; outputs" in message
    assert all(name in message for name in outputs)
    assert "Estimator(model, card=" in message
    assert "leanpose card FILE --set codec.type=" in message


@pytest.mark.parametrize(
    ("image", "dtype", "message"),
    [
        ((1, 3, 256), "float", "does not tell input.size"),
        ((1, 1, 256, 192), "float", "[1, 1, 256, 192]; expected (batch, 3, height, width)"),
        ((1, 4, 256, 192), "float", "[1, 4, 256, 192]; expected (batch, 3, height, width)"),
        ((0, 3, 256, 192), "float", "expected a dynamic or positive batch size"),
        (
            (1, 3, 256, 192),
            "int64",
            "expected an input of float32, float16, uint8, int32, the graph's image is tensor(int64)",
        ),
        ((1, 3, 256, 192), "string", "the graph's image is tensor(string)"),
    ],
)
def test_inputs_that_no_pose_model_has(image: Shape, dtype: str, message: str) -> None:
    assert message in refused(image, {"output": (1, 17, 64, 48)}, dtype)


def test_integers_are_no_keypoints() -> None:
    graph = graph_of(PORTRAIT, {"output": ("b", 17, 64, 48)})
    whole = replace(graph, outputs=(replace(graph.outputs[0], type="tensor(int64)"),))
    with pytest.raises(ValueError, match=r"no known contract"):
        infer_card(None, whole, "model", {})
    card = infer_card(None, whole, "model", {"codec.type": "heatmap", "codec.heatmaps": "output"})
    with pytest.raises(ValueError, match=r"output output is tensor\(int64\), expected floats"):
        whole.check(card)


def test_long_lists_of_tensors_are_cut() -> None:
    message = refused(PORTRAIT, {f"output {index}": ("b", 5) for index in range(500)})
    assert "output 7 [b, 5]; and 492 more" in message
    assert len(message) < 1000


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_inputs(count: int) -> None:
    graph = Graph(graph_of(PORTRAIT, {}).inputs * count, graph_of(PORTRAIT, {"output": ("b", 17, 64, 48)}).outputs)
    with pytest.raises(ValueError, match=rf"expected one input, the graph has {count}"):
        infer_card(None, graph, "model", {})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "size": ({"input__size": "large"}, "field input.size: expected 2 integers"),
    "size of another graph": ({"input__size": [128, 96]}, "[128, 96] does not fit"),
    "layout": ({"input__layout": "hwc"}, "field input.layout: expected one of nchw, nhwc"),
    "layout of another graph": ({"input__layout": "nhwc"}, "does not fit"),
    "color": ({"input__color": "grey"}, "field input.color"),
    "field": ({"input__colour": "rgb"}, "unknown field colour"),
    "object": ({"output__size": 1}, "the card has no object 'output'"),
    "codec": ({"codec__type": "regression"}, "field codec.type: expected one of simcc, heatmap"),
    "codec of no string": ({"codec__type": ["heatmap"]}, "field codec.type: expected one of"),
    "another codec": ({"codec__type": "simcc"}, "the graph has no output 'simcc_x', only output"),
    "output": ({"codec__heatmaps": "maps"}, "no known contract"),
    "output and codec": ({"codec__type": "heatmap", "codec__heatmaps": "maps"}, "the graph has no output 'maps'"),
    "stride": ({"codec__stride": 8}, "ask for output output [batch, 17, 32, 24]"),
    "keypoints": ({"keypoints": CROWDPOSE14}, "ask for output output [batch, 14, 64, 48]"),
    "names": ({"keypoints__names": ["a", "b"]}, "field keypoints"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG.values(), ids=WRONG)
def test_wrong_fields_are_named(fields: dict[str, Any], message: str) -> None:
    assert message in refused(PORTRAIT, {"output": ("b", 17, 64, 48)}, **fields)


sides = st.integers(2, 512)


@given(sides, sides, st.integers(1, 40), st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0]))
def test_split_ratios_come_from_shapes(height: int, width: int, count: int, ratio: float) -> None:
    assume(height * ratio % 1 == width * ratio % 1 == 0)
    outputs = {"head_x": ("b", count, int(width * ratio)), "head_y": ("b", count, int(height * ratio))}
    card = inferred(("b", 3, height, width), outputs)
    assert card.codec == SimCC(ratio, x="head_x", y="head_y")
    assert len(card.keypoints) == count


@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([14, 16, 17]), st.integers(1, 32))
def test_strides_come_from_shapes(rows: int, columns: int, count: int, stride: int) -> None:
    card = inferred(("b", 3, rows * stride, columns * stride), {"maps": ("b", count, rows, columns)})
    assert card.codec == Heatmap(float(stride), heatmaps="maps")


lengths = st.integers(0, 300) | st.sampled_from([17, 57, 56, 192, 256, 384, 512, 64, 48, 3, 2, 1, 300, 6])
shapes = st.lists(lengths, min_size=0, max_size=5).map(tuple)
names = st.sampled_from(["a", "b", "simcc_x", "simcc_y", "tags", "heatmaps", "output_0", "keypoints", "scores"])


@given(
    st.sampled_from([PORTRAIT, SQUARE, (1, 192, 192, 3), (1, 3, 64, 64)]) | shapes,
    st.dictionaries(names, shapes, max_size=4),
    st.sampled_from(["float", "float16", "uint8", "int32"]),
)
def test_any_graph_gives_a_card_that_fits_or_value_error(image: Shape, outputs: dict[str, Shape], dtype: str) -> None:
    graph = graph_of(image, outputs, dtype)
    try:
        card = infer_card(None, graph, "model", {})
    except ValueError as error:
        assert len(str(error)) > 20  # noqa: PT017
    else:
        graph.check(card)
        assert ModelCard.from_json(card.to_json()) == card
