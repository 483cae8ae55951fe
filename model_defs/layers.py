"""Layers that several systems share, each with its form for export."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SizeBound(nn.Module):
    """A layer that needs the height and width of its input; folding fixes them, so that graphs compute no shapes."""

    size: tuple[int, int] | None = None

    def lengths(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the feature map `x`."""
        return self.size if self.size is not None else (x.shape[2], x.shape[3])


class Pointwise(nn.Linear):
    """A 1x1 convolution whose weight is stored as that of a linear layer, (out, in); folded, it is a convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight[..., None, None], self.bias)

    def folded(self) -> nn.Conv2d:
        """The convolution, of the same names."""
        convolution = nn.Conv2d(self.in_features, self.out_features, 1, device="meta")
        convolution.weight = nn.Parameter(self.weight[..., None, None])
        convolution.bias = self.bias
        return convolution


class Depthwise(nn.Conv2d):
    """A 3x3 convolution of each channel by itself."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1) or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        # oneDNN takes ten times as long for the gradient of one with a stride in bfloat16 as in float32
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())
