"""Top-down networks of SRPose's tables: four backbones with a simple head, an SR head or the coarse-to-fine heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from leanpose import Heatmap

from ..hrformer import HRFormer
from ..hrnet import HRNet
from ..network import PoseNetwork
from ..objectives import HeatmapObjective
from ..resnet import ResNet
from ..transpose import TransPoseR
from .heads import CoarseToFineHead, Deconvolutions, SimpleHead, SRHead

Backbone = Literal["resnet50", "hrnet-w32", "transpose-r-a4", "hrformer-s"]
Head = Literal["simple", "srhead", "srpose"]
BACKBONES: tuple[Backbone, ...] = ("resnet50", "hrnet-w32", "transpose-r-a4", "hrformer-s")
HEADS: tuple[Head, ...] = ("simple", "srhead", "srpose")
STRIDE = 4  # of the finest feature
LOW_WEIGHT = 1e-4  # of the low-resolution heatmaps in the loss


@dataclass(frozen=True)
class SRPoseConfig:
    """One row of tables 1, 3 or 6."""

    backbone: Backbone
    head: Head
    input_size: tuple[int, int] = (256, 192)  # height, width
    num_keypoints: int = 17
    scale_factor: float = 1.0  # k of table 3: side of the heatmaps over that of the input; the simple head's is 1/4
    kernels: tuple[int, int, int, int] = (3, 5, 7, 9)  # of the heads of M5 to M2, table 6


CONFIGS = {
    f"srpose-{backbone}-{head}": SRPoseConfig(backbone, head, scale_factor=0.25 if head == "simple" else 1.0)
    for backbone in BACKBONES
    for head in HEADS
}
_RESNET50 = CONFIGS["srpose-resnet50-srpose"]
ABLATION = {
    **{f"k={k:g}": replace(_RESNET50, scale_factor=k) for k in (0.25, 0.5, 1.0, 2.0)},  # table 3
    **{
        "kernels " + ", ".join(map(str, kernels)): replace(_RESNET50, kernels=kernels)  # table 6
        for kernels in ((1, 1, 1, 1), (3, 3, 3, 3), (3, 5, 7, 9))
    },
}


def make_backbone(name: Backbone, input_size: tuple[int, int], multiscale: bool) -> nn.Module:
    """The backbone; ValueError for an unknown name or an input size that the stride of 4 does not divide."""
    if any(side <= 0 or side % STRIDE for side in input_size):
        raise ValueError(f"input_size: expected positive multiples of {STRIDE}, got {input_size[0]}x{input_size[1]}")
    if name == "resnet50":
        return ResNet()
    if name == "hrnet-w32":
        return HRNet(32, multiscale=multiscale)
    if name == "transpose-r-a4":
        return TransPoseR(input_size)
    if name == "hrformer-s":
        return HRFormer()
    raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, got {name!r}")


def features_of(backbone: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels and strides of a backbone's features, finest first."""
    assert isinstance(backbone, HRNet | ResNet)
    strides = backbone.strides if isinstance(backbone, ResNet) else (4, 8, 16, 32)
    return backbone.widths, strides


def single_feature(backbone: nn.Module, input_size: tuple[int, int]) -> tuple[int, Deconvolutions]:
    """Which feature a single head takes and what brings it to stride 4."""
    widths, strides = features_of(backbone)
    level = len(widths) - 1 if isinstance(backbone, ResNet) else 0  # the deepest, or the one of high resolution
    doublings = (strides[level] // STRIDE).bit_length() - 1
    return level, Deconvolutions(widths[level], doublings, (input_size[0] // STRIDE, input_size[1] // STRIDE))


class SRPose(PoseNetwork):
    """Picture batch (B, 3, H, W) to heatmaps (B, K, k H, k W).

    Raises ValueError for an unknown backbone or head, an input size that is no multiple of 4 and a scale factor below
    1/4 or between its multiples.
    """

    config: SRPoseConfig

    def __init__(self, config: SRPoseConfig) -> None:
        super().__init__()
        self.config = config
        coarse_to_fine = config.head == "srpose"
        ratio = round(config.scale_factor * STRIDE)
        if ratio < 1 or ratio != config.scale_factor * STRIDE:
            raise ValueError(f"scale_factor: expected a positive multiple of 1/{STRIDE}, got {config.scale_factor:g}")
        self.backbone = make_backbone(config.backbone, config.input_size, multiscale=coarse_to_fine)
        self.level, deconvs = single_feature(self.backbone, config.input_size)
        self.keypoint_head: nn.Module
        if coarse_to_fine:
            widths, strides = features_of(self.backbone)
            self.keypoint_head = CoarseToFineHead(
                widths[::-1], strides[::-1], config.num_keypoints, config.kernels, ratio
            )
        elif config.head == "srhead":
            self.keypoint_head = SRHead(deconvs, config.num_keypoints, ratio)
        elif config.head == "simple" and ratio == 1:
            self.keypoint_head = SimpleHead(deconvs, config.num_keypoints)
        elif config.head == "simple":
            raise ValueError(f"scale_factor: a simple head's is 0.25, got {config.scale_factor:g}")
        else:
            raise ValueError(f"head: expected one of {', '.join(HEADS)}, got {config.head!r}")

    @property
    def codec(self) -> Heatmap:
        return Heatmap(1 / self.config.scale_factor, "plain", "quarter")

    @property
    def objective(self) -> HeatmapObjective:
        weights = [1.0]
        if isinstance(self.keypoint_head, CoarseToFineHead):
            weights = [LOW_WEIGHT, *[1.0] * len(self.keypoint_head.converge)]
        return HeatmapObjective(self.config.input_size, 1 / self.config.scale_factor, scale_weights=weights)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self.backbone(x)
        if isinstance(self.keypoint_head, CoarseToFineHead):
            return (self.keypoint_head(features[::-1]),)
        heatmaps = self.keypoint_head(features[self.level])
        return heatmaps if isinstance(heatmaps, tuple) else (heatmaps,)

    def training_outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        if isinstance(self.keypoint_head, CoarseToFineHead):
            return self.keypoint_head.training_outputs(self.backbone(x)[::-1])
        return super().training_outputs(x)

    def drop_training_parts(self) -> None:
        if isinstance(self.keypoint_head, CoarseToFineHead):
            self.keypoint_head.drop_training_parts()
