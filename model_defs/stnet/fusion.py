"""The last fusion over all scales: STair Fusion (section III-D), and the sum that stands in for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..folding import Size, _factor
from ..hrnet import STRIDE, UpPath, conv_norm
from .config import STNetConfig


class Enlarge(nn.Module):
    """Upsampling to one cell less than the finer scale, then a 4x4 deconvolution of stride 1 to its very size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(in_channels, out_channels, 4, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        size = [like.shape[2] - 1, like.shape[3] - 1]
        x = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
        enlarged: Tensor = self.norm(self.deconv(x)).relu()
        return enlarged


class FoldedEnlarge(nn.Module):
    """Enlarge for one input size, its batch norm folded: the deconvolution is a convolution by the flipped kernel."""

    def __init__(self, source: Enlarge, size: Size, wanted: Size) -> None:
        super().__init__()
        deconv = source.deconv
        self.factors = [_factor(length, cells - 1) for length, cells in zip(size, wanted, strict=True)]
        self.conv = nn.Conv2d(deconv.in_channels, deconv.out_channels, 4, padding=2)
        self.conv.weight = nn.Parameter(deconv.weight.transpose(0, 1).flip(2, 3).contiguous())
        self.conv.bias = deconv.bias

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        resized = functional.interpolate(x, scale_factor=self.factors, mode="bilinear", align_corners=False)
        enlarged: Tensor = self.conv(resized).relu()
        return enlarged


class StairFusion(nn.Module):
    """STF: every branch beside texture of the picture at its scale, brought together at the finest (section III-D)."""

    def __init__(self, config: STNetConfig) -> None:
        super().__init__()
        widths, hidden = config.widths, config.width // 2  # reduction rates as in the mix attention
        self.strides = tuple(STRIDE * 2**i for i in range(len(widths)))
        self.texture = nn.ModuleList(
            nn.Sequential(
                conv_norm(3, hidden), conv_norm(hidden, hidden), conv_norm(hidden, hidden), conv_norm(hidden, width)
            )
            for width in widths
        )
        self.join = nn.ModuleList(conv_norm(2 * width, width) for width in widths)
        self.enlarge = nn.ModuleList(Enlarge(2 * width, width) for width in widths[:-1])

    def forward(self, picture: Tensor, branches: Sequence[Tensor]) -> Tensor:
        scaled = functional.avg_pool2d(picture, STRIDE)
        joined = []
        for branch, texture, join in zip(branches, self.texture, self.join, strict=True):
            joined.append(join(torch.cat((branch, texture(scaled)), 1)))
            if len(joined) < len(branches):  # sizes round up, as those of the branches
                scaled = functional.avg_pool2d(scaled, 2, ceil_mode=True, count_include_pad=False)
        fused: Tensor = joined[-1]
        for enlarge, finer in zip(reversed(self.enlarge), reversed(joined[:-1]), strict=True):
            fused = finer + enlarge(fused, finer)
        return fused

    def fix_size(self, input_size: Size) -> None:
        """Puts the folded forms of `enlarge` in place, for pictures of `input_size`; batch norms are folded before."""
        sizes = [(-(-input_size[0] // stride), -(-input_size[1] // stride)) for stride in self.strides]
        enlarge = [module for module in self.enlarge if isinstance(module, Enlarge)]
        pairs = zip(enlarge, sizes[1:], sizes[:-1], strict=True)
        self.enlarge = nn.ModuleList(FoldedEnlarge(module, size, wanted) for module, size, wanted in pairs)


class ScaleSum(nn.Module):
    """Without STF: the sum of the branches, brought to the finest as in an exchange."""

    def __init__(self, config: STNetConfig) -> None:
        super().__init__()
        finest, *coarser = config.widths
        self.paths = nn.ModuleList(UpPath(width, finest, 2**i) for i, width in enumerate(coarser, 1))

    def forward(self, picture: Tensor, branches: Sequence[Tensor]) -> Tensor:
        finest, *coarser = branches
        total = finest
        for path, branch in zip(self.paths, coarser, strict=True):
            total = total + path(branch, finest)
        return total.relu()
