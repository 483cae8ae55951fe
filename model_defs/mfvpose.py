"""MfvPose: a hybrid of HRNet's first stages, cascaded atrous convolutions and keypoint tokens in a transformer.

"MfvPose" in comments is the paper; TokenPose, which it builds on and refers to for all that it does not say, is Li,
Zhang, Wang, Yang, Yang, Xia, Zhou: "TokenPose: Learning Keypoint Tokens for Human Pose Estimation", ICCV 2021,
https://arxiv.org/abs/2104.03516. With `hrfov` and `layer_scale` off a network is the TokenPose of the same depth.

The text claims both fewer parameters than TokenPose and an insignificant increase; modules that only add cannot give
the first. It prints no sizes; where it is silent, these are the choices:
B has HRNet-W32 and eight heads, L HRNet-W48 and twelve (eight on MPII), as TokenPose's published configurations;
HRFOV keeps the width of HRNet's highest resolution, joins its two inputs by a 1x1 convolution and has the dilations of
WASPv2 (OmniPose, https://arxiv.org/abs/2103.10180), which works at the same stride of 4; scales start as in CaiT.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanpose import Heatmap

from .hrnet import STEM_WIDTH, STRIDE, Bottleneck, HRNet, conv_norm
from .network import PoseNetwork
from .objectives import HeatmapObjective, target_sigma

EXTRACTOR_UNITS = (1, 4)  # HRNet's exchange units: stages 2 and 3, no stage 4
LOW_WIDTH = STEM_WIDTH * Bottleneck.expansion  # of layer1's output
DILATIONS = (1, 6, 12, 18)
EMBEDDING = 192
MLP_RATIO = 3
HEATMAP_SHARE = 8  # a narrow head goes through 1 / 8 of the heatmap's cells
TEMPERATURE = 10000.0  # of the sine position embedding
INITIAL_SCALES = ((18, 0.1), (24, 1e-5), (math.inf, 1e-6))  # CaiT: up to this depth, this scale


@dataclass(frozen=True)
class MfvPoseConfig:
    """One MfvPose network; the switches are the paper's ablation (table 4)."""

    width: int  # of HRNet: 32 (B) or 48 (L)
    depth: int
    heads: int
    stages: int  # the head reads the keypoint tokens after each of these parts of the encoder: 1 (B) or 3 (L)
    input_size: tuple[int, int]  # height, width
    patch_size: tuple[int, int] = (4, 3)  # cells of the feature map, height and width
    num_keypoints: int = 17
    hrfov: bool = True
    layer_scale: bool = True

    def tokenpose(self) -> MfvPoseConfig:
        """The TokenPose of the same size."""
        return replace(self, hrfov=False, layer_scale=False)


_L_D24 = MfvPoseConfig(48, 24, 12, 3, (256, 192))
_L_D6_MPII = MfvPoseConfig(48, 6, 8, 3, (256, 256), (4, 4), 16)
CONFIGS = {
    "mfvpose-b-d8-256x192": MfvPoseConfig(32, 8, 8, 1, (256, 192)),
    "mfvpose-l-d6-256x192": replace(_L_D24, depth=6),
    "mfvpose-l-d24-256x192": _L_D24,
    "mfvpose-l-d6-mpii-256x256": _L_D6_MPII,
}
ABLATION = {
    "TokenPose-L/D6": _L_D6_MPII.tokenpose(),
    "+HRFOV": replace(_L_D6_MPII, layer_scale=False),
    "+HRFOV+LSW (full)": _L_D6_MPII,
}
REFERENCE = {
    "tokenpose-l/d24-256x192": CONFIGS["mfvpose-l-d24-256x192"].tokenpose(),
    "tokenpose-l/d6-256x192": CONFIGS["mfvpose-l-d6-256x192"].tokenpose(),
}


