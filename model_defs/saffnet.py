"""SAFFNet: Stacked Attention Feature Fusion Network, an HRNet without its fourth stage.

Ma, Wang, Zhao: "Feature Fusion Based on Stacked Attention Lightweight Human Pose Estimation", 2025. Equation and
section numbers below are that paper's.

Where the paper is silent, these choices meet its printed sizes: reduction 4 in squeeze-and-excitation and AFF, 32 but
no less than 8 channels in coordinate attention; attention follows the convolution that resamples, at the width that it
gives; a branch that keeps its resolution is not refined in a fusion and gets no convolution in a transition; the stem's
attention is at its end. Loss and decoding, of which the paper says nothing, are HRNet's. The last unit fuses into the
highest resolution alone: the printed sizes count its other outputs too, 0.15 M parameters that nothing reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hrnet import (
    STEM_WIDTH,
    Bottleneck,
    ExchangeUnit,
    HighResolutionPose,
    HRNet,
    HRNetPoseConfig,
    UpPath,
    conv_norm,
)

UNITS = (1, 4)  # exchange units of stages 2 and 3: transition3 and stage4 are removed (section III-A)
GROUPS = 8
DROPOUT = 0.1
REDUCTION = 4
COORDINATE_REDUCTION = 32
LEAST_HIDDEN_WIDTH = 8


@dataclass(frozen=True)
class SAFFNetConfig:
    """One SAFFNet; the four switches are the paper's ablation (table 5), without them it is HRNet-DF."""

    input_size: tuple[int, int]  # height, width
    num_keypoints: int = 17
    width: int = 32
    scbottle: bool = True
    safuse: bool = True
    satransition: bool = True
    sastem: bool = True


CONFIGS = {
    "saffnet-256x192": SAFFNetConfig((256, 192)),
    "saffnet-384x288": SAFFNetConfig((384, 288)),
    "saffnet-mpii-256x256": SAFFNetConfig((256, 256), num_keypoints=16),
}
_DF = SAFFNetConfig((256, 192), scbottle=False, safuse=False, satransition=False, sastem=False)
ABLATION: dict[str, SAFFNetConfig | HRNetPoseConfig] = {
    "hrnet-w32": HRNetPoseConfig((256, 192)),  # table 4
    "hrnet-df (no Transition3, Stage4)": HRNetPoseConfig((256, 192), units=UNITS),
    "hrnet-sf": HRNetPoseConfig((256, 192), units=(1, 3, 1)),
    "SCBottle": replace(_DF, scbottle=True),  # table 5
    "SAFuseBlock": replace(_DF, safuse=True),
    "SATransitionBlock": replace(_DF, satransition=True),
    "SAStem": replace(_DF, sastem=True),
    "SCBottle+SAFuseBlock": replace(_DF, scbottle=True, safuse=True),
    "SCBottle+SAFuseBlock+SATransitionBlock": replace(_DF, scbottle=True, safuse=True, satransition=True),
    "all four": CONFIGS["saffnet-256x192"],
}


