"""HRNet: deep high-resolution representation learning for human pose estimation.

Sun, Xiao, Liu, Wang, CVPR 2019, https://arxiv.org/abs/1902.09212. Parameters are named as in the authors' code and in
mmpose 0.x, whose checkpoints load as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from leanpose import Heatmap

from .network import PoseNetwork
from .objectives import HeatmapObjective

STEM_WIDTH = 64
UNITS = (1, 4, 3)  # exchange units of stages 2 to 4
BLOCKS = 4  # residual blocks per branch of an exchange unit, and of layer1
STRIDE = 4  # of the highest resolution


def conv_norm(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch norm and, unless `relu` is false, ReLU, as the members 0, 1 and 2."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions that keeps width and resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        activated: Tensor = (self.bn2(self.conv2(y)) + x).relu()
        return activated


class Bottleneck(nn.Module):
    """Residual block of a 1x1, a 3x3 (which strides) and a 1x1 convolution, as in ResNet-50."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        wide = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != wide:
            self.downsample = conv_norm(in_channels, wide, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        activated: Tensor = (self.bn3(self.conv3(y)) + self.downsample(x)).relu()
        return activated


class Upsample(nn.Module):
    """Resizes by a whole factor and cuts to the size of a finer map where that is no multiple of it."""

    def __init__(self, factor: int, mode: str = "nearest") -> None:
        super().__init__()
        self.factor, self.mode = factor, mode

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        resized = functional.interpolate(x, scale_factor=float(self.factor), mode=self.mode)
        return resized[..., : like.shape[2], : like.shape[3]]


class UpPath(nn.ModuleList):
    """From a coarser branch: 1x1 convolution and batch norm (members 0 and 1), then a resize."""

    def __init__(self, in_channels: int, out_channels: int, factor: int, mode: str = "nearest") -> None:
        super().__init__([*conv_norm(in_channels, out_channels, 1, relu=False), Upsample(factor, mode)])

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        *layers, upsample = self
        for layer in layers:
            x = layer(x)
        upsampled: Tensor = upsample(x, like)
        return upsampled


def down_path(in_channels: int, out_channels: int, halvings: int) -> nn.Sequential:
    """From a finer branch: 3x3 convolutions of stride 2, whose last one brings the width and has no ReLU."""
    steps = [conv_norm(in_channels, in_channels, 3, 2) for _ in range(halvings - 1)]
    return nn.Sequential(*steps, conv_norm(in_channels, out_channels, 3, 2, relu=False))


class ExchangeUnit(nn.Module):
    """Residual blocks in every branch, then the first `outputs` branches as sums over all branches.

    `branch` makes other blocks than those of the class.
    """

    def __init__(self, widths: Sequence[int], outputs: int, branch: Callable[[int], nn.Module] | None = None) -> None:
        super().__init__()
        self.branches = nn.ModuleList((branch or self.branch)(width) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self.path(widths, j, i) for j in range(len(widths))) for i in range(outputs)
        )

    @staticmethod
    def branch(width: int) -> nn.Module:
        """The blocks of one branch."""
        return nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS)))

    @staticmethod
    def path(widths: Sequence[int], source: int, target: int) -> nn.Module:
        """What brings branch `source` to the width and resolution of branch `target`."""
        if source > target:
            return UpPath(widths[source], widths[target], 2 ** (source - target))
        return down_path(widths[source], widths[target], target - source) if source < target else nn.Identity()

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [blocks(x) for blocks, x in zip(self.branches, branches, strict=True)]
        return [self.fuse(i, branches) for i in range(len(self.fuse_layers))]

    def fuse(self, target: int, branches: list[Tensor]) -> Tensor:
        like, paths = branches[target], self.fuse_layers[target]
        assert isinstance(paths, nn.ModuleList)
        pairs = enumerate(zip(paths, branches, strict=True))
        parts = [path(x, like) if source > target else path(x) for source, (path, x) in pairs]
        total: Tensor = sum(parts[1:], parts[0])
        return total.relu()


