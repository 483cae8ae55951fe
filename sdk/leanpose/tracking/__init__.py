"""Following persons through a video: track ids, smooth keypoints."""

from __future__ import annotations

from .smoothing import Smoother
from .tracker import Tracker

__all__ = ["Smoother", "Tracker"]
