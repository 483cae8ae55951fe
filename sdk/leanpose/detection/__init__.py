"""Finding persons: detectors of known families, and what they return."""

from __future__ import annotations

from .detections import Detections
from .detector import Detector

__all__ = ["Detections", "Detector"]
