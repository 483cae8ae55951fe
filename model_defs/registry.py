"""The published systems by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import amfacpose
from .amfacpose import AMFACPose

CONFIGS = {
    **amfacpose.CONFIGS,
    **{f"amfacpose/{row}": config for row, config in amfacpose.ABLATION.items()},  # table 6, R34 at 384x288
}


def build(name: str, **changes: Any) -> AMFACPose:
    """The named system with fresh weights; `changes` replace fields of its configuration.

    Raises ValueError for an unknown name.
    """
    if name not in CONFIGS:
        raise ValueError(f"model: there is no definition '{name}'; known: {', '.join(CONFIGS)}")
    return AMFACPose(replace(CONFIGS[name], **changes))
