"""The published systems, and our detector, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import amfacpose, hrnet, mfvpose, person_detector, saffnet, srpose, stnet
from .amfacpose import AMFACPose, AMFACPoseConfig
from .hrnet import HRNetPose, HRNetPoseConfig
from .mfvpose import MfvPose, MfvPoseConfig
from .network import Network, NetworkConfig, PoseNetwork
from .person_detector import PersonDetector, PersonDetectorConfig
from .saffnet import SAFFNet, SAFFNetConfig
from .srpose import BottomUp, BottomUpConfig, SRPose, SRPoseConfig
from .stnet import STNet, STNetConfig

POSE_CONFIGS: dict[str, Any] = {
    **amfacpose.CONFIGS,
    **amfacpose.NANO,
    **{f"amfacpose/{row}": config for row, config in amfacpose.ABLATION.items()},  # table 6, R34 at 384x288
    **hrnet.CONFIGS,
    **mfvpose.CONFIGS,
    **{f"mfvpose/{row}": config for row, config in {**mfvpose.ABLATION, **mfvpose.REFERENCE}.items()},
    **saffnet.CONFIGS,
    **{f"saffnet/{row}": config for row, config in saffnet.ABLATION.items()},  # tables 4 and 5, at 256x192
    **srpose.CONFIGS,
    **srpose.BOTTOM_UP,
    **{f"srpose/{row}": config for row, config in srpose.ABLATION.items()},  # tables 3 and 6, ResNet-50
    **stnet.CONFIGS,
    **{f"stnet/{row}": config for row, config in stnet.ABLATION.items()},  # tables IX and X, 256x192
}
CONFIGS: dict[str, Any] = {**POSE_CONFIGS, **person_detector.CONFIGS}
NETWORKS: dict[type[Any], Callable[[Any], Network]] = {
    AMFACPoseConfig: AMFACPose,
    HRNetPoseConfig: HRNetPose,
    MfvPoseConfig: MfvPose,
    PersonDetectorConfig: PersonDetector,
    SAFFNetConfig: SAFFNet,
    SRPoseConfig: SRPose,
    BottomUpConfig: BottomUp,
    STNetConfig: STNet,
}


def build(name: str, **changes: Any) -> Network:
    """The named system with fresh weights; `changes` replace fields of its configuration.

    Raises ValueError for an unknown name, TypeError for a field that its configuration lacks.
    """
    if name not in CONFIGS:
        raise ValueError(f"model: there is no definition '{name}'; known: {', '.join(CONFIGS)}")
    config: NetworkConfig = replace(CONFIGS[name], **changes)
    return NETWORKS[type(config)](config)


def build_pose(name: str, **changes: Any) -> PoseNetwork:
    """As `build`, of pose networks alone; ValueError for the name of another."""
    network = build(name, **changes)
    if not isinstance(network, PoseNetwork):
        raise ValueError(f"model: '{name}' is no pose network; known: {', '.join(POSE_CONFIGS)}")
    return network
