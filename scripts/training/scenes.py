"""Whole pictures with the boxes of all their persons as training samples, for detectors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

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
    """

    folders: list[Path]
    input_size: tuple[int, int]
    augmentation: Augmentation
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
        """P: the most boxes of any picture."""
        return max(len(boxes) for _, boxes, _ in self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        path, boxes, crowds = self.items[index]
        image = load_image(path)
        factor, offset = self._place(rng, image.shape[1], image.shape[0])
        picture = self._draw(rng, image, factor, offset)
        boxes = boxes * factor + np.tile(offset, 2)
        height, width = self.input_size
        if rng.random() < self.augmentation.flip:
            picture = picture[:, ::-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        seen = boxes.clip(0, np.tile((width, height), 2))
        sides = seen[:, 2:] - seen[:, :2]
        share = sides.prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
        known = ~crowds & (sides.min(1) >= LEAST_SIDE) & (share >= LEAST_SHARE)
        kept = sides.min(1) > 0
        padded, weights = np.zeros((self.most, 4), np.float32), np.zeros(self.most, np.float32)
        padded[: kept.sum()], weights[: kept.sum()] = seen[kept], np.where(known, 1, -1)[kept]
        rgb = np.ascontiguousarray(picture[..., ::-1])
        return torch.from_numpy(rgb), torch.from_numpy(padded), torch.from_numpy(weights)

    def _place(self, rng: Generator, columns: int, rows: int) -> tuple[float, NDArray[np.float64]]:
        """How much the picture grows, and where its upper left corner x, y lies in the input."""
        height, width = self.input_size
        factor = min(width / columns, height / rows) * rng.uniform(*self.augmentation.scale)
        room = np.array((width - columns * factor, height - rows * factor))
        return factor, room / 2 * (1 + self.augmentation.shift * rng.uniform(-1, 1, 2))

    def _draw(
        self, rng: Generator, image: NDArray[np.uint8], factor: float, offset: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """The input, BGR; the border keeps its grey level."""
        shift = (0.5 - offset) / factor - 0.5  # pixel centres lie at integers, edges between them
        picture = warp(image, np.array([[1 / factor, 0, shift[0]], [0, 1 / factor, shift[1]]]), self.input_size, BORDER)
        x0, y0 = np.floor(offset.clip(0)).astype(int)
        x1, y1 = np.ceil(offset + factor * np.array(image.shape[1::-1])).astype(int)
        picture[y0:y1, x0:x1] = recolour(rng, self.augmentation, picture[y0:y1, x0:x1])
        return picture
