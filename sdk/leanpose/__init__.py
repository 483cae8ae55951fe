"""Lean human-pose inference: `Estimator("amfacpose.onnx").predict(image)`."""

from __future__ import annotations