class HRNet(nn.Module):
    """Picture batch (B, 3, H, W) to the branches of the last stage, (B, width * 2**i, H / 2**(i + 2), W / 2**(i + 2)).

    Args:
        width: C, channels of the highest resolution: 32 or 48.
        units: exchange units of stage 2, 3, ...; (1, 4) stops after stage 3.
        multiscale: whether all branches of the last stage are given, or the highest resolution alone.
    """

    bottlenecks = BLOCKS  # of layer1

    def __init__(self, width: int = 32, units: Sequence[int] = UNITS, multiscale: bool = False) -> None:
        super().__init__()
        self.widths = tuple(width * 2**i for i in range(len(units) + 1))
        self.stages = range(2, 2 + len(units))
        self.conv1 = nn.Conv2d(3, STEM_WIDTH, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.conv2 = nn.Conv2d(STEM_WIDTH, STEM_WIDTH, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM_WIDTH)
        wide = STEM_WIDTH * Bottleneck.expansion
        bottlenecks = (Bottleneck(wide if i else STEM_WIDTH, STEM_WIDTH) for i in range(self.bottlenecks))
        self.layer1 = nn.Sequential(*bottlenecks)
        before: tuple[int, ...] = (wide,)
        for stage, count in zip(self.stages, units, strict=True):
            after = self.widths[:stage]
            final = stage == self.stages[-1] and not multiscale
            outputs = [stage] * (count - 1) + [1 if final else stage]
            self.add_module(f"transition{stage - 1}", nn.ModuleList(self.transition(before, after)))
            self.add_module(f"stage{stage}", nn.Sequential(*(self.unit(after, number) for number in outputs)))
            before = after

    def unit(self, widths: Sequence[int], outputs: int) -> nn.Module:
        """One exchange unit between branches of `widths`."""
        return ExchangeUnit(widths, outputs)

    def transition(self, before: Sequence[int], after: Sequence[int]) -> list[nn.Module]:
        """For every branch of the next stage what makes it from that of its index, the new one from the last."""
        layers: list[nn.Module] = [
            nn.Identity() if old == new else conv_norm(old, new) for old, new in zip(before, after, strict=False)
        ]
        return [*layers, nn.Sequential(conv_norm(before[-1], after[-1], 3, 2))]

    def stem(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        strided: Tensor = self.bn2(self.conv2(x)).relu()
        return strided

    def low(self, x: Tensor) -> Tensor:
        """Stem and layer1: a picture batch to features (B, 256, H / 4, W / 4)."""
        features: Tensor = self.layer1(self.stem(x))
        return features

    def exchange(self, low: Tensor) -> list[Tensor]:
        """The stages: the features of layer1 to the branches of the last stage."""
        branches = [low]
        for stage in self.stages:
            transition = self.get_submodule(f"transition{stage - 1}")
            assert isinstance(transition, nn.ModuleList)
            sources = [*branches, branches[-1]]
            branches = [layer(source) for layer, source in zip(transition, sources, strict=True)]
            branches = self.get_submodule(f"stage{stage}")(branches)
        return branches

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.exchange(self.low(x))


@dataclass(frozen=True)
class HRNetPoseConfig:
    """One HRNet for poses; `units` below (1, 4, 3) are the reduced forms of other papers' ablations."""

    input_size: tuple[int, int]  # height, width
    width: int = 32
    num_keypoints: int = 17
    units: tuple[int, ...] = UNITS


CONFIGS = {
    f"hrnet-w{width}-{height}x{across}": HRNetPoseConfig((height, across), width)
    for width in (32, 48)
    for height, across in ((256, 192), (384, 288))
}


class HighResolutionPose(PoseNetwork):
    """Heatmaps (B, K, H / 4, W / 4) by a 1x1 convolution over the highest resolution of a backbone.

    Raises ValueError for an input size that the stride of 4 does not divide.
    """

    def __init__(self, input_size: tuple[int, int], num_keypoints: int, backbone: HRNet) -> None:
        super().__init__()
        if any(side <= 0 or side % STRIDE for side in input_size):
            raise ValueError(
                f"input_size: expected positive multiples of {STRIDE}, got {input_size[0]}x{input_size[1]}"
            )
        self.backbone = backbone
        final_layer = nn.Conv2d(backbone.widths[0], num_keypoints, 1)
        self.keypoint_head = nn.Sequential(OrderedDict(final_layer=final_layer))
        self.apply(_initialise)

    @property
    def codec(self) -> Heatmap:
        return Heatmap(float(STRIDE), "plain", "quarter")

    @property
    def objective(self) -> HeatmapObjective:
        return HeatmapObjective(self.config.input_size, STRIDE)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.keypoint_head(self.backbone(x)[0]),)


class HRNetPose(HighResolutionPose):
    """HRNet with its 1x1 head."""

    config: HRNetPoseConfig

    def __init__(self, config: HRNetPoseConfig) -> None:
        super().__init__(config.input_size, config.num_keypoints, HRNet(config.width, config.units))
        self.config = config


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.001)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
