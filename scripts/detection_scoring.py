"""AP50 and recall of boxes of persons on a COCO-format folder, matched as COCO's evaluation matches them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.annotations import boxed_persons

Floats = NDArray[np.float64]
LARGE = 32.0**2  # area in square pixels from which on persons are not small (COCO)
RIGHT, FALSE, NEITHER = 1, 0, -1
LEVELS = np.linspace(0, 1, 101)  # of recall, at which COCO averages precision


@dataclass(frozen=True)
class Persons:
    """The labels of one picture.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2.
        areas: (n,) as labelled, of the segment where there is one.
        crowds: (n,) whether it is a region of many persons.
    """

    boxes: Floats
    areas: Floats
    crowds: NDArray[np.bool_]

    @classmethod
    def of(cls, annotations: Sequence[dict[str, Any]]) -> Persons:
        """Those of a picture's annotations."""
        boxes = np.array([person["bbox"] for person in annotations], np.float64).reshape(-1, 4)
        areas = [person.get("area", person["bbox"][2] * person["bbox"][3]) for person in annotations]
        boxes[:, 2:] += boxes[:, :2]
        crowds = np.array([bool(person.get("iscrowd", 0)) for person in annotations], bool)
        return cls(boxes, np.array(areas, np.float64), crowds)

    def counted(self, area: float) -> NDArray[np.bool_]:
        """(n,) which are single persons above an area."""
        return ~self.crowds & (self.areas > area)


@dataclass(frozen=True)
class Results:
    """Boxes of all pictures in falling order of scores, and what became of each.

    Attributes:
        scores: (m,).
        kinds: (m,) RIGHT, FALSE or NEITHER where persons of any size count.
        large_kinds: (m,) likewise where those above the area count; others are neither right nor false.
        pictures, persons, large_persons: how many there are; crowds are no persons.
    """

    scores: Floats
    kinds: NDArray[np.int64]
    large_kinds: NDArray[np.int64]
    pictures: int
    persons: int
    large_persons: int

    @classmethod
    def of(
        cls,
        found: Iterable[tuple[NDArray[Any], NDArray[Any]]],
        labels: Sequence[Persons],
        area: float = LARGE,
        least: float = 0.5,
    ) -> Results:
        """Those of boxes (m, 4) and scores (m,), best first, of each picture, matched at an overlap of `least`."""
        scores, kinds, large_kinds = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0, int)]
        for (boxes, values), persons in zip(found, labels, strict=True):
            scores.append(values.astype(np.float64))
            kinds.append(match(boxes, persons, least=least))
            large_kinds.append(match(boxes, persons, area, least))
        ranked = np.concatenate(scores)
        order = np.argsort(-ranked, kind="stable")
        every, large = (sum(int(label.counted(lowest).sum()) for label in labels) for lowest in (-1.0, area))
        return cls(
            ranked[order],
            np.concatenate(kinds)[order],
            np.concatenate(large_kinds)[order],
            len(labels),
            every,
            large,
        )

    def average_precision(self) -> float:
        """COCO's mean of the highest precision at 101 levels of recall, of persons of any size; NaN without any."""
        if self.persons == 0:
            return float("nan")
        kinds = self.kinds[self.kinds != NEITHER]
        right = np.cumsum(kinds == RIGHT)
        precision = right / np.arange(1, len(kinds) + 1)
        highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # at this recall or more; beyond, none
        return float(highest[np.searchsorted(right / self.persons, LEVELS)].mean())

    def recall(self, false_per_picture: float = 1.0) -> tuple[float, float]:
        """Share of the large persons found with so many false boxes at most, and the score from which on boxes count.

        Boxes of the same score count together or not at all.
        """
        too_many = np.cumsum(self.large_kinds == FALSE) > false_per_picture * self.pictures
        kept = self.scores > self.scores[too_many].max(initial=-np.inf)
        found = int((self.large_kinds[kept] == RIGHT).sum())
        return found / max(self.large_persons, 1), float(self.scores[kept].min(initial=1.0))

    def above(self, score: float) -> tuple[int, int, int]:
        """How many large persons the boxes above a score find, how many of these are false, and how many there are."""
        kinds = self.large_kinds[self.scores > score]
        return int((kinds == RIGHT).sum()), int((kinds == FALSE).sum()), len(kinds)


def load_persons(folder: Path) -> list[tuple[Path, Persons]]:
    """The pictures of a COCO-format folder (annotations.json, images/) with their persons."""
    data = json.loads((folder / "annotations.json").read_bytes())
    persons = boxed_persons(data)
    return [(folder / "images" / image["file_name"], Persons.of(persons[image["id"]])) for image in data["images"]]


def match(boxes: NDArray[Any], persons: Persons, area: float = -1.0, least: float = 0.5) -> NDArray[np.int64]:
    """RIGHT, FALSE or NEITHER for each of the boxes (m, 4) of one picture, best first.

    A box takes the free person that it overlaps most, by `least` at the least; persons that do not count, those up to
    `area` and crowds, only where no other is left. A crowd is never used up.
    """
    overlaps = iou(boxes.astype(np.float64), persons.boxes, persons.crowds)
    counts = persons.counted(area)
    free = np.ones(len(counts), bool)
    kinds = np.full(len(boxes), FALSE)
    for index, row in enumerate(overlaps):
        for group, kind in ((counts, RIGHT), (~counts, NEITHER)):
            fitting = np.where(group & free & (row >= least), row, -1.0)
            if fitting.max(initial=-1.0) >= 0:
                taken = int(fitting.argmax())
                free[taken] = persons.crowds[taken]
                kinds[index] = kind
                break
    return kinds


def iou(first: Floats, second: Floats, crowds: NDArray[np.bool_] | None = None) -> Floats:
    """(n, m) intersection over union of boxes (n, 4) with boxes (m, 4); with crowds (m,) over the first's area."""
    shared = np.minimum(first[:, None, 2:], second[None, :, 2:]) - np.maximum(first[:, None, :2], second[None, :, :2])
    both = shared.clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    if crowds is not None:
        union = np.where(crowds, areas[0][:, None], union)
    return np.asarray(both / union, np.float64)
