"""SRPose: lightweight super-resolution head for human pose estimation.

Wang, Liu, Tang, Wu, ACM Multimedia 2023, https://arxiv.org/abs/2307.16765. Equation, section and table numbers in
this package are that paper's; what it leaves open follows the authors' released networks, whose checkpoints load.

TransPose-R ends at stride 8, and the paper does not say what stands for F4 and F5. This choice meets its printed sizes:
no M5; F4 is the encoded map, F3 the one that the encoder reads, both of stride 8; M4 is refined as it is elsewhere.
"""

from __future__ import annotations

from .bottom_up import CONFIGS as BOTTOM_UP
from .bottom_up import BottomUp, BottomUpConfig
from .network import ABLATION, CONFIGS, SRPose, SRPoseConfig

__all__ = ["ABLATION", "BOTTOM_UP", "CONFIGS", "BottomUp", "BottomUpConfig", "SRPose", "SRPoseConfig"]
