"""STNet as a pose network: stem, units, dual branch structure, fusion, head."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from leanpose import Heatmap

from ..hrnet import STRIDE, HRNet, conv_norm
from ..network import PoseNetwork
from ..objectives import HeatmapObjective, target_sigma
from .config import STNetConfig
from .fusion import ScaleSum, StairFusion
from .unit import LOW_WIDTH, DualBranch, StairUnit

SMALLEST_SIDE = 20  # the smallest input whose scales differ


class STNet(PoseNetwork):
    """Picture batch (B, 3, H, W) to heatmaps (B, K, H / 4, W / 4).

    Raises ValueError for an input size that is no multiple of 4 or below 20, and for counts below 1 or a width that
    the stairs cannot halve.
    """

    config: STNetConfig
    transform: ClassVar[Literal["plain", "udp"]] = "udp"

    def __init__(self, config: STNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.stem = HRNet(config.width, ())  # its stem and residual blocks alone
        self.dual = DualBranch(config) if config.mdbs else None
        sources = [LOW_WIDTH]
        for stage in range(1, config.stages + 1):
            sources.append(self.dual.out_channels(stage) if self.dual is not None else config.width)
        self.units = nn.ModuleList(StairUnit(source, config) for source in sources[:-1])
        self.gather = nn.Identity() if self.dual is None else conv_norm(sources[-1], config.width)
        self.fusion = StairFusion(config) if config.stf else ScaleSum(config)
        self.head = nn.Conv2d(config.width, config.num_keypoints, 1)
        heads = (nn.Conv2d(config.width, config.num_keypoints, 1) for _ in range(config.stages - 1))
        self.stage_heads = nn.ModuleList(heads)  # dropped after training
        self.apply(_initialise)

    @property
    def codec(self) -> Heatmap:
        sigma = target_sigma(self.config.input_size, STRIDE)
        kernel = max(2 * round(3 * sigma) - 1, 3)  # UDP's: 11 for sigma 2, 17 for 3
        return Heatmap(float(STRIDE), "udp", "udp", kernel, shift_heatmap=False)

    @property
    def objective(self) -> HeatmapObjective:
        return HeatmapObjective(self.config.input_size, STRIDE, "udp", (1.0,) * (1 + len(self.stage_heads)))

    def stages(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The first branch of every unit, and the branches that the fusion takes."""
        entering = self.stem.low(x)
        projected = [] if self.dual is None else [self.dual.project[0](entering)]
        branches: list[Tensor] = []
        finest = []
        for i, unit in enumerate(self.units, 1):
            branches = unit(entering, branches)
            entering = branches[0]
            finest.append(entering)
            if self.dual is not None:
                projected.append(self.dual.project[i](entering))
                entering = self.dual(projected)
        return finest, [self.gather(entering), *branches[1:]]

    def forward(self, x: Tensor) -> tuple[Tensor]:
        _, branches = self.stages(x)
        return (self.head(self.fusion(x, branches)),)

    def training_outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """The heatmaps, then those of every unit but the last."""
        finest, branches = self.stages(x)
        early = (head(stage) for head, stage in zip(self.stage_heads, finest[:-1], strict=True))
        return (self.head(self.fusion(x, branches)), *early)

    def drop_training_parts(self) -> None:
        self.stage_heads = nn.ModuleList()

    def folded(self) -> STNet:
        """As the base class; the kernels of deconvolutions are flipped into convolutions, under names of their own."""
        model = super().folded()
        assert isinstance(model, STNet)
        if isinstance(model.fusion, StairFusion):
            model.fusion.fix_size(self.config.input_size)
            model.requires_grad_(False)
        return model


def _check(config: STNetConfig) -> None:
    height, width = config.input_size
    if any(side < SMALLEST_SIDE or side % STRIDE for side in config.input_size):
        raise ValueError(f"input_size: expected multiples of {STRIDE} from {SMALLEST_SIDE}, got {height}x{width}")
    for field in ("stages", "cells", "branches"):
        if getattr(config, field) < 1:
            raise ValueError(f"{field}: expected 1 or more, got {getattr(config, field)}")
    step = max(2 ** (config.branches - 1) if config.halving else 1, 2)
    if config.width < 1 or config.width % step:
        raise ValueError(f"width: expected a multiple of {step} for {config.branches} stairs, got {config.width}")


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.001)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
