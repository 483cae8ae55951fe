"""Stair units and what connects them: sections III-B and III-C."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..hrnet import STEM_WIDTH, Bottleneck, ExchangeUnit, conv_norm
from .cell import StairCell
from .config import SCALES, STNetConfig

LOW_WIDTH = STEM_WIDTH * Bottleneck.expansion  # of the stem's output


class StairUnit(nn.Module):
    """STU: exchanges between 2, 3 and 4 branches, the first of which keeps its resolution (section III-B, figure 5).

    (B, in_channels, h, w) to four branches (B, width * 2**i, h / 2**i, w / 2**i). New branches add those of the unit
    before, given as `previous`.
    """

    def __init__(self, in_channels: int, config: STNetConfig) -> None:
        super().__init__()
        widths = config.widths

        def cells(width: int) -> nn.Module:
            return nn.Sequential(*(StairCell(width, config) for _ in range(config.cells)))

        self.enter = nn.Identity() if in_channels == widths[0] else conv_norm(in_channels, widths[0])
        sources = (in_channels, *widths[1:])
        self.down = nn.ModuleList(conv_norm(sources[i], widths[i + 1], 3, 2) for i in range(SCALES - 1))
        self.exchanges = nn.ModuleList(ExchangeUnit(widths[:n], n, cells) for n in range(2, SCALES + 1))

    def forward(self, x: Tensor, previous: Sequence[Tensor] = ()) -> list[Tensor]:
        branches, source = [self.enter(x)], x
        for i, (down, exchange) in enumerate(zip(self.down, self.exchanges, strict=True), 1):
            coarser = down(source)
            branches = exchange([*branches, coarser + previous[i] if previous else coarser])
            source = branches[-1]
        return branches


class DualBranch(nn.Module):
    """MDBS: consolidates and collects the outputs of the stem and of the units so far (section III-C).

    The i-th output (B, C, h, w), i from 0, to the input of the next stage, (B, (i + 2) n, h, w) with n = width / 2.
    """

    def __init__(self, config: STNetConfig) -> None:
        super().__init__()
        self.growth = config.width // 2
        sources = (LOW_WIDTH, *[config.width] * config.stages)
        self.project = nn.ModuleList(conv_norm(source, config.width, 1) for source in sources)  # H of equations 5, 6

    def out_channels(self, stage: int) -> int:
        """Channels after the unit `stage`, counted from 1."""
        return (stage + 2) * self.growth

    def forward(self, projected: Sequence[Tensor]) -> Tensor:
        n = self.growth
        consolidated = projected[-1][:, :n] + projected[-2][:, :n]  # equation 5
        excavated = [x[:, n:] for x in reversed(projected)]  # equation 6
        return torch.cat((consolidated, *excavated), 1)  # equation 7
