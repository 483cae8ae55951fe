"""Objectives: the loss between a network's training outputs and the labels of its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .losses import COCO17_JOINT_WEIGHTS, KLDiscretLoss, gaussian_bins, smoothed_bins


class Objective(nn.Module, ABC):
    """A loss; all but that of detectors compare with keypoints.

    Keypoints are in input pixels, pixel centres at integers; a weight of 0 means that a keypoint is not known.
    """

    @abstractmethod
    def forward(self, outputs: Sequence[Tensor], labels: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch: outputs as the network gives them, keypoints (B, K, 2), weights (B, K)."""


class SimCCObjective(Objective):
    """Kullback-Leibler divergence from bins: Gaussians (SimCC, RTMPose) or smoothed labels (AMFACPose)."""

    def __init__(self, split_ratio: float, num_keypoints: int, smoothing: bool = False) -> None:
        super().__init__()
        self.split_ratio, self.smoothing = split_ratio, smoothing
        joints = COCO17_JOINT_WEIGHTS if num_keypoints == len(COCO17_JOINT_WEIGHTS) else (1.0,) * num_keypoints
        self.loss = KLDiscretLoss(joint_weights=joints)

    def forward(self, outputs: Sequence[Tensor], keypoints: Tensor, weights: Tensor, *teacher: Tensor) -> Tensor:
        """As usual, with a second target where given: a teacher's x and y (B, K, bins) and their weights (B, K)."""
        bins = keypoints * self.split_ratio
        make = smoothed_bins if self.smoothing else gaussian_bins
        x, y = outputs
        targets = make(bins[..., 0], x.shape[-1]), make(bins[..., 1], y.shape[-1])
        loss: Tensor = self.loss((x, y), targets, weights)
        if teacher:
            across, down, certainty = teacher
            loss = loss + self.loss((x, y), (across, down), certainty)
        return loss


def target_sigma(input_size: tuple[int, int], stride: float) -> float:
    """Deviation in cells of the target Gaussians, linear in the resolution: 2 for maps of 64x48, 3 for 96x72."""
    return max(input_size) / stride / 32


def gaussian_heatmaps(keypoints: Tensor, size: tuple[int, int], scale: tuple[float, float], sigma: float) -> Tensor:
    """Unnormalised Gaussians (B, K, height, width) with peak 1 at keypoints / scale, in cells that lie at integers.

    Args:
        keypoints: (B, K, 2) x, y in input pixels.
        size: height and width of the maps.
        scale: input pixels per cell along x and y: the stride, or (W - 1) / (width - 1) under UDP.
        sigma: in cells.
    """
    height, width = size
    x = torch.arange(width, device=keypoints.device, dtype=keypoints.dtype)
    y = torch.arange(height, device=keypoints.device, dtype=keypoints.dtype)
    across = torch.exp(-0.5 * ((x - keypoints[..., :1] / scale[0]) / sigma) ** 2)
    down = torch.exp(-0.5 * ((y - keypoints[..., 1:] / scale[1]) / sigma) ** 2)
    return down[..., :, None] * across[..., None, :]


class HeatmapObjective(Objective):
    """Mean squared error against Gaussians, as SimpleBaseline and HRNet define it; one map per keypoint and scale.

    Args:
        input_size: height and width of the input.
        stride: of the largest output, input pixels per cell.
        mapping: "plain", cell c at stride * c, or "udp", first and last cells at first and last pixels.
        scale_weights: one factor for each output; outputs smaller than the largest are compared with its targets
            averaged to their size.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stride: float,
        mapping: str = "plain",
        scale_weights: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.input_size, self.sigma, self.mapping = input_size, target_sigma(input_size, stride), mapping
        self.scale_weights = tuple(scale_weights)

    def forward(self, outputs: Sequence[Tensor], keypoints: Tensor, weights: Tensor) -> Tensor:
        largest = max((output.shape[-2:] for output in outputs), key=lambda size: size[0] * size[1])
        shared = 1 if self.mapping == "udp" else 0
        height, width = self.input_size
        scale = (width - shared) / (largest[1] - shared), (height - shared) / (largest[0] - shared)
        targets = gaussian_heatmaps(keypoints.float(), (largest[0], largest[1]), scale, self.sigma)
        loss = targets.new_zeros(())
        for output, factor in zip(outputs, self.scale_weights, strict=True):
            wanted = (
                functional.adaptive_avg_pool2d(targets, (output.shape[-2], output.shape[-1]))
                if output.shape != targets.shape
                else targets
            )
            error = ((output.float() - wanted) ** 2).mean((-2, -1))
            loss = loss + 0.5 * factor * (error * weights).mean()
        return loss
