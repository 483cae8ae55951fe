"""Bottom-up networks of SRPose's table 1: heatmaps of all persons and tags that tell them apart (equation 6)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from leanpose import AssociativeEmbedding

from ..embedding import EmbeddingObjective
from ..network import PoseNetwork
from .heads import SimpleHead, SRHead
from .network import STRIDE, Backbone, Head, make_backbone, single_feature

SIGMA = 8  # input pixels
BACKBONES: tuple[Backbone, ...] = ("resnet50", "hrnet-w32")
HEADS: tuple[Head, ...] = ("simple", "srhead")


@dataclass(frozen=True)
class BottomUpConfig:
    """One bottom-up row of table 1."""

    backbone: Backbone
    head: Head
    input_size: tuple[int, int] = (512, 512)  # height, width
    num_keypoints: int = 17


CONFIGS = {
    f"srpose-bottomup-{backbone}-{head}": BottomUpConfig(backbone, head) for backbone in BACKBONES for head in HEADS
}


class BottomUp(PoseNetwork):
    """Picture batch (B, 3, H, W) to heatmaps, (B, K, H, W) or (B, K, H / 4, W / 4), and tags (B, K, H / 4, W / 4).

    The paper resizes tags to full resolution; here they stay as they are, and grouping samples them. Raises ValueError
    for an unknown backbone or head and an input size that is no multiple of 4.
    """

    config: BottomUpConfig

    def __init__(self, config: BottomUpConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.backbone, config.input_size, multiscale=False)
        self.level, deconvs = single_feature(self.backbone, config.input_size)
        keypoints = config.num_keypoints
        self.keypoint_head: SimpleHead | SRHead
        if config.head == "simple":
            self.keypoint_head = SimpleHead(deconvs, 2 * keypoints)
        elif config.head == "srhead":
            self.keypoint_head = SRHead(deconvs, keypoints, STRIDE, tags=True)
        else:
            raise ValueError(f"head: expected one of {', '.join(HEADS)}, got {config.head!r}")

    @property
    def codec(self) -> AssociativeEmbedding:
        if self.config.head == "simple":
            return AssociativeEmbedding(STRIDE, STRIDE)
        return AssociativeEmbedding(1.0, STRIDE, nms_window=11)  # the authors' window for full resolution

    @property
    def objective(self) -> EmbeddingObjective:
        return EmbeddingObjective(self.config.input_size, SIGMA)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        feature = self.backbone(x)[self.level]
        if isinstance(self.keypoint_head, SRHead):
            both: tuple[Tensor, Tensor] = self.keypoint_head(feature)
            return both
        maps, keypoints = self.keypoint_head(feature), self.config.num_keypoints
        return maps[:, :keypoints], maps[:, keypoints:]