def atrous(channels: int, dilation: int) -> nn.Sequential:
    """3x3 convolution with `dilation` that keeps width and resolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class AtrousCascade(nn.Module):
    """Four atrous convolutions, each on the output of the one before it as in WASP, and a 1x1 convolution over all.

    The last is what ASPP has; there is no pooling branch. (B, C, h, w) to the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(atrous(channels, dilation) for dilation in DILATIONS)
        self.project = conv_norm(channels * len(DILATIONS), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        fields = []
        for branch in self.branches:
            x = branch(x)
            fields.append(x)
        projected: Tensor = self.project(torch.cat(fields, 1))
        return projected


class HighResolutionFieldOfView(nn.Module):
    """HRFOV: the features of the ResNet blocks and of the last exchange unit together through the cascade.

    Low (B, 256, h, w) and high (B, C, h, w) to (B, C, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = conv_norm(LOW_WIDTH + channels, channels, 1)
        self.cascade = AtrousCascade(channels)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        widened: Tensor = self.cascade(self.join(torch.cat((low, high), 1)))
        return widened


class Attention(nn.Module):
    """Multi-head self-attention of tokens (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        count, width = x.shape[1:]
        heads = self.qkv(x).reshape(-1, count, 3 * self.heads, width // self.heads).transpose(1, 2)
        q, k, v = heads.chunk(3, 1)
        attended = functional.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.out(attended.transpose(1, 2).reshape(-1, count, width))
        return mixed


class LayerScale(nn.Module):
    """The learnable scalar weights: a factor for every channel (CaiT, https://arxiv.org/abs/2103.17239)."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class EncoderLayer(nn.Module):
    """Attention and a two-layer MLP, each after a layer norm, scaled (figure 4) and added to its input."""

    def __init__(self, width: int, heads: int, initial_scale: float | None) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if initial_scale is None else LayerScale(width, initial_scale)

        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.scale1 = scale()
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)
        self.scale2 = scale()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale1(self.attention(self.norm1(x)))
        y = self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        added: Tensor = x + self.scale2(y)
        return added


class TokenEncoder(nn.Module):
    """Feature map (B, C, h, w) to the states (B, K, stages * D) of the keypoint tokens after each stage.

    The keypoint tokens come first, the patches after them. TokenPose adds the position embedding to the patches
    before every layer, save the first of the second and of the third stage.
    """

    def __init__(self, config: MfvPoseConfig, grid: tuple[int, int]) -> None:
        super().__init__()
        self.stage_depth = config.depth // config.stages
        self.patches = nn.Conv2d(config.width, EMBEDDING, config.patch_size, config.patch_size)
        self.tokens = nn.Parameter(torch.empty(1, config.num_keypoints, EMBEDDING))
        nn.init.trunc_normal_(self.tokens, std=0.02)
        self.register_buffer("position", sine_position(grid, EMBEDDING)[None], persistent=False)
        initial = next(scale for depth, scale in INITIAL_SCALES if config.depth <= depth)
        self.layers = nn.ModuleList(
            EncoderLayer(EMBEDDING, config.heads, initial if config.layer_scale else None) for _ in range(config.depth)
        )

    def forward(self, features: Tensor) -> Tensor:
        tokens = self.tokens.expand(features.shape[0], -1, -1)
        x = torch.cat((tokens, self.patches(features).flatten(2).transpose(1, 2) + self.position), 1)
        keypoints, states = tokens.shape[1], []
        for i, layer in enumerate(self.layers, 1):
            x = layer(x)
            if i % self.stage_depth == 0:
                states.append(x[:, :keypoints])
            else:
                x = torch.cat((x[:, :keypoints], x[:, keypoints:] + self.position), 1)
        return torch.cat(states, 2)


def sine_position(grid: tuple[int, int], width: int) -> Tensor:
    """Two-dimensional sine position embedding (h * w, width): of y in its first half, of x in the second.

    As in DETR, https://arxiv.org/abs/2005.12872, places counted from one and scaled to end at 2 pi.
    """
    half = width // 2
    period = TEMPERATURE ** (torch.arange(half, dtype=torch.float64) // 2 * 2 / half)
    axes = []
    for length in grid:
        place = torch.arange(1, length + 1, dtype=torch.float64) / length * 2 * math.pi
        angle = place[:, None] / period
        axes.append(torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), 2).flatten(1))
    y, x = axes
    height, across = grid
    both = y[:, None].expand(-1, across, -1), x[None].expand(height, -1, -1)
    return torch.cat(both, 2).flatten(0, 1).float()


class HeatmapHead(nn.Sequential):
    """Keypoint states (B, K, W) to the cells of their heatmaps (B, K, h * w): two layers if narrow, else one."""

    def __init__(self, width: int, cells: int) -> None:
        hidden = cells // HEATMAP_SHARE
        narrow = [nn.LayerNorm(width), nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.Linear(hidden, cells)]
        super().__init__(*(narrow if width <= hidden // 2 else [nn.LayerNorm(width), nn.Linear(width, cells)]))


class MfvPose(PoseNetwork):
    """Picture batch (B, 3, H, W) to heatmaps (B, K, H / 4, W / 4).

    Raises ValueError for a depth that the stages do not divide, heads that do not divide the embedding, and an input
    size that is not a whole number of patches.
    """

    config: MfvPoseConfig

    def __init__(self, config: MfvPoseConfig) -> None:
        super().__init__()
        if config.depth % config.stages or config.depth <= 0:
            raise ValueError(f"depth: expected a positive multiple of the {config.stages} stages, got {config.depth}")
        if EMBEDDING % config.heads:
            raise ValueError(f"heads: expected a divisor of the embedding size {EMBEDDING}, got {config.heads}")
        steps = [STRIDE * side for side in config.patch_size]
        if any(side <= 0 or side % step for side, step in zip(config.input_size, steps, strict=True)):
            raise ValueError(
                f"input_size: expected a height in multiples of {steps[0]} and a width in multiples of {steps[1]} "
                f"(patches of {config.patch_size[0]}x{config.patch_size[1]} cells), "
                f"got {config.input_size[0]}x{config.input_size[1]}; change it or patch_size"
            )
        self.config = config
        self.backbone = HRNet(config.width, EXTRACTOR_UNITS)
        self.hrfov = HighResolutionFieldOfView(config.width) if config.hrfov else None
        height, width = config.input_size
        grid = height // steps[0], width // steps[1]
        self.encoder = TokenEncoder(config, grid)
        self.head = HeatmapHead(config.stages * EMBEDDING, height // STRIDE * (width // STRIDE))
        self.apply(_initialise)

    @property
    def codec(self) -> Heatmap:
        return Heatmap(float(STRIDE), "plain", "dark", 17 if target_sigma(self.config.input_size, STRIDE) > 2 else 11)

    @property
    def objective(self) -> HeatmapObjective:
        return HeatmapObjective(self.config.input_size, STRIDE)

    def features(self, x: Tensor) -> Tensor:
        """The extractor's feature map (B, C, H / 4, W / 4)."""
        low = self.backbone.low(x)
        high: Tensor = self.backbone.exchange(low)[0]
        return high if self.hrfov is None else self.hrfov(low, high)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        cells = self.head(self.encoder(self.features(x)))
        height, width = self.config.input_size
        return (cells.reshape(-1, self.config.num_keypoints, height // STRIDE, width // STRIDE),)

    def folded(self) -> nn.Module:
        from .folding import fold
        from .mfvpose_folding import FoldedEncoder, FoldedField, FoldedHead

        model = fold(self, self.config.input_size)
        assert isinstance(model, MfvPose)
        with torch.no_grad():
            model.set_submodule("encoder", FoldedEncoder(model.encoder))
            model.set_submodule("head", FoldedHead(model.head))
            if model.hrfov is not None:
                model.set_submodule("hrfov", FoldedField(model.hrfov))
        return model.requires_grad_(False)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
