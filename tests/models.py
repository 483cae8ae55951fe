"""Tiny ONNX models whose answers are known: their three keypoints are the brightest red, green and blue pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from leanpose import AssociativeEmbedding, Heatmap, InputSpec, KeypointSet, ModelCard, SimCC
from leanpose.metadata import write_card

SIZE = (32, 24)  # input height and width
COLORS = ("red", "green", "blue")
DOTS = KeypointSet(COLORS, ((0, 1), (1, 2)), (), (0.1, 0.1, 0.1))
CROWD_SIZE = (64, 96)
CROWD = KeypointSet(("red", "green"), ((0, 1),), (), (0.1, 0.1))
TAGS = 60.0  # tag of the brightest blue, so that steps of 5 grey levels tell persons apart


def dot_card(
    *,
    size: tuple[int, int] = SIZE,
    split_ratio: float = 1.0,
    color: Any = "rgb",
    padding: float = 1.0,
    transform: Any = "plain",
    keypoints: KeypointSet = DOTS,
    temperature: float | None = None,
) -> ModelCard:
    spec = InputSpec(size, color, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), padding, transform)
    return ModelCard("dots", spec, SimCC(split_ratio, "min", temperature), keypoints)


def dot_graph(
    size: tuple[int, int] = SIZE,
    split_ratio: int = 1,
    batch: int | str | None = "batch",
    *,
    dtype: int = TensorProto.FLOAT,
    output_dtype: int = TensorProto.FLOAT,
    hide_shapes: bool = False,
    channels: int = 3,
    inputs: Sequence[str] = ("image",),
) -> onnx.ModelProto:
    """simcc_x is the largest value of each channel in a column, simcc_y in a row, interpolated to bins.

    With `hide_shapes` the graph declares its outputs' shapes dynamic, so that only a run tells them.
    """
    height, width = size
    nodes = []
    for name, axis in (("x", 2), ("y", 3)):
        nodes += [
            helper.make_node("ReduceMax", [inputs[0]], [f"max_{name}"], axes=[axis], keepdims=0),
            helper.make_node(
                "Resize",
                [f"max_{name}", "", "scales"],
                [f"bins_{name}"],
                mode="linear",
                coordinate_transformation_mode="asymmetric",  # bin b lies at input pixel b / split_ratio
            ),
            helper.make_node("Cast", [f"bins_{name}"], [f"simcc_{name}"], to=output_dtype),
        ]
    bins = ("bins_x", "bins_y") if hide_shapes else (width * split_ratio, height * split_ratio)
    graph = helper.make_graph(
        nodes,
        "dots",
        [helper.make_tensor_value_info(name, dtype, [batch, channels, height, width]) for name in inputs],
        [
            helper.make_tensor_value_info(
                f"simcc_{axis}", output_dtype, ["n", "k", count] if hide_shapes else [batch, channels, count]
            )
            for axis, count in zip("xy", bins, strict=True)
        ],
        [helper.make_tensor("scales", TensorProto.FLOAT, [3], [1.0, 1.0, float(split_ratio)])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def save_model(path: Path, graph: onnx.ModelProto, card: ModelCard | str | None) -> Path:
    """Write a graph with a card, with text in its place, or without."""
    if isinstance(card, str):
        graph.metadata_props.add(key="leanpose", value=card)
    path.write_bytes(graph.SerializeToString())
    if isinstance(card, ModelCard):
        write_card(path, card)
    return path


def dot_model(folder: Path, name: str = "dots.onnx", batch: int | str | None = "batch", **card: Any) -> Path:
    """A sound model file; further arguments are those of `dot_card`."""
    written = dot_card(**card)
    assert isinstance(written.codec, SimCC)
    graph = dot_graph(written.input.size, int(written.codec.split_ratio), batch)
    return save_model(folder / name, graph, written)


def heat_model(folder: Path, stride: int, **codec: Any) -> Path:
    """Its three heatmaps, from 0 to 1, are the means of each channel over squares of `stride` pixels."""
    height, width = SIZE
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["image"], ["heatmaps"], kernel_shape=[stride, stride], strides=[stride, stride]
            )
        ],
        "heat",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, height, width])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, ["batch", 3, height // stride, width // stride])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    card = dot_card()
    spec = replace(card.input, std=(255.0, 255.0, 255.0))
    card = replace(card, input=spec, codec=Heatmap(float(stride), **codec))
    return save_model(folder / f"heat{stride}.onnx", model, card)


def pooled(source: str, target: str, stride: int) -> list[onnx.NodeProto]:
    sides = [stride, stride]
    return [helper.make_node("AveragePool", [source], [target], kernel_shape=sides, strides=sides)]


def crowd_model(
    folder: Path,
    name: str = "crowd.onnx",
    size: tuple[int, int] = CROWD_SIZE,
    batch: int | str = "batch",
    *,
    stride: int = 1,
    tag_stride: int = 2,
    keypoints: KeypointSet = CROWD,
    card: dict[str, Any] | None = None,
    **codec: Any,
) -> Path:
    """Heatmaps of two keypoints, from 0 to 1, are the means of red and green; the tags of both are TAGS times blue."""
    height, width = size
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["image", "0", "2", "1"], ["red_green"]),
            helper.make_node("Slice", ["image", "2", "3", "1"], ["blue"]),
            *pooled("red_green", "heatmaps", stride),
            *pooled("blue", "means", tag_stride),
            helper.make_node("Mul", ["means", "scale"], ["tag"]),
            helper.make_node("Concat", ["tag", "tag"], ["tags"], axis=1),
        ],
        "crowd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, height, width])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, 2, height // cell, width // cell])
            for output, cell in (("heatmaps", stride), ("tags", tag_stride))
        ],
        [
            *(helper.make_tensor(str(value), TensorProto.INT64, [1], [value]) for value in (0, 1, 2, 3)),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [TAGS]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    spec = InputSpec(size, "rgb", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 1.0, "plain")
    options = {"stride": float(stride), "tag_stride": float(tag_stride), **codec}
    written = ModelCard("crowd", replace(spec, **(card or {})), AssociativeEmbedding(**options), keypoints)
    return save_model(folder / name, model, written)


def crowd_picture(
    height: int, width: int, persons: Sequence[Sequence[tuple[int, int] | None]], radius: float = 5
) -> npt.NDArray[np.uint8]:
    """A BGR picture of persons, each a red and a green cone of light (or None) on wider blue discs of the person's tag.

    Person p is a little darker than those before, so that results come in this order.
    """
    rows, columns = np.mgrid[:height, :width]
    picture = np.zeros((height, width, 3), np.uint8)
    for number, person in enumerate(persons):
        for channel, center in zip((2, 1), person, strict=True):
            if center is None:
                continue
            distance = np.hypot(columns - center[0], rows - center[1])
            cone = np.clip((250 - 5 * number) * (1 - distance / radius), 0, 255).astype(np.uint8)
            picture[..., channel] = np.maximum(picture[..., channel], cone)
            picture[..., 0][distance < radius + 3] = 20 * number
    return picture


def constant_model(
    path: Path,
    image: Sequence[int | str | None],
    outputs: Mapping[str, npt.NDArray[Any]],
    card: ModelCard | None = None,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """Its outputs, given for one picture, are the same for any."""
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["zeros"]),  # of each picture
    ]
    tensors = [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])]
    for name, values in outputs.items():
        axes = numpy_helper.from_array(np.array([-1] + [1] * values.ndim), f"axes of {name}")
        tensors += [axes, numpy_helper.from_array(values[None].astype(np.float32), f"values of {name}")]
        nodes += [
            helper.make_node("Reshape", ["zeros", axes.name], [f"zeros of {name}"]),
            helper.make_node("Add", [f"zeros of {name}", f"values of {name}"], [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("image", dtype, image)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [image[0], *values.shape])
            for name, values in outputs.items()
        ],
        tensors,
    )
    return save_model(path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), card)


def taking(graph: onnx.ModelProto, dtype: int, layout: str) -> onnx.ModelProto:
    """A graph of pictures in float planes, changed to take another dtype or layout."""
    taken = onnx.ModelProto()
    taken.CopyFrom(graph)
    image = taken.graph.input[0]
    planes = [(d.dim_param or d.dim_value) for d in image.type.tensor_type.shape.dim]
    shape = planes if layout == "nchw" else [planes[0], *planes[2:], planes[1]]
    for node in taken.graph.node:
        node.input[:] = ["planes" if name == image.name else name for name in node.input]
    order = [0, 1, 2, 3] if layout == "nchw" else [0, 3, 1, 2]
    taken.graph.node.insert(0, helper.make_node("Transpose", ["floats"], ["planes"], perm=order))
    taken.graph.node.insert(0, helper.make_node("Cast", [image.name], ["floats"], to=TensorProto.FLOAT))
    image.CopyFrom(helper.make_tensor_value_info(image.name, dtype, shape))
    return taken


def dots_picture(
    height: int, width: int, centers: npt.ArrayLike, peak: float = 250, radius: float = 4
) -> npt.NDArray[np.uint8]:
    """A BGR picture with a red, a green and a blue cone of light, brightest at `centers` (3, 2)."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.zeros((height, width, 3), np.uint8)
    for channel, (x, y) in zip((2, 1, 0), np.asarray(centers), strict=True):
        distance = np.hypot(columns - x, rows - y)
        picture[..., channel] = np.clip(peak * (1 - distance / radius), 0, 255)
    return picture
