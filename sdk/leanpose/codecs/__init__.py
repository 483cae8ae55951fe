"""Codecs: how output tensors encode keypoints. One module and one entry here per codec."""

from __future__ import annotations

from .base import Codec
from .simcc import SimCC

CODECS: dict[str, type[Codec]] = {SimCC.type: SimCC}

__all__ = ["CODECS", "Codec", "SimCC"]
