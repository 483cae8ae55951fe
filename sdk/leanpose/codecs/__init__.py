"""Codecs: how output tensors encode keypoints. One module and one entry here per codec."""

from __future__ import annotations

from .base import Codec
from .heatmap import Heatmap
from .simcc import SimCC

CODECS: dict[str, type[Codec]] = {codec.type: codec for codec in (SimCC, Heatmap)}

__all__ = ["CODECS", "Codec", "Heatmap", "SimCC"]
