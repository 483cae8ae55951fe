"""Lean human-pose inference: `Estimator("amfacpose.onnx").predict(image)`."""

from __future__ import annotations

from importlib.metadata import version

from ._core import crop_transforms, simcc_bins_to_input, simcc_input_to_bins
from .card import Accuracy, InputSpec, ModelCard
from .codecs import AssociativeEmbedding, Heatmap, Keypoints, OneStage, SimCC
from .detection import Detections, Detector
from .estimator import Estimator
from .images import load_image
from .keypoints import COCO17, KeypointSet
from .packaged import DEFAULT_DETECTOR, DEFAULT_MODEL, packaged_models
from .pipeline import Pipeline
from .results import Poses
from .sources import Frame, open_source
from .tracking import Smoother, Tracker

__version__ = version("leanpose")

__all__ = [
    "COCO17",
    "DEFAULT_DETECTOR",
    "DEFAULT_MODEL",
    "Accuracy",
    "AssociativeEmbedding",
    "Detections",
    "Detector",
    "Estimator",
    "Frame",
    "Heatmap",
    "InputSpec",
    "KeypointSet",
    "Keypoints",
    "ModelCard",
    "OneStage",
    "Pipeline",
    "Poses",
    "SimCC",
    "Smoother",
    "Tracker",
    "__version__",
    "crop_transforms",
    "load_image",
    "open_source",
    "packaged_models",
    "simcc_bins_to_input",
    "simcc_input_to_bins",
]
