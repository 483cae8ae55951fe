"""HRFormer-S: high-resolution vision transformer for dense prediction.

Yuan, Fu, Huang, Lin, Zhang, Chen, Wang, NeurIPS 2021, https://arxiv.org/abs/2110.09408. Parameters are named as in the
authors' code and in mmpose 0.x, and so are the departures from the paper that trained weights rely on: checkpoints hold
relative position biases, but they are not added to the attention logits; padded tokens are attended to; the last
module makes all four resolutions whether they are used or not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hrnet import ExchangeUnit, HRNet, UpPath, conv_norm
from .layers import SizeBound

WIDTH = 32
UNITS = (1, 4, 2)  # modules of stages 2 to 4
BLOCKS = 2  # per branch of a module, and bottlenecks of layer1
WINDOW = 7
HEAD_WIDTH = 32  # channels of an attention head: 1, 2, 4 and 8 heads
EXPANSION = 4
EPSILON = 1e-6  # of layer norms


class WindowProjections(nn.Module):
    """Multi-head attention among the tokens of each window."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * WINDOW - 1) ** 2, self.heads), requires_grad=False
        )
        self.register_buffer("relative_position_index", relative_positions())
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        """(windows * 49, C) to the same."""

        def heads(x: Tensor) -> Tensor:
            if self.heads == 1:  # nothing moves
                return x.reshape(-1, 1, WINDOW**2, HEAD_WIDTH)
            return x.reshape(-1, WINDOW**2, self.heads, HEAD_WIDTH).transpose(1, 2)

        q, k, v = heads(self.q_proj(tokens)), heads(self.k_proj(tokens)), heads(self.v_proj(tokens))
        mixed = (q @ k.transpose(2, 3) * HEAD_WIDTH**-0.5).softmax(-1) @ v
        if self.heads > 1:
            mixed = mixed.transpose(1, 2)
        projected: Tensor = self.out_proj(mixed.reshape(-1, self.heads * HEAD_WIDTH))
        return projected


class WindowAttention(nn.Module):
    """Holds the projections as `attn`, where checkpoints have them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = WindowProjections(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.attn(tokens)
        return mixed


class DepthwiseMLP(nn.Module):
    """Feed-forward network with a depthwise 3x3 convolution between its layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.fc1 = nn.Conv2d(channels, wide, 1)
        self.norm1 = nn.BatchNorm2d(wide)
        self.dw3x3 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.norm2 = nn.BatchNorm2d(wide)
        self.fc2 = nn.Conv2d(wide, channels, 1)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.norm1(self.fc1(x)))
        x = functional.gelu(self.norm2(self.dw3x3(x)))
        return functional.gelu(self.norm3(self.fc2(x)))


class TransformerBlock(SizeBound):
    """Window attention and feed-forward network with residual sums, over a map (B, C, H, W).

    Layouts change between channels and positions only, or between windows and rows only: both are copies of runs.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm1 = nn.LayerNorm(channels, eps=EPSILON)
        self.attn = WindowAttention(channels)
        self.norm2 = nn.LayerNorm(channels, eps=EPSILON)
        self.mlp = DepthwiseMLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.lengths(x)
        down, across = -(-height // WINDOW), -(-width // WINDOW)  # windows
        top, left = (down * WINDOW - height) // 2, (across * WINDOW - width) // 2
        bottom, right = down * WINDOW - height - top, across * WINDOW - width - left
        padded = any((top, bottom, left, right))

        tokens = x.permute(0, 2, 3, 1)
        normed = self.norm1(tokens)
        if padded:
            normed = functional.pad(normed, (0, 0, left, right, top, bottom))
        windows = normed.reshape(-1, down, WINDOW, across, WINDOW, self.channels).transpose(2, 3)
        mixed = self.attn(windows.reshape(-1, self.channels))
        rows = mixed.reshape(-1, down, across, WINDOW, WINDOW, self.channels).transpose(2, 3)
        whole = rows.reshape(-1, down * WINDOW, across * WINDOW, self.channels)
        tokens = tokens + (whole[:, top : top + height, left : left + width] if padded else whole)
        result: Tensor = tokens.permute(0, 3, 1, 2) + self.mlp(self.norm2(tokens).permute(0, 3, 1, 2))
        return result


def relative_positions() -> Tensor:
    """(49, 49) the row of the bias table for each pair of tokens; a buffer that checkpoints hold."""
    y, x = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    y, x = y.flatten(), x.flatten()
    down, across = y[:, None] - y[None] + WINDOW - 1, x[:, None] - x[None] + WINDOW - 1
    return down * (2 * WINDOW - 1) + across


def separable_path(in_channels: int, out_channels: int, halvings: int) -> nn.Sequential:
    """From a finer branch: depthwise 3x3 convolutions of stride 2 and 1x1 ones, the last of which brings the width."""
    steps = []
    for i in range(halvings):
        last = i == halvings - 1
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, in_channels, 3, 2, 1, groups=in_channels, bias=False),
            nn.BatchNorm2d(in_channels),
            *conv_norm(in_channels, out_channels if last else in_channels, 1, relu=not last),
        ]
        steps.append(nn.Sequential(*layers))
    return nn.Sequential(*steps)


class TransformerUnit(ExchangeUnit):
    """Transformer blocks in every branch, then all branches as sums over all branches."""

    @staticmethod
    def branch(width: int) -> nn.Module:
        return nn.Sequential(*(TransformerBlock(width) for _ in range(BLOCKS)))

    @staticmethod
    def path(widths: Sequence[int], source: int, target: int) -> nn.Module:
        if source > target:
            return UpPath(widths[source], widths[target], 2 ** (source - target), "bilinear")
        if source < target:
            return separable_path(widths[source], widths[target], target - source)
        return nn.Identity()


class HRFormer(HRNet):
    """Picture batch (B, 3, H, W) to four branches, (B, 32 * 2**i, H / 2**(i + 2), W / 2**(i + 2))."""

    bottlenecks = BLOCKS

    def __init__(self) -> None:
        super().__init__(WIDTH, UNITS, multiscale=True)

    def unit(self, widths: Sequence[int], outputs: int) -> nn.Module:
        return TransformerUnit(widths, outputs)
