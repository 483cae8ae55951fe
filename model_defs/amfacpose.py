"""AMFACPose: Attentive Multi-scale Features with Adaptive Context PoseResNet.

Zakir, Salman, Benitez-Garcia, Takahashi: "Attentive Multi-Scale Features with Adaptive Context PoseResNet for
Resource-Efficient Human Pose Estimation", Electronics 2025, 14(11), 2107, https://doi.org/10.3390/electronics14112107.
Equation and section numbers below are that paper's.

Where the paper is silent, these choices meet its printed sizes: stem widths 32, 36, 64 without max-pooling (stages
at strides 2, 4, 8, 16), SE reduction 4, one SCRM per basic block, DGCB without reduction, AFPN lateral width 80 and
output width 320, embedding size 2 per joint, MLP hidden width 208 shared by all joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanpose import SimCC

from .activations import Mish
from .layers import Depthwise
from .losses import KLDiscretLoss
from .network import PoseNetwork
from .objectives import SimCCObjective

STEM_COORDINATES = (True, False, True)  # section 3.1: 3x3 convolutions interleaved with CoordConv2d
EMBEDDING = 2
HIDDEN_WIDTH = 208
SE_REDUCTION = 4


@dataclass(frozen=True)
class AMFACPoseConfig:
    """One AMFACPose network; the five switches are the paper's ablation (table 6)."""

    blocks: tuple[int, int, int, int]  # basic blocks per stage: ResNet18 or ResNet34
    input_size: tuple[int, int]  # height, width
    num_keypoints: int = 17
    split_ratio: int = 2  # k of equation 18
    stem_widths: tuple[int, int, int] = (32, 36, 64)
    stage_widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    lateral_width: int = 80  # of the pyramid's levels
    fused_width: int = 320  # of what it gives
    afpn: bool = True
    dgcb: bool = True
    scrm: bool = True
    se: bool = True
    coord: bool = True

    def without_modules(self) -> AMFACPoseConfig:
        return replace(self, afpn=False, dgcb=False, scrm=False, se=False, coord=False)


RESNET18 = (2, 2, 2, 2)
RESNET34 = (3, 4, 6, 3)
CONFIGS = {
    "amfacpose-r34-384x288": AMFACPoseConfig(RESNET34, (384, 288)),
    "amfacpose-r34-256x256": AMFACPoseConfig(RESNET34, (256, 256)),
    "amfacpose-r18-384x288": AMFACPoseConfig(RESNET18, (384, 288)),
    "amfacpose-r18-256x256": AMFACPoseConfig(RESNET18, (256, 256)),
}
NANO = {  # ours, not the paper's: the same modules, half as wide
    "amfacpose-nano-256x192": AMFACPoseConfig(
        RESNET18,
        (256, 192),
        stem_widths=(16, 18, 32),
        stage_widths=(32, 64, 128, 256),
        lateral_width=40,
        fused_width=160,
    )
}
_BASELINE = CONFIGS["amfacpose-r34-384x288"].without_modules()
ABLATION = {
    "baseline": _BASELINE,
    "+AFPN": replace(_BASELINE, afpn=True),
    "+DGCB": replace(_BASELINE, afpn=True, dgcb=True),
    "+SCRM": replace(_BASELINE, afpn=True, dgcb=True, scrm=True),
    "+SE": replace(_BASELINE, afpn=True, dgcb=True, scrm=True, se=True),
    "+CoordConv2d (full)": CONFIGS["amfacpose-r34-384x288"],
}


class CoordConv2d(nn.Module):
    """3x3 convolution over the features and two scaled and shifted coordinate channels (equation 2, algorithm 1)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels + 2, out_channels, 3, stride, 1, bias=False)
        self.scale = nn.Parameter(torch.ones(2))  # alpha_x, alpha_y
        self.shift = nn.Parameter(torch.zeros(2))  # beta_x, beta_y

    def coordinates(self, height: int, width: int) -> Tensor:
        """The (2, height, width) coordinate channels, x before y."""
        device, dtype = self.scale.device, self.scale.dtype
        x = torch.linspace(-1, 1, width, device=device, dtype=dtype).expand(height, width)
        y = torch.linspace(-1, 1, height, device=device, dtype=dtype)[:, None].expand(height, width)
        return torch.stack((x, y)) * self.scale[:, None, None] + self.shift[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        grid = self.coordinates(x.shape[2], x.shape[3]).to(x.dtype)
        convolved: Tensor = self.conv(torch.cat((x, grid.expand(x.shape[0], -1, -1, -1)), 1))
        return convolved


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise separable convolution (equations 3 and 4)."""
    return nn.Sequential(
        Depthwise(in_channels, stride),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class SqueezeExcitation(nn.Module):
    """Channel gate from the global context (equations 12 and 13)."""

    def __init__(self, channels: int, reduction: int = SE_REDUCTION) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // reduction, 1)
        self.expand = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1)
        gated: Tensor = x * self.expand(self.reduce(pooled).relu()).sigmoid()
        return gated


