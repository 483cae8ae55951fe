"""Losses of the published systems and the targets that they compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Joints at the ends of limbs are harder: the weights that SimpleBaseline introduced for COCO-17.
COCO17_JOINT_WEIGHTS = (1, 1, 1, 1, 1, 1, 1, 1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5)


def gaussian_bins(positions: Tensor, bins: int, sigma: float | None = None) -> Tensor:
    """Normalised Gaussians over bins (SimCC, RTMPose): positions (B, K) in bins to (B, K, bins).

    The default sigma is RTMPose's, sqrt(bins / 16): 4.9 for 384 bins and 5.66 for 512.
    """
    sigma = (bins / 16) ** 0.5 if sigma is None else sigma
    grid = torch.arange(bins, device=positions.device, dtype=positions.dtype)
    return torch.softmax(-0.5 * ((grid - positions[..., None]) / sigma) ** 2, -1)


def smoothed_bins(positions: Tensor, bins: int, smoothing: float = 0.1) -> Tensor:
    """AMFACPose's label smoothing (section 3.6): one bin holds 1 - smoothing, the rest is shared by all."""
    index = positions.round().long().clamp(0, bins - 1)
    return functional.one_hot(index, bins).to(positions.dtype) * (1 - smoothing) + smoothing / bins


class KLDiscretLoss(nn.Module):
    """Kullback-Leibler divergence of both axes with temperature and joint weights (AMFACPose, equations 20 and 21)."""

    def __init__(self, temperature: float = 0.8, joint_weights: tuple[float, ...] = COCO17_JOINT_WEIGHTS) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("joint_weights", torch.tensor(joint_weights, dtype=torch.float32))
        self.joint_weights: Tensor

    def forward(self, logits: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
        """Logits and targets (B, K, bins) of x and y; weights (B, K), 0 for joints without a target."""
        loss = torch.zeros_like(weights)
        for axis, target in zip(logits, targets, strict=True):
            log_p = functional.log_softmax(axis.float() / self.temperature, -1)
            loss = loss + functional.kl_div(log_p, target, reduction="none").sum(-1)
        return (loss * weights * self.joint_weights).mean()
