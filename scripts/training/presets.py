"""How each paper trains: optimiser, schedule, batch and augmentation under one name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from .augment import Augmentation


@dataclass(frozen=True)
class Preset:
    """A training schedule in epochs over all persons (pictures for bottom-up networks).

    Attributes:
        optimiser: "adam" or "adamw".
        rate: learning rate at the start.
        batch: pictures per step.
        epochs: length of the training; None where the paper does not say.
        drops: epochs after which the rate falls to a tenth.
        augmentation: flip, rotation and scale as printed; colour and occlusion are ours and off.
        weight_decay: decoupled for "adamw".
        smoothing: label smoothing instead of Gaussians, for SimCC.
        note: what is silent or doubtful in the paper.
    """

    optimiser: str
    rate: float
    batch: int
    epochs: int
    drops: tuple[int, ...]
    augmentation: Augmentation
    weight_decay: float = 0.0
    smoothing: bool = False
    note: str = ""

    def rate_after(self, epochs: float) -> float:
        """The learning rate when so many epochs are done."""
        return float(self.rate * 0.1 ** sum(epochs >= drop for drop in self.drops))


def _printed(rotation: float, scale: tuple[float, float], half_body: float = 0.0) -> Augmentation:
    return Augmentation(0.5, rotation, scale, shift=0.0, half_body=half_body, occlusion=0.0, colour=0.0)


# MMPose's top-down recipe of that time, to which SRPose refers, and HRNet's, to which MfvPose refers
_MMPOSE, _HRNET = _printed(40, (0.5, 1.5), 0.3), _printed(45, (0.65, 1.35), 0.3)
_BOTTOM_UP = _printed(30, (0.75, 1.5))

PRESETS = {
    "amfacpose": Preset(
        *("adamw", 1e-5, 32, 140, ()),
        _printed(30, (0.7, 1.3)),
        weight_decay=0.01,
        smoothing=True,
        note="the printed rate of 1e-5 is doubtful from scratch: 2e-3 trained here; weight decay is PyTorch's default",
    ),
    "saffnet": Preset(
        *("adam", 1e-3, 32, 210, (170, 200)),
        _printed(45, (0.65, 1.35), 0.3),
        note="drops are not printed: HRNet's; 'target cropping with a certain probability' is taken as half bodies",
    ),
    "mfvpose": Preset(
        *("adam", 1e-3, 32, 300, (200, 260)), _HRNET, note="batch is not printed; 300 epochs are TokenPose's"
    ),
    "srpose": Preset(
        *("adam", 5e-4, 128, 210, (170, 200)),
        _MMPOSE,
        note="the printed weight decay of 1e-4 is HRFormer's AdamW in MMPose; Adam there has none",
    ),
    "srpose-hrformer": Preset(*("adamw", 5e-4, 128, 210, (170, 200)), _MMPOSE, weight_decay=1e-4),
    "srpose-bottomup": Preset(*("adam", 1.5e-3, 48, 300, (200, 260)), _BOTTOM_UP, note="augmentation is MMPose's"),
    "stnet": Preset(
        *("adam", 1e-3, 32, 210, (170, 200)),
        _HRNET,
        note="the paper prints Adam and four GPUs alone: the rest is HRNet's, which it follows",
    ),
}


def preset_name(model: str) -> str:
    """The preset that belongs to a definition."""
    system = model.split("/")[0].split("-")[0]
    if system == "srpose":
        if "bottomup" in model:
            return "srpose-bottomup"
        return "srpose-hrformer" if "hrformer" in model else "srpose"
    return system if system in PRESETS else "stnet"  # plain HRNets train as HRNet does


def parameter_groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and kernels alone, not on biases, norms or coordinate scales."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimiser(
    name: str, groups: Iterable[dict[str, object]], rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """Adam or AdamW."""
    if name == "adamw":
        return torch.optim.AdamW(list(groups), lr=rate, betas=betas)
    return torch.optim.Adam(list(groups), lr=rate, betas=betas)
