"""Evaluation of poses as COCO, CrowdPose and MPII do it, without further packages."""

from __future__ import annotations

from .coco import AreaScores, CocoEvaluation, KeypointScores, evaluate_coco
from .loading import GroundTruth, Results, load_ground_truth, load_results

__all__ = [
    "AreaScores",
    "CocoEvaluation",
    "GroundTruth",
    "KeypointScores",
    "Results",
    "evaluate_coco",
    "load_ground_truth",
    "load_results",
]
