"""Whole pictures with all their persons as training samples, for bottom-up networks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leanpose import load_image
from model_defs.inputs import PADDING

from .annotations import labelled_persons
from .augment import Augmentation, is_flipped, recolour, sample_transform, warp
from .dataset import FLIP_INDEX

MOST_PERSONS = 30  # of one picture, as in HigherHRNet's training; further ones are left out


@dataclass(frozen=True)
class Pictures(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples (picture (H, W, 3) uint8 RGB, points (P, K, 2) float32 in input pixels, weights (P, K) float32).

    P is MOST_PERSONS; persons that a picture lacks have weight 0. Labels alone are used, no teacher.

    Attributes:
        folders: COCO-format folders, each with annotations.json and images/.
        input_size: height and width of the network.
        augmentation: of the whole picture.
    """

    folders: list[Path]
    input_size: tuple[int, int]
    augmentation: Augmentation
    counts: dict[Path, int] = field(default_factory=dict, init=False)
    items: list[tuple[Path, NDArray[np.float32]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for folder in self.folders:
            before = len(self.items)
            data = json.loads((folder / "annotations.json").read_text())
            persons = labelled_persons(data)
            for image in data["images"]:
                if image["id"] in persons:
                    found = [person["keypoints"] for person in persons[image["id"]][:MOST_PERSONS]]
                    keypoints = np.array(found, np.float32).reshape(len(found), -1, 3)
                    self.items.append((folder / "images" / image["file_name"], keypoints))
            self.counts[folder] = len(self.items) - before

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        path, persons = self.items[index]
        image = load_image(path)
        height, width = image.shape[:2]
        # The whole picture is the box, without the margin that crops of persons have.
        margin = 0.5 - 0.5 / PADDING
        box = np.array([width * margin, height * margin, width * (1 - margin), height * (1 - margin)], np.float32)
        matrix = sample_transform(rng, self.augmentation, box - 0.5, persons.reshape(-1, 3)[:17], self.input_size)
        picture = recolour(rng, self.augmentation, warp(image, matrix, self.input_size))
        points = (persons[..., :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        known = persons[..., 2] > 0
        if is_flipped(matrix):
            points, known = points[:, FLIP_INDEX], known[:, FLIP_INDEX]
        rows, columns = self.input_size
        inside = (points >= -0.5).all(-1) & (points[..., 0] < columns - 0.5) & (points[..., 1] < rows - 0.5)
        padded = np.zeros((MOST_PERSONS, *points.shape[1:]), np.float32)
        weights = np.zeros((MOST_PERSONS, points.shape[1]), np.float32)
        padded[: len(points)], weights[: len(points)] = points, known & inside
        rgb = np.ascontiguousarray(picture[..., ::-1])
        return torch.from_numpy(rgb), torch.from_numpy(padded), torch.from_numpy(weights)