class SpatialChannelRefinement(nn.Module):
    """SCRM: a channel gate by a 1-D convolution and a spatial gate by a depthwise one (equations 14 to 16)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.channel_norm = nn.BatchNorm1d(1)
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.spatial_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3))[:, None]
        channel = self.channel_norm(self.channel(pooled)).sigmoid().transpose(1, 2)[..., None]
        refined: Tensor = x * self.spatial_norm(self.spatial(x)).sigmoid() * channel
        return refined


class BasicBlock(nn.Module):
    """ResNet basic block with separable convolutions and Mish (section 3.1.2)."""

    def __init__(self, in_channels: int, channels: int, stride: int, scrm: bool) -> None:
        super().__init__()
        self.conv1 = separable(in_channels, channels, stride)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = separable(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.scrm = SpatialChannelRefinement(channels) if scrm else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.act = Mish()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm1(self.conv1(x)))
        y = self.scrm(self.norm2(self.conv2(y)))
        activated: Tensor = self.act(y + self.shortcut(x))
        return activated


class DualGateContext(nn.Module):
    """DGCB: the product of the context mask and the gating mask (equations 10 and 11), as (B, C, 1, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def mask() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.Sigmoid()
            )

        self.context = mask()
        self.gate = mask()

    def forward(self, pooled: Tensor) -> Tensor:
        masks: Tensor = self.context(pooled) * self.gate(pooled)
        return masks


class AdaptiveFeaturePyramid(nn.Module):
    """AFPN: every stage brought to the size of the last one, gated and fused (equations 5 to 9).

    `resize_first` swaps the lateral 1x1 convolutions with the bilinear resizing and the pooling. All three are
    linear and the DGCB masks are constant over the picture, so the result is the same at a fraction of the work.
    """

    def __init__(self, config: AMFACPoseConfig, resize_first: bool = False) -> None:
        super().__init__()
        self.config, width = config, config.lateral_width
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in config.stage_widths)
        self.dgcb = nn.ModuleList(DualGateContext(width) for _ in config.stage_widths) if config.dgcb else None
        self.fuse = nn.Conv2d(width * len(config.stage_widths), config.fused_width, 1)
        self.resize_first = resize_first

    def forward(self, stages: list[Tensor]) -> Tensor:
        levels = []
        for i, (stage, lateral) in enumerate(zip(stages, self.lateral, strict=True)):
            full = stage if self.resize_first else lateral(stage)
            level = self._resize(i, full, stages[-1].shape[2:])
            level = lateral(level) if self.resize_first else level
            if self.dgcb is not None:
                pooled = functional.adaptive_avg_pool2d(full, 1)
                masks = self.dgcb[i](lateral(pooled) if self.resize_first else pooled)
                level = level * (level * masks)  # equation 8: F times A = F * masks
            levels.append(level)
        fused: Tensor = self.fuse(torch.cat(levels, 1))
        return fused

    def _resize(self, level: int, x: Tensor, size: torch.Size) -> Tensor:
        same = x.shape[2:] == size
        return x if same else functional.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


class AMFACPose(PoseNetwork):
    """Picture batch (B, 3, H, W) to SimCC logits (B, K, W * k) and (B, K, H * k)."""

    config: AMFACPoseConfig

    def __init__(self, config: AMFACPoseConfig) -> None:
        super().__init__()
        self.config = config
        stem: list[nn.Module] = []
        channels = 3
        for i, (width, coordinates) in enumerate(zip(config.stem_widths, STEM_COORDINATES, strict=True)):
            stride = 2 if i == 0 else 1
            if coordinates and config.coord:
                stem.append(CoordConv2d(channels, width, stride))
            else:
                stem.append(nn.Conv2d(channels, width, 3, stride, 1, bias=False))
            stem += [nn.BatchNorm2d(width), Mish()]
            channels = width
        self.stem = nn.Sequential(*stem)

        self.stages = nn.ModuleList()
        for i, (count, width) in enumerate(zip(config.blocks, config.stage_widths, strict=True)):
            blocks: list[nn.Module] = []
            for j in range(count):
                blocks.append(BasicBlock(channels, width, 2 if i and not j else 1, config.scrm))
                channels = width
            if config.se:  # section 3.4.1: after each of the backbone's four residual blocks
                blocks.append(SqueezeExcitation(width))
            self.stages.append(nn.Sequential(*blocks))

        self.afpn = AdaptiveFeaturePyramid(config) if config.afpn else None
        fused = config.fused_width if config.afpn else config.stage_widths[-1]
        self.embed = nn.Conv2d(fused, config.num_keypoints * EMBEDDING, 1)
        height, width = config.input_size
        for _ in range(4):  # four halvings, each rounding up as a padded 3x3 convolution does
            height, width = -(-height // 2), -(-width // 2)
        self.flat = EMBEDDING * height * width
        self.head_x = _mlp(self.flat, config.input_size[1] * config.split_ratio)
        self.head_y = _mlp(self.flat, config.input_size[0] * config.split_ratio)
        self.apply(_initialise)

    @property
    def codec(self) -> SimCC:
        return SimCC(self.config.split_ratio, "min", KLDiscretLoss().temperature)

    @property
    def objective(self) -> SimCCObjective:
        return SimCCObjective(self.config.split_ratio, self.config.num_keypoints)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        fused = self.afpn(levels) if self.afpn is not None else x
        joints = self.embed(fused).reshape(-1, self.flat)  # equation 17, one row per joint
        (height, width), keypoints = self.config.input_size, self.config.num_keypoints
        return (  # equation 19
            self.head_x(joints).reshape(-1, keypoints, width * self.config.split_ratio),
            self.head_y(joints).reshape(-1, keypoints, height * self.config.split_ratio),
        )


def _mlp(in_features: int, bins: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, HIDDEN_WIDTH), Mish(), nn.Linear(HIDDEN_WIDTH, bins))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in" if module.groups > 1 else "fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
