"""Stair cells: receptive fields of 3, 5, 7 and 9 cells in a row (section III-A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..amfacpose import SqueezeExcitation
from ..hrnet import conv_norm
from .config import STNetConfig


class StairConvolution(nn.Module):
    """Separable 3x3 convolutions of dilation 1, 2, ... in a row, whose outputs are concatenated (section III-A)."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        steps = []
        for dilation, width in enumerate(widths, 1):
            depthwise = nn.Conv2d(
                channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False
            )
            steps.append(nn.Sequential(depthwise, *conv_norm(channels, width, 1)))
            channels = width
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor) -> Tensor:
        stairs = []
        for step in self.steps:
            x = step(x)
            stairs.append(x)
        return torch.cat(stairs, 1)


def stair_widths(channels: int, branches: int, halving: bool) -> tuple[int, ...]:
    """Channels of each stair: halves that add up to `channels` (table II: 16, 8, 4, 4 of 32), or all of them each."""
    if not halving:
        return (channels,) * branches
    return (*(channels >> i for i in range(1, branches)), channels >> (branches - 1))


class MixAttention(nn.Module):
    """A gate for each channel, then one for each place from the average and the maximum over channels (figure 4)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channel = SqueezeExcitation(channels, channels // hidden)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel(x)
        masks = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        gated: Tensor = x * self.spatial(masks).sigmoid()
        return gated


class StairCell(nn.Module):
    """STC: a residual block of a stair convolution between two 1x1 ones, and mix attention (figure 4)."""

    def __init__(self, channels: int, config: STNetConfig) -> None:
        super().__init__()
        widths = stair_widths(channels, config.branches, config.halving)
        self.enter = conv_norm(channels, channels, 1)
        self.stair = StairConvolution(channels, widths)
        self.join = conv_norm(sum(widths), channels, 1, relu=False)
        # the hidden width is the same in all branches: the reduction rate doubles with their channels
        self.attention = MixAttention(channels, config.width // 2) if config.mix_attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention(self.join(self.stair(self.enter(x))))
        activated: Tensor = (y + x).relu()
        return activated