class SeparateAndResplice(nn.Module):
    """A 3x3 convolution in groups, each of which also sees half of the one before (equations 1 to 6).

    An odd width leaves the larger half to the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.group = channels // GROUPS
        self.functions = nn.ModuleList()
        self.halves: list[list[int]] = []  # widths of SF_j and SFC_j
        width = self.group
        for _ in range(GROUPS - 1):
            self.functions.append(function_module(width))
            self.halves.append([width - width // 2, width // 2])
            width = self.group + width // 2

    def forward(self, x: Tensor) -> Tensor:
        kept, second, *groups = torch.split(x, self.group, 1)
        parts = [kept]  # S_1
        y = self.functions[0](second)  # SC_1
        for group, function, halves in zip(groups, self.functions[1:], self.halves[:-1], strict=True):
            part, passed = torch.split(y, halves, 1)  # SF_j, SFC_j
            parts.append(part)
            y = function(torch.cat((group, passed), 1))  # SC_j+1
        return torch.cat((*parts, y), 1)


def function_module(channels: int) -> nn.Sequential:
    """FC, the function module (section III-B): convolution with batch norm, LeakyReLU and dropout."""
    return nn.Sequential(*conv_norm(channels, channels, relu=False), nn.LeakyReLU(), nn.Dropout(DROPOUT))


class SCBottle(nn.Module):
    """Bottleneck whose 3x3 convolution, batch norm and ReLU are a separation and re-splicing (section III-B1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // Bottleneck.expansion
        self.conv1 = nn.Conv2d(channels, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.resplice = SeparateAndResplice(narrow)
        self.conv3 = nn.Conv2d(narrow, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.resplice(self.bn1(self.conv1(x)).relu())
        activated: Tensor = (self.bn3(self.conv3(y)) + x).relu()
        return activated


class AttentionalFusion(nn.Module):
    """AFF: two maps mixed by weights from their sum, locally and globally (Dai et al., WACV 2021, equation 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def context() -> nn.Sequential:
            hidden = channels // REDUCTION
            return nn.Sequential(*conv_norm(channels, hidden, 1), *conv_norm(hidden, channels, 1, relu=False))

        self.local = context()
        self.context = context()

    def forward(self, attended: Tensor, value: Tensor, pooled: Tensor) -> Tensor:
        """Of (B, C, H, W) maps; `pooled` is the global average (B, C, 1, 1) of their sum."""
        weight = (self.local(attended + value) + self.context(pooled)).sigmoid()
        mixed: Tensor = value + weight * (attended - value)  # weight * attended + (1 - weight) * value
        return mixed


class StackedAttention(nn.Module):
    """SAWF: squeeze-and-excitation with a second average-pooling branch, then AFF with its input (section III-C).

    The second branch sees all channels, without the reduction that is the bottleneck of the first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.expand = nn.Conv2d(channels // REDUCTION, channels, 1)
        self.full = nn.Conv2d(channels, channels, 1)
        self.fusion = AttentionalFusion(channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1)
        gate = (self.expand(self.reduce(pooled).relu()) + self.full(pooled)).sigmoid()
        fused: Tensor = self.fusion(x * gate, x, pooled * (1 + gate))
        return fused


class CoordinateAttention(nn.Module):
    """CA: gates of rows and columns from averages along the other axis (Hou et al., CVPR 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // COORDINATE_REDUCTION, LEAST_HIDDEN_WIDTH)
        self.shared = nn.Sequential(*conv_norm(channels, hidden, 1, relu=False), nn.Hardswish())
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        averages = torch.cat((x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)), 2)
        rows, columns = self.shared(averages).split((height, width), 2)
        return self.gated(x, rows, columns.transpose(2, 3))

    def gated(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        gated: Tensor = x * self.rows(rows).sigmoid() * self.columns(columns).sigmoid()
        return gated


class FoldedCoordinateAttention(CoordinateAttention):
    """CA at inference, where rows and columns need not meet to share their batch norm's statistics."""

    def __init__(self, source: CoordinateAttention) -> None:
        nn.Module.__init__(self)
        self.shared, self.rows, self.columns = source.shared, source.rows, source.columns

    def forward(self, x: Tensor) -> Tensor:
        return self.gated(x, self.shared(x.mean(3, keepdim=True)), self.shared(x.mean(2, keepdim=True)))


class StackedCoordinateAttention(nn.Module):
    """SCAFF: coordinate attention, then AFF with its input (equations 7 and 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = CoordinateAttention(channels)
        self.fusion = AttentionalFusion(channels)

    def forward(self, x: Tensor) -> Tensor:
        attended = self.attention(x)
        fused: Tensor = self.fusion(attended, x, functional.adaptive_avg_pool2d(attended + x, 1))
        return fused


class SAUpSample(UpPath):
    """HRNet's way up with SAWF before the resize: it is the same after it, for more work (section III-C1)."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__(in_channels, out_channels, factor)
        self.insert(2, StackedAttention(out_channels))


def sa_down_sample(in_channels: int, out_channels: int, halvings: int) -> nn.Sequential:
    """HRNet's way down with SAWF after every convolution of stride 2 (section III-C1)."""
    widths = [in_channels] * halvings + [out_channels]
    steps: list[nn.Module] = []
    for i in range(halvings):
        step = nn.Sequential(*conv_norm(widths[i], widths[i + 1], 3, 2, relu=False), StackedAttention(widths[i + 1]))
        steps.append(step if i == halvings - 1 else step.append(nn.ReLU()))
    return nn.Sequential(*steps)


class SAFuseUnit(ExchangeUnit):
    """Exchange unit with SAFuseBlock: every change of resolution refines the features by SAWF."""

    @staticmethod
    def path(widths: Sequence[int], source: int, target: int) -> nn.Module:
        if source > target:
            return SAUpSample(widths[source], widths[target], 2 ** (source - target))
        return sa_down_sample(widths[source], widths[target], target - source) if source < target else nn.Identity()


class SAFFBackbone(HRNet):
    """HRNet-DF, or HRNet to the end of stage 3, with the modules that the configuration switches on."""

    def __init__(self, config: SAFFNetConfig, multiscale: bool = False) -> None:
        self.config = config  # HRNet's constructor calls `unit` and `transition`
        super().__init__(config.width, UNITS, multiscale)
        if config.scbottle:
            for i in range(1, len(self.layer1)):  # the first keeps the original structure
                self.layer1[i] = SCBottle(STEM_WIDTH * Bottleneck.expansion)
        self.stem_attention = StackedCoordinateAttention(STEM_WIDTH) if config.sastem else nn.Identity()

    def unit(self, widths: Sequence[int], outputs: int) -> nn.Module:
        return SAFuseUnit(widths, outputs) if self.config.safuse else super().unit(widths, outputs)

    def transition(self, before: Sequence[int], after: Sequence[int]) -> list[nn.Module]:
        """HRNet's layers, each followed by SCAFF: SATransitionBlocks (section III-D1)."""
        layers = super().transition(before, after)
        if not self.config.satransition:
            return layers
        pairs = zip(layers, after, strict=True)
        return [nn.Sequential(layer, StackedCoordinateAttention(width)) for layer, width in pairs]

    def stem(self, x: Tensor) -> Tensor:
        """HRNet's, followed by SCAFF: SAStem (section III-D2)."""
        attended: Tensor = self.stem_attention(super().stem(x))
        return attended


class SAFFNet(HighResolutionPose):
    """Picture batch (B, 3, H, W) to heatmaps (B, K, H / 4, W / 4)."""

    config: SAFFNetConfig

    def __init__(self, config: SAFFNetConfig) -> None:
        super().__init__(config.input_size, config.num_keypoints, SAFFBackbone(config))
        self.config = config

    def folded(self) -> nn.Module:
        model = super().folded()
        for name, module in list(model.named_modules()):
            if isinstance(module, CoordinateAttention):
                model.set_submodule(name, FoldedCoordinateAttention(module))
        return model
