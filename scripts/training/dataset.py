"""Persons as training samples: a uint8 input picture, its keypoints in input pixels and how far each is trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leanpose import COCO17

from .augment import Augmentation, is_flipped, recolour, sample_transform, warp
from .cache import Crops, Labels
from .distillation import Teacher

FLIP_INDEX = COCO17.flip_index


@dataclass(frozen=True)
class LabelWeights:
    """How labels and teacher predictions become one target with a weight per joint."""

    teacher_weight: float = 0.6  # of a joint that only the teacher gives, times its score
    teacher_least: float = 0.35  # teacher scores below it give no target
    noisy_floor: float = 0.3  # weight of a noisy label that no joint of the teacher confirms

    def of_teacher(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weights of targets that come from the teacher alone."""
        return np.where(scores > self.teacher_least, self.teacher_weight * scores, 0).astype(np.float32)


def targets(labels: Labels, index: int, label_weights: LabelWeights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (K, 2) in pixels of the crop and weights (K,): the label where there is one, else the teacher's."""
    label, teacher = labels.keypoints[index], labels.teacher[index]
    labelled = label[:, 2] > 0
    points = np.where(labelled[:, None], label[:, :2], teacher[:, :2])
    noisy = label_weights.noisy_floor + (1 - label_weights.noisy_floor) * labels.agreement[index]
    weights = np.where(labelled, noisy, label_weights.of_teacher(teacher[:, 2]))
    return points.astype(np.float32), weights.astype(np.float32)


class Persons(Dataset[tuple[Tensor, ...]]):
    """Samples (picture (H, W, 3) uint8 RGB, points (K, 2) float32 in input pixels, weights (K,) float32).

    With a teacher its distributions of x and y (K, bins) and their weights (K,) follow, all float32; what it found
    before then gives no points.
    """

    def __init__(
        self,
        crops: Crops,
        input_size: tuple[int, int],
        augmentation: Augmentation,
        label_weights: LabelWeights,
        transform: Literal["plain", "udp"] = "plain",
        teacher: Teacher | None = None,
    ) -> None:
        self.crops, self.input_size, self.augmentation = crops, input_size, augmentation
        self.label_weights, self.transform, self.teacher = label_weights, transform, teacher
        self.point_weights = label_weights if teacher is None else replace(label_weights, teacher_weight=0.0)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        # Half of the time the smoothing of a halved crop stands for photographs that are softer than they are large.
        soft = rng.random() < 0.5
        image, factor = self.crops.image(index, max(self.input_size)) if soft else self.crops.image(index)
        points, weights = targets(self.crops.labels, index, self.point_weights)
        # Halving maps pixel edges to pixel edges; centres lie at integers.
        points = (points + 0.5) * factor - 0.5
        box = (self.crops.labels.boxes[index] + 0.5) * factor - 0.5
        # A teacher guesses on beyond the edge of the picture; nothing there can be learnt.
        weights = np.where((points > -1).all(1) & (points < image.shape[1::-1]).all(1), weights, np.float32(0))
        known = np.concatenate((points, weights[:, None]), 1)
        matrix = sample_transform(rng, self.augmentation, box, known, self.input_size, self.transform)
        picture = recolour(rng, self.augmentation, warp(image, matrix, self.input_size))
        points = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        if is_flipped(matrix):
            points, weights = points[FLIP_INDEX], weights[FLIP_INDEX]
        height, width = self.input_size
        inside = (points >= -0.5).all(1) & (points[:, 0] < width - 0.5) & (points[:, 1] < height - 0.5)
        rgb = np.ascontiguousarray(picture[..., ::-1])
        labels = [points.astype(np.float32), np.where(inside, weights, 0).astype(np.float32)]
        if self.teacher is not None:
            across, down, score = self.teacher(image, matrix, self.input_size)
            labels += [across, down, self.label_weights.of_teacher(score)]
        return torch.from_numpy(rgb), *(torch.from_numpy(label) for label in labels)
