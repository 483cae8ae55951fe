"""Whole persons in rows: YOLO-pose, raw or with suppression inside, and MoveNet multi-pose."""

from __future__ import annotations

from collections.abc import Iterator

from ..codecs import OneStage
from .reading import BOTTOM_UP, GREY_LEVELS, UNIT_RANGE, Given, Outputs, Reading, Size, count_of, lengths

YOLO = {**BOTTOM_UP, **UNIT_RANGE, "border": 114.0}
RTMO = {**BOTTOM_UP, **GREY_LEVELS, "color": "bgr", "border": 114.0}
MOVENET = {**BOTTOM_UP, **GREY_LEVELS}
_MOST_PERSONS = 1000  # that suppression inside a graph leaves; raw rows are more
_STRIDES = (8, 16, 32, 64)
_ANCHORS = 3  # of each cell, where rows have an objectness


def read(size: Size, outputs: Outputs, given: Given) -> Iterator[Reading]:
    """Rows as `OneStage.form` lists them, told apart by how many there are."""
    for output in outputs:
        shape = lengths(output)
        if len(shape) != 2:
            continue
        for other in outputs:
            if shape[1] == 5 and len(lengths(other)) == 3 and lengths(other)[::2] == (shape[0], 3):
                codec = OneStage(size, "rtmo", nms_threshold=None, rows=output.name, keypoints=other.name)
                yield Reading(codec, lengths(other)[1], RTMO)
        cells = [_cells(size, levels) for levels in (3, 4)]
        classes = given.get("codec.classes", 1)
        classes = classes if isinstance(classes, int) else 1  # the check of the card names what is wrong
        if shape[1] in cells:
            count = count_of(shape[0] - 4 - classes, given)
            if count is not None:
                yield Reading(OneStage(size, "yolo", classes, rows=output.name), count, YOLO)
        elif shape[0] in (_ANCHORS * number for number in cells):
            count = count_of(shape[1] - 5 - classes, given)
            if count is not None:
                yield Reading(OneStage(size, "yolo_objectness", classes, rows=output.name), count, YOLO)
        elif shape == (6, 56):
            yield Reading(OneStage(size, "movenet", nms_threshold=None, rows=output.name), 17, MOVENET)
        elif shape[0] <= _MOST_PERSONS:
            count = count_of(shape[1] - 6, given)
            if count is not None:
                yield Reading(OneStage(size, "yolo_end_to_end", nms_threshold=None, rows=output.name), count, YOLO)


def _cells(size: Size, levels: int) -> int:
    """Predictions of a network with one in each cell of so many strides from 8 on."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in _STRIDES[:levels])
