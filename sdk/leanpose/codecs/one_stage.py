"""Networks that give whole persons: a row of box, score and keypoints for each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..fields import Fields
from .base import Codec, Decoded, FloatArray, require_size

Form = Literal["yolo", "yolo_objectness", "yolo_end_to_end", "movenet", "rtmo"]
FORMS: tuple[Form, ...] = ("yolo", "yolo_objectness", "yolo_end_to_end", "movenet", "rtmo")
MOST_ROWS = 100_000
_PER_KEYPOINT = 3  # two coordinates and a score


@dataclass(frozen=True)
class OneStage(Codec):
    """Rows of persons, of which those of low scores and those that overlap better ones are left out; no flip test.

    Attributes:
        size: height and width of the input in pixels.
        form: what a row holds:
            "yolo" (YOLOv8-pose, YOLO11-pose): box centre x, y, width and height, a score for each class, the highest
            of which counts, K times x, y, score, in input pixels; an output (batch, 4 + classes + 3 K, rows);
            "yolo_objectness" (YOLO-Pose, Maji et al., CVPRW 2022, and YOLOv7-pose): box, objectness, which
            multiplies the highest class score, class scores, keypoints; an output (batch, rows, 5 + classes + 3 K);
            "yolo_end_to_end" (YOLO26-pose, or exported with suppression inside): box x1, y1, x2, y2, score, class,
            K times x, y, score, in input pixels; an output (batch, rows, 6 + 3 K);
            "movenet" (MoveNet multi-pose): K times y, x, score, box y1, x1, y2, x2, score, all from 0 to 1 over the
            sides of the input; an output (batch, rows, 3 K + 5);
            "rtmo": box x1, y1, x2, y2, score in an output (batch, rows, 5), and K times x, y, score in another (batch,
            rows, K, 3), in input pixels.
        classes: how many classes "yolo" and "yolo_objectness" score.
        score_threshold: a person's score must be above it.
        nms_threshold: intersection over union with a better box above which a person goes; None: none does.
        max_persons: of each input, the best.
        rows: name of the output.
        keypoints: name of the other output of "rtmo", else None.
    """

    type: ClassVar[str] = "one_stage"
    output_fields: ClassVar[tuple[str, ...]] = ("rows", "keypoints")
    finds_persons: ClassVar[bool] = True
    flips: ClassVar[bool] = False
    size: tuple[int, int] = (640, 640)
    form: Form = "yolo"
    classes: int = 1
    score_threshold: float = 0.25
    nms_threshold: float | None = 0.7
    max_persons: int = 300
    rows: str = "output0"
    keypoints: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OneStage:
        fields = Fields(data, "codec")
        codec = cls(
            fields.size("size"),
            cast(Form, fields.choice("form", FORMS)),
            int(fields.number("classes", above=0, most=MOST_ROWS, integer=True)),
            fields.number("score_threshold"),
            fields.optional_number("nms_threshold", least=0, most=1),
            int(fields.number("max_persons", above=0, most=MOST_ROWS, integer=True)),
            fields.text("rows"),
            fields.optional_text("keypoints"),
        )
        fields.done()
        codec.require_two_outputs()
        if (codec.keypoints is not None) != (codec.form == "rtmo"):
            raise ValueError(
                "model card: field codec.keypoints: expected an output where codec.form is rtmo, else null; "
                f"got {codec.keypoints!r} for {codec.form}"
            )
        return codec

    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int | None, ...]]:
        require_size(self.size, input_size)
        values = _PER_KEYPOINT * num_keypoints
        if self.form == "yolo":
            return {self.rows: (4 + self.classes + values, None)}
        if self.keypoints is not None:
            return {self.rows: (None, 5), self.keypoints: (None, num_keypoints, _PER_KEYPOINT)}
        others = {"yolo_objectness": 5 + self.classes, "yolo_end_to_end": 6, "movenet": 5}
        return {self.rows: (None, others[self.form] + values)}

    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        rows = outputs[0]
        if self.form == "rtmo":
            rows = np.concatenate((rows, outputs[1].reshape(*rows.shape[:2], math.prod(outputs[1].shape[2:]))), axis=2)
        parts = [self._persons(of_input, transform) for of_input, transform in zip(rows, transforms, strict=True)]
        items = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
        xy, scores, boxes, person_scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Decoded(xy, scores, items, boxes, person_scores)

    def _persons(
        self, rows: FloatArray, transform: NDArray[np.float64]
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Keypoints, their scores, boxes and scores of the persons of one input, best first, in the picture."""
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is left out
            boxes, person_scores, keypoints = self._columns(rows)
            corners = _placed(boxes.reshape(-1, 2, 2), transform).reshape(-1, 4)
            xy = _placed(keypoints[..., :2], transform)
        sound = np.all(np.isfinite(corners), axis=1)
        if self.nms_threshold is None:
            kept = np.argsort(-person_scores, kind="stable")
        else:
            kept = _core.nms(boxes, person_scores, self.nms_threshold)
        kept = kept[sound[kept]][: self.max_persons]
        xy, scores = xy[kept], keypoints[kept, :, 2].astype(np.float32)
        missing = ~(np.isfinite(xy).all(axis=2) & np.isfinite(scores))
        xy[missing], scores[missing] = np.nan, 0
        return xy, scores, corners[kept], person_scores[kept]

    def _columns(self, rows: NDArray[Any]) -> tuple[NDArray[Any], FloatArray, NDArray[Any]]:
        """Boxes (P, 4) and keypoints (P, K, 3) in input pixels, x first, and scores (P,), of the rows above the cut."""
        height, width = self.size
        if self.form == "yolo":
            rows, box, keypoints = rows.T, [0, 1, 2, 3], slice(4 + self.classes, None)
            scores = rows[:, 4 : 4 + self.classes].max(axis=1)
        elif self.form == "yolo_objectness":
            box, keypoints = [0, 1, 2, 3], slice(5 + self.classes, None)
            scores = rows[:, 4] * rows[:, 5 : 5 + self.classes].max(axis=1)
        elif self.form in ("yolo_end_to_end", "rtmo"):
            box, keypoints = [0, 1, 2, 3], slice(6 if self.form == "yolo_end_to_end" else 5, None)
            scores = rows[:, 4]
        else:
            box, keypoints, scores = [-4, -5, -2, -3], slice(-5), rows[:, -1]
        chosen = (scores > self.score_threshold) & (scores < np.inf)  # neither holds for NaN
        rows = rows[chosen]
        boxes, triples = rows[:, box], rows[:, keypoints]
        triples = triples.reshape(len(rows), triples.shape[1] // _PER_KEYPOINT, _PER_KEYPOINT)
        if self.form in ("yolo", "yolo_objectness"):
            centers, halves = boxes[:, :2], boxes[:, 2:] / 2
            boxes = np.concatenate((centers - halves, centers + halves), axis=1)
        elif self.form == "movenet":
            boxes = boxes * [width, height, width, height]
            triples = triples[..., [1, 0, 2]] * [width, height, 1]
        return boxes, scores[chosen], triples


def _placed(points: NDArray[Any], transform: NDArray[np.float64]) -> FloatArray:
    """(..., 2) points of the input in the picture."""
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
