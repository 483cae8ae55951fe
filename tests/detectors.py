"""ONNX detectors whose answers are known: every picture but a black one gives the outputs that a test asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
SIZE = (64, 96)  # input height and width
YOLO = (8, 16, 32)
PICO = (8, 16, 32, 64)
BACKGROUND = 0.01  # score of all rows that hold nobody


def save_detector(
    path: Path,
    outputs: Mapping[str, Array],
    black: Mapping[str, Array] | None = None,
    *,
    size: tuple[int | str, int | str] = SIZE,
    batch: int | str = 1,
    dtype: int = TensorProto.FLOAT,
    nhwc: bool = False,
    channels: int = 3,
    inputs: Sequence[str] = ("image",),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that gives `outputs`, and `black`, where given, for inputs of a single colour."""
    axes = [batch, *size, channels] if nhwc else [batch, channels, *size]
    rows_and_columns, branches = [1, 2] if nhwc else [2, 3], []
    for number, arrays in enumerate((outputs, black or outputs)):
        nodes = [
            helper.make_node("Constant", [], [f"{name}_{number}"], value=numpy_helper.from_array(array))
            for name, array in arrays.items()
        ]
        infos = [
            helper.make_tensor_value_info(
                f"{name}_{number}", helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape)
            )
            for name, array in arrays.items()
        ]
        branches.append(helper.make_graph(nodes, f"branch_{number}", [], infos))
    nodes = [
        helper.make_node("Cast", [inputs[0]], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["high"], axes=rows_and_columns),
        helper.make_node("ReduceMin", ["floats"], ["low"], axes=rows_and_columns),
        helper.make_node("Sub", ["high", "low"], ["ranges"]),
        helper.make_node("ReduceMax", ["ranges"], ["range"], keepdims=0),
        helper.make_node("Constant", [], ["rounding"], value_float=1e-3),
        helper.make_node("Greater", ["range", "rounding"], ["varied"]),
        helper.make_node("If", ["varied"], list(outputs), then_branch=branches[0], else_branch=branches[1]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info(name, dtype, axes) for name in inputs],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), [f"{name}_{axis}" for axis in range(array.ndim)]
            )
            for name, array in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def cells_of(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int, int]]:
    """Column, row and stride of each row of an output, in its order."""
    return [
        (column, row, stride)
        for stride in strides
        for row in range(-(-size[0] // stride))
        for column in range(-(-size[1] // stride))
    ]


class Crowd:
    """Persons as boxes (m, 4) x1, y1, x2, y2 in pixels of the input with scores (m,), as each family writes them."""

    def __init__(self, boxes: npt.ArrayLike, scores: npt.ArrayLike, *, classes: int = 80, person: int = 0) -> None:
        self.boxes = np.float32(boxes).reshape(-1, 4)
        self.scores = np.float32(scores).reshape(-1)
        self.classes, self.person = classes, person
        corners = self.boxes.reshape(-1, 2, 2)
        self.rows = np.concatenate([corners.mean(axis=1), corners[:, 1] - corners[:, 0]], axis=1)  # centre and size

    def _places(self, count: int) -> Array:
        """A row of the output for each person, spread over all strides."""
        return np.linspace(0, count - 1, max(len(self.scores), 1)).round().astype(int)[: len(self.scores)]

    def _places_inside(self, cells: Array, offset: float) -> Array:
        """The same, with a point in the person's box that no side is more than seven cells away from."""
        places: list[int] = []
        for box in self.boxes:
            points = (cells[:, :2] + offset) * cells[:, 2:]
            sides = np.concatenate([points - box[:2], box[2:] - points], axis=1) / cells[:, 2:]
            places.append(next(i for i in np.flatnonzero((sides >= 0).all(1) & (sides < 7).all(1)) if i not in places))
        return np.array(places, int)

    def _class_scores(self, count: int, places: Array) -> npt.NDArray[np.float32]:
        """(count, classes): other classes are sure of themselves in every other row that holds nobody."""
        scores = np.full((count, self.classes), BACKGROUND, np.float32)
        if self.classes > 1:
            scores[::2, (self.person + 1) % self.classes] = 0.95
        scores[places] = BACKGROUND
        scores[places, self.person] = self.scores
        return scores

    def _among(self, background: Array, places: Array, rows: Array) -> Array:
        filled = np.array(background, np.float32)
        filled[places] = rows
        return filled

    def yolox(self, size: tuple[int, int] = SIZE, *, decoded: bool = False) -> dict[str, Array]:
        cells = np.array(cells_of(size, YOLO), np.float32)
        places = self._places(len(cells))
        columns, strides = cells[:, :2], cells[:, 2:]
        if decoded:
            rows = np.concatenate([(columns + 0.5) * strides, 2 * strides, 2 * strides], axis=1)
            rows = self._among(rows, places, self.rows)
        else:
            raw = [self.rows[:, :2] / strides[places] - columns[places], np.log(self.rows[:, 2:] / strides[places])]
            rows = self._among(np.full((len(cells), 4), 0.5), places, np.concatenate(raw, axis=1))
        objects = np.full((len(cells), 1), 0.98, np.float32)
        return {"output": np.concatenate([rows, objects, self._class_scores(len(cells), places) / objects], 1)[None]}

    def yolov5(self, size: tuple[int, int] = SIZE) -> dict[str, Array]:
        count = 3 * len(cells_of(size, YOLO))
        objects, places = np.full((count, 1), 0.98, np.float32), self._places(count)
        rows = self._among(np.full((count, 4), 20), places, self.rows)
        return {"output0": np.concatenate([rows, objects, self._class_scores(count, places) / objects], axis=1)[None]}

    def yolov8(self, size: tuple[int, int] = SIZE, *, transposed: bool = False) -> dict[str, Array]:
        count = len(cells_of(size, YOLO))
        places = self._places(count)
        rows = self._among(np.full((count, 4), 20), places, self.rows)
        rows = np.concatenate([rows, self._class_scores(count, places)], axis=1)
        return {"output0": np.ascontiguousarray(rows if transposed else rows.T)[None]}

    def rows6(self, count: int = 50) -> dict[str, Array]:
        others = np.tile(np.float32([10, 10, 30, 30, 0.9, self.person + 1]), (count, 1))
        rows = np.concatenate([self.boxes, self.scores[:, None], np.full((len(self.scores), 1), self.person)], axis=1)
        return {"output0": self._among(others, self._places(count), rows)[None]}

    def labelled(self, count: int = 50) -> dict[str, Array]:
        rows = self.rows6(count)["output0"]
        return {"dets": rows[..., :5].copy(), "labels": rows[..., 5].astype(np.int64)}

    def apart(self, count: int = 50) -> dict[str, Array]:
        rows = self.rows6(count)["output0"]
        return {"labels": rows[..., 5].astype(np.int64), "boxes": rows[..., :4].copy(), "scores": rows[..., 4].copy()}

    def picodet(self, size: tuple[int, int] = SIZE) -> dict[str, Array]:
        count = len(cells_of(size, PICO))
        places = self._places(count)
        boxes = self._among(np.tile([10, 10, 30, 30], (count, 1)), places, self.boxes)
        return {"a": np.ascontiguousarray(self._class_scores(count, places).T)[None], "b": boxes[None]}

    def _distances(self, size: tuple[int, int], strides: Sequence[int], offset: float) -> tuple[Array, Array, Array]:
        """Cells, scores (n, classes) and logits (n, 32): all weight lies in the two bins around each distance."""
        cells = np.array(cells_of(size, strides), np.float64)
        places = self._places_inside(cells, offset)
        points = (cells[places, :2] + offset) * cells[places, 2:]
        sides = np.concatenate([points - self.boxes[:, :2], self.boxes[:, 2:] - points], axis=1) / cells[places, 2:]
        weights = np.maximum(0, 1 - np.abs(sides[..., None] - np.arange(8)))
        logits = np.log(weights + 1e-12).reshape(-1, 32) + 3
        return cells, self._class_scores(len(cells), places), self._among(np.ones((len(cells), 32)), places, logits)

    def nanodet(self, size: tuple[int, int] = SIZE, *, plus: bool = True) -> dict[str, Array]:
        _, scores, logits = self._distances(size, PICO if plus else YOLO, 0.0 if plus else 0.5)
        return {"output": np.concatenate([scores, logits], axis=1)[None]}

    def levels(
        self, size: tuple[int, int] = SIZE, *, strides: Sequence[int] = PICO, by_turns: bool = False
    ) -> dict[str, Array]:
        """PicoDet or NanoDet with tensors of their own for each stride: all scores first, or by turns."""
        cells, scores, logits = self._distances(size, strides, 0.5)
        parts = {}
        for stride in strides:
            here = cells[:, 2] == stride
            parts[f"cls_{stride}"], parts[f"reg_{stride}"] = scores[here][None], logits[here][None]
        return {name: parts[name] for name in (parts if by_turns else sorted(parts, key=lambda name: name[:3]))}

    def detr(self, size: tuple[int, int] = SIZE, *, exclusive: bool = True, queries: int = 40) -> dict[str, Array]:
        places = self._places(queries)
        scores = self._class_scores(queries, places).astype(np.float64)
        if exclusive:
            scores = np.concatenate([scores, np.zeros((queries, 1))], axis=1)
            scores[:, self.classes] = np.maximum(1e-6, 1 - scores.sum(axis=1))
            scores /= scores.sum(axis=1, keepdims=True)
            scores[places] = 1e-12
            scores[places, self.person], scores[places, self.classes] = self.scores, 1 - self.scores
            logits = np.log(scores) + 2
        else:
            logits = np.log(scores / (1 - scores))
        rows = self._among(np.full((queries, 4), 20), places, self.rows) / np.tile(size[::-1], 2)
        return {"logits": logits[None].astype(np.float32), "pred_boxes": rows[None].astype(np.float32)}
