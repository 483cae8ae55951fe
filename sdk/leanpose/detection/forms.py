"""How detectors write persons into their outputs: one class for each form.

Each recognises the outputs of a run without their batch axis, and reads the persons from those of later runs as boxes
(m, 4) x1, y1, x2, y2 in pixels of the input, the edges of the first pixel at 0 and 1, and scores (m,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from .priors import DISTANCES, FloatArray, Priors, corners_of, count_of, expected_distances, grid_of, sigmoid

Outputs = Sequence[npt.NDArray[Any]]
Candidates = tuple[FloatArray, FloatArray]
_YOLO = (8, 16, 32)
ROUNDING = 1e-3  # by which scores may leave 0..1


class Form(Protocol):
    """What the classes here have in common.

    Attributes:
        any_count: whether the number of rows may differ from picture to picture.
        classes: how many classes there are; None where the outputs do not tell.
    """

    any_count: ClassVar[bool]

    @property
    def classes(self) -> int | None: ...

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        """Boxes and scores of the class `person` whose scores are above the threshold."""
        ...


@dataclass(frozen=True)
class ObjectRows:
    """[n, 5 + classes]: centre, size, probability of an object, probabilities of the classes given one (YOLOX, YOLOv5).

    YOLOX leaves the centre and the logarithm of the size in cells, unless it was exported otherwise.
    """

    any_count: ClassVar[bool] = False
    priors: Priors | None
    classes: int

    @classmethod
    def of_yolox(cls, outputs: Outputs, size: tuple[int, int]) -> ObjectRows | None:
        """One row a cell."""
        if _shapes(outputs) != [(count_of(size, _YOLO), _width(outputs))] or _width(outputs) < 6:
            return None
        priors, centers = Priors.of(size, _YOLO), np.float32(outputs[0][:, :2])
        # decoded, the centres follow the cells over the input; raw, they stay about 0
        from_cells = np.abs(centers - priors.cells * priors.strides)
        decoded = bool(np.median(from_cells) < np.median(np.abs(centers)))
        return cls(None if decoded else priors, _width(outputs) - 5)

    @classmethod
    def of_yolov5(cls, outputs: Outputs, size: tuple[int, int]) -> ObjectRows | None:
        """Three rows a cell, in pixels."""
        fits = _shapes(outputs) == [(3 * count_of(size, _YOLO), _width(outputs))] and _width(outputs) >= 6
        return cls(None, _width(outputs) - 5) if fits else None

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        rows = outputs[0]
        scores = rows[:, 4] * rows[:, 5 + person]
        kept = np.flatnonzero(scores > threshold)
        rows = rows[kept, :4]
        if self.priors is not None:
            cells, strides = self.priors.cells[kept], self.priors.strides[kept]
            rows = np.concatenate([(rows[:, :2] + cells) * strides, np.exp(rows[:, 2:]) * strides], axis=1)
        return corners_of(rows), scores[kept]


@dataclass(frozen=True)
class DistanceRows:
    """Scores of the classes and the distributions of the distances from a point to the four sides (NanoDet, PicoDet).

    In one tensor [n, classes + 32], or in one [m, classes] and one [m, 32] for each stride.
    """

    any_count: ClassVar[bool] = False
    priors: Priors
    offset: float  # of the point in its cell
    classes: int
    levels: tuple[tuple[int, int], ...]  # where the scores and the distances of each stride are; () in one tensor

    @classmethod
    def in_one(cls, outputs: Outputs, size: tuple[int, int]) -> DistanceRows | None:
        """NanoDet-Plus has four strides and points in the corners of cells, its forerunner three and in the middle."""
        for strides, offset in (((8, 16, 32, 64), 0.0), (_YOLO, 0.5)):
            classes = _width(outputs) - DISTANCES
            if classes > 0 and _shapes(outputs) == [(count_of(size, strides), classes + DISTANCES)]:
                return cls(Priors.of(size, strides), offset, classes, ())
        return None

    @classmethod
    def of_picodet(cls, outputs: Outputs, size: tuple[int, int]) -> DistanceRows | None:
        """Four strides, each in tensors of its own."""
        return cls._of_levels(outputs, size, (8, 16, 32, 64))

    @classmethod
    def of_nanodet(cls, outputs: Outputs, size: tuple[int, int]) -> DistanceRows | None:
        """Three strides, each in tensors of its own."""
        return cls._of_levels(outputs, size, _YOLO)

    @classmethod
    def _of_levels(cls, outputs: Outputs, size: tuple[int, int], strides: tuple[int, ...]) -> DistanceRows | None:
        shapes = _shapes(outputs)
        widths = {shape[-1] for shape in shapes if len(shape) == 2} - {DISTANCES}
        counts = [rows * columns for rows, columns in (grid_of(size, stride) for stride in strides)]
        if len(outputs) != 2 * len(strides) or len(widths) != 1 or len({*counts}) != len(counts):
            return None
        (classes,) = widths
        expected = [shape for count in counts for shape in ((count, classes), (count, DISTANCES))]
        if sorted(shapes) != sorted(expected):
            return None
        places = [shapes.index(shape) for shape in expected]
        levels = tuple(zip(places[::2], places[1::2], strict=True))
        return cls(Priors.of(size, strides), 0.5, classes, levels)

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        if self.levels:
            scores = np.concatenate([outputs[level][:, person] for level, _ in self.levels])
            logits = np.concatenate([outputs[level] for _, level in self.levels])
        else:
            scores, logits = outputs[0][:, person], outputs[0][:, self.classes :]
        kept = np.flatnonzero(scores > threshold)
        points, strides = self.priors.cells[kept] + np.float32(self.offset), self.priors.strides[kept]
        distances = expected_distances(logits[kept])
        return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1) * strides, scores[kept]


@dataclass(frozen=True)
class ScoredCenters:
    """[4 + classes, n] or [n, 4 + classes]: centre and size in pixels, scores of the classes (YOLOv8 and later)."""

    any_count: ClassVar[bool] = False
    classes: int
    rows_first: bool

    @classmethod
    def of_yolov8(cls, outputs: Outputs, size: tuple[int, int]) -> ScoredCenters | None:
        """One candidate a cell; in its place, poses have keypoints in pixels, beyond any score."""
        if len(outputs) != 1 or outputs[0].ndim != 2:
            return None
        count = count_of(size, _YOLO)
        for rows_first, rows in enumerate((outputs[0].T, outputs[0])):
            if len(rows) == count and rows.shape[1] > 4 and not (rows[:, 4:] > 1 + ROUNDING).any():
                return cls(rows.shape[1] - 4, bool(rows_first))
        return None

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        values = outputs[0] if self.rows_first else outputs[0].T
        scores = values[:, 4 + person]
        kept = np.flatnonzero(scores > threshold)
        return corners_of(values[kept, :4]), scores[kept]


@dataclass(frozen=True)
class BoxesAndScores:
    """[classes, n] scores and [n, 4] corners in pixels of the input, before NMS (PicoDet)."""

    any_count: ClassVar[bool] = False
    classes: int
    scores: int  # which output

    @classmethod
    def of_picodet(cls, outputs: Outputs, size: tuple[int, int]) -> BoxesAndScores | None:
        """Four strides."""
        count = count_of(size, (8, 16, 32, 64))
        for scores, boxes in ((0, 1), (1, 0)):
            if len(outputs) == 2 and outputs[boxes].shape == (count, 4) and outputs[scores].shape[1:] == (count,):
                return cls(outputs[scores].shape[0], scores)
        return None

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        scores = outputs[self.scores][person]
        kept = np.flatnonzero(scores > threshold)
        return outputs[1 - self.scores][kept], scores[kept]


@dataclass(frozen=True)
class Finished:
    """Any number of corners, scores and labels, duplicates removed: as rows, or in two or three tensors.

    Rows are [n, 6] x1, y1, x2, y2, score, label; two tensors [n, 5] with the score last and [n] labels; three [n, 4],
    [n] scores and [n] labels.
    """

    any_count: ClassVar[bool] = True
    order: tuple[int, ...]  # of the outputs: boxes, scores, labels
    classes: None = None

    @classmethod
    def rows(cls, outputs: Outputs, size: tuple[int, int]) -> Finished | None:
        """One tensor."""
        cells = count_of(size, _YOLO)
        fits = len(outputs) == 1 and outputs[0].ndim == 2 and outputs[0].shape[1] == 6
        return cls((0,)) if fits and len(outputs[0]) not in (cells, 3 * cells) else None

    @classmethod
    def labelled(cls, outputs: Outputs, size: tuple[int, int]) -> Finished | None:
        """Two tensors."""
        for order in ((0, 1), (1, 0)):
            if len(outputs) == 2:
                boxes, labels = (outputs[index] for index in order)
                if boxes.ndim == 2 and boxes.shape[1] == 5 and labels.shape == boxes.shape[:1]:
                    return cls(order)
        return None

    @classmethod
    def apart(cls, outputs: Outputs, size: tuple[int, int]) -> Finished | None:
        """Three tensors; the labels are integers."""
        if len(outputs) != 3:
            return None
        by_kind = {("boxes" if array.ndim == 2 else array.dtype.kind): i for i, array in enumerate(outputs)}
        if set(by_kind) != {"boxes", "f", "i"}:
            return None
        order = (by_kind["boxes"], by_kind["f"], by_kind["i"])
        boxes, scores, labels = (outputs[index] for index in order)
        return cls(order) if boxes.shape[1] == 4 and scores.shape == labels.shape == boxes.shape[:1] else None

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        tensors = [outputs[index] for index in self.order]
        boxes, labels = tensors[0], tensors[-1][:, 5] if len(tensors) == 1 else tensors[-1]
        scores = tensors[1] if len(tensors) == 3 else boxes[:, 4]
        kept = (scores > threshold) & (labels == person)
        return boxes[kept][:, :4], scores[kept]


@dataclass(frozen=True)
class Queries:
    """[q, classes] logits and [q, 4] centres and sizes as parts of the input's sides (DETR and its successors).

    Where classes exclude each other, one more logit stands for none of them, last.
    """

    any_count: ClassVar[bool] = False
    classes: int
    logits: int  # which output
    exclusive: bool
    sides: tuple[int, int, int, int]

    @classmethod
    def softmax(cls, outputs: Outputs, size: tuple[int, int]) -> Queries | None:
        """Classes exclude each other (Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020)."""
        return cls._of(outputs, size, True)

    @classmethod
    def sigmoid(cls, outputs: Outputs, size: tuple[int, int]) -> Queries | None:
        """Each class by itself (Zhu et al., "Deformable DETR", ICLR 2021)."""
        return cls._of(outputs, size, False)

    @classmethod
    def _of(cls, outputs: Outputs, size: tuple[int, int], exclusive: bool) -> Queries | None:
        if len(outputs) != 2 or any(array.ndim != 2 for array in outputs) or len(outputs[0]) != len(outputs[1]):
            return None
        for logits, boxes in ((0, 1), (1, 0)):
            classes = outputs[logits].shape[1] - int(exclusive)
            if outputs[boxes].shape[1] == 4 and classes > 0 and outputs[logits].shape[1] != 4:
                return cls(classes, logits, exclusive, (size[1], size[0], size[1], size[0]))
        return None

    def persons(self, outputs: Outputs, person: int, threshold: float) -> Candidates:
        logits = outputs[self.logits]
        if self.exclusive:
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = weights[:, person] / weights.sum(axis=1)
        else:
            scores = sigmoid(logits[:, person])
        kept = np.flatnonzero(scores > threshold)
        return corners_of(outputs[1 - self.logits][kept] * np.array(self.sides, np.float32)), scores[kept]


def _shapes(outputs: Outputs) -> list[tuple[int, ...]]:
    return [output.shape for output in outputs]


def _width(outputs: Outputs) -> int:
    return outputs[0].shape[-1] if outputs and outputs[0].ndim else 0
