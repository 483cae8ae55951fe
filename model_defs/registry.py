"""The published systems by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import amfacpose
from .amfacpose import AMFACPose

CONFIGS = {**amfacpose.CONFIGS}


def build(name: str, **changes: Any) -> AMFACPose:
    """The named system with fresh weights; `changes` replace fields of its configuration.

    Raises ValueError for an unknown name.
    """
    if name not in CONFIGS:
        raise ValueError(f"model: there is no definition '{name}'; known: {', '.join(CONFIGS)}")
    return AMFACPose(replace(CONFIGS[name], **changes))
