"""Whole pictures with the boxes of all their persons as training samples, for detectors."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leanpose import load_image
from leanpose.detection.families import FAMILIES

from .annotations import boxed_persons
from .augment import Augmentation, recolour, warp

FAMILY = FAMILIES["yolov8"]  # how the SDK will run what is trained
BORDER = FAMILY.pad  # grey level around the picture
LEAST_SIDE = 4.0  # pixels of the input; what is smaller, or shows less of the person than this share, teaches nothing
LEAST_SHARE = 0.25
# a person is as often large as small; pictures keep their proportions, and what they show stays upright
AUGMENTATION = Augmentation(rotation=0.0, scale=(0.6, 1.6), shift=1.0, half_body=0.0, occlusion=0.0)
MOSAIC = 0.5  # probability of four pictures in one, as YOLOv4 trains: more persons, and smaller ones
MEETING = (0.3, 0.7)  # where the four meet, in shares of the input
ZOOM = 1.5  # of the four, so that few persons become too small to be told


Scene: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Scenes(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples (picture (H, W, 3) uint8 RGB, boxes (P, 4) float32 x1, y1, x2, y2, weights (P,) float32).

    Boxes are in pixels of the input, the edges of the first pixel at 0 and 1. A weight is 1 for a person, -1 for a
    region in which nobody knows (crowds, persons that are too small or mostly cut off), and 0 for the last rows, which
    fill up to the most boxes of any picture. Pictures without persons are samples too.

    Attributes:
        folders: COCO-format folders, each with annotations.json and images/; every person must have a box.
        input_size: height and width of the network.
        augmentation: of the whole picture: flip, scale (1 just fits in), shift (1 goes wherever the picture fills the
            input, or lies in it) and colour.
        mosaic: probability that a sample is four pictures of one folder, each in a corner of the input.
    """

    folders: list[Path]
    input_size: tuple[int, int]
    augmentation: Augmentation
    mosaic: float = 0.0
    counts: dict[Path, int] = field(default_factory=dict, init=False)
    items: list[tuple[Path, NDArray[np.float64], NDArray[np.bool_]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for folder in self.folders:
            data = json.loads((folder / "annotations.json").read_bytes())
            persons = boxed_persons(data)
            for image in data["images"]:
                found = persons[image["id"]]
                boxes = np.array([person["bbox"] for person in found], np.float64).reshape(-1, 4)
                boxes[:, 2:] += boxes[:, :2]
                crowds = np.array([bool(person.get("iscrowd", 0)) for person in found], bool)
                self.items.append((folder / "images" / image["file_name"], boxes, crowds))
            self.counts[folder] = len(data["images"])
        if not any(len(boxes) for _, boxes, _ in self.items):
            raise ValueError(f"no boxes of persons in {', '.join(map(str, self.folders))}")

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def most(self) -> int:
        """P: the most boxes of any sample."""
        return max(len(boxes) for _, boxes, _ in self.items) * (4 if self.mosaic else 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        scene = self._mosaic if rng.random() < self.mosaic else self._scene
        picture, boxes, weights = scene(rng, index, self.input_size)
        all_boxes, all_weights = np.zeros((self.most, 4), np.float32), np.zeros(self.most, np.float32)
        all_boxes[: len(boxes)], all_weights[: len(boxes)] = boxes, weights
        rgb = np.ascontiguousarray(picture[..., ::-1])
        return torch.from_numpy(rgb), torch.from_numpy(all_boxes), torch.from_numpy(all_weights)

    def _mosaic(self, rng: Generator, index: int, size: tuple[int, int]) -> Scene:
        """The picture and three others of its folder, around a point."""
        height, width = size
        row, column = (int(side * rng.uniform(*MEETING)) for side in size)
        pictures, boxes, weights = np.empty((height, width, 3), np.uint8), [], []
        bands, sides = (slice(0, row), slice(row, height)), (slice(0, column), slice(column, width))
        four = rng.permutation((index, *self._others(rng, index, 3)))
        for one, (rows, columns) in zip(four, itertools.product(bands, sides), strict=True):
            region = rows.stop - rows.start, columns.stop - columns.start
            pictures[rows, columns], found, known = self._scene(rng, one, region, ZOOM)
            boxes.append(found + np.tile((columns.start, rows.start), 2))
            weights.append(known)
        return pictures, np.concatenate(boxes), np.concatenate(weights)

    def _others(self, rng: Generator, index: int, count: int) -> NDArray[np.int64]:
        """Pictures of the same folder, so that each folder keeps its share of what is drawn."""
        ends = np.cumsum([0, *self.counts.values()])
        folder = np.searchsorted(ends, index, side="right")
        return rng.integers(ends[folder - 1], ends[folder], count)

    def _scene(self, rng: Generator, index: int, size: tuple[int, int], zoom: float = 1.0) -> Scene:
        """One picture, flipped, resized, moved and recoloured: an input of that size, its boxes and weights."""
        path, boxes, crowds = self.items[index]
        image = load_image(path)
        factor, offset = self._place(rng, image.shape[1], image.shape[0], size, zoom)
        picture = self._draw(rng, image, factor, offset, size)
        boxes = boxes * factor + np.tile(offset, 2)
        height, width = size
        if rng.random() < self.augmentation.flip:
            picture = picture[:, ::-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        seen = boxes.clip(0, np.tile((width, height), 2))
        sides = seen[:, 2:] - seen[:, :2]
        share = sides.prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
        known = ~crowds & (sides.min(1) >= LEAST_SIDE) & (share >= LEAST_SHARE)
        kept = sides.min(1) > 0
        return picture, seen[kept], np.where(known, 1, -1)[kept]

    def _place(
        self, rng: Generator, columns: int, rows: int, size: tuple[int, int], zoom: float
    ) -> tuple[float, NDArray[np.float64]]:
        """How much the picture grows, and where its upper left corner x, y lies in an input of that size."""
        height, width = size
        factor = min(width / columns, height / rows) * zoom * rng.uniform(*self.augmentation.scale)
        room = np.array((width - columns * factor, height - rows * factor))
        return factor, room / 2 * (1 + self.augmentation.shift * rng.uniform(-1, 1, 2))

    def _draw(
        self,
        rng: Generator,
        image: NDArray[np.uint8],
        factor: float,
        offset: NDArray[np.float64],
        size: tuple[int, int],
    ) -> NDArray[np.uint8]:
        """The input, BGR; the border keeps its grey level."""
        shift = (0.5 - offset) / factor - 0.5  # pixel centres lie at integers, edges between them
        picture = warp(image, np.array([[1 / factor, 0, shift[0]], [0, 1 / factor, shift[1]]]), size, BORDER)
        x0, y0 = np.floor(offset.clip(0)).astype(int)
        x1, y1 = np.ceil(offset + factor * np.array(image.shape[1::-1])).astype(int)
        picture[y0:y1, x0:x1] = recolour(rng, self.augmentation, picture[y0:y1, x0:x1])
        return picture
