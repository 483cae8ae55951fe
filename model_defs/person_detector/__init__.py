"""A small detector of persons, ours: AMFACPose's blocks in an anchor-free detector of strides 8, 16 and 32.

It combines what others found, each in its plain form:

- distances from cells to the four sides of a box, without anchors: Tian et al., "FCOS", ICCV 2019;
- features fused from coarse to fine and back: Liu et al., "Path Aggregation Network", CVPR 2018;
- cells assigned by score and overlap together: Feng et al., "TOOD", ICCV 2021;
- scores that learn the overlap, harder ones more: Li et al., "Generalized Focal Loss", NeurIPS 2020;
- boxes trained by their generalised overlap: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019.
"""

from __future__ import annotations

from .network import CONFIGS, PersonDetector, PersonDetectorConfig
from .objective import DetectionObjective

__all__ = ["CONFIGS", "DetectionObjective", "PersonDetector", "PersonDetectorConfig"]
