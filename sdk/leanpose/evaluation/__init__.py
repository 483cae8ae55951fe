"""Evaluation of poses as COCO, CrowdPose and MPII do it, without further packages."""

from __future__ import annotations

from .coco import evaluate_coco
from .crowdpose import evaluate_crowdpose
from .loading import GroundTruth, Results, load_ground_truth, load_results
from .mpii import JointScores, MpiiEvaluation, evaluate_mpii
from .report import report
from .scores import GroupScores, KeypointScores, OksEvaluation

__all__ = [
    "GroundTruth",
    "GroupScores",
    "JointScores",
    "KeypointScores",
    "MpiiEvaluation",
    "OksEvaluation",
    "Results",
    "evaluate_coco",
    "evaluate_crowdpose",
    "evaluate_mpii",
    "load_ground_truth",
    "load_results",
    "report",
]
