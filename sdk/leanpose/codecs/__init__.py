"""Codecs: how output tensors encode keypoints. One module and one entry here per codec."""

from __future__ import annotations

from .associative_embedding import AssociativeEmbedding
from .base import Codec, Decoded
from .direct import Keypoints
from .heatmap import Heatmap
from .one_stage import OneStage
from .simcc import SimCC

CODECS: dict[str, type[Codec]] = {
    codec.type: codec for codec in (SimCC, Heatmap, AssociativeEmbedding, Keypoints, OneStage)
}

__all__ = ["CODECS", "AssociativeEmbedding", "Codec", "Decoded", "Heatmap", "Keypoints", "OneStage", "SimCC"]
