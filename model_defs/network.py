"""What export and training ask of every definition."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

from leanpose.codecs import Codec

from .objectives import Objective


class NetworkConfig(Protocol):
    """The fields that the configuration of every definition has."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width."""

    @property
    def num_keypoints(self) -> int:
        """How many keypoints a person has."""


class PoseNetwork(nn.Module, ABC):
    """A published network: picture batch (B, 3, H, W), normalised RGB, to the outputs that its codec decodes.

    `forward` gives what is exported, in the order of the codec's outputs; `training_outputs` what the objective
    compares, heads that are dropped after training included.
    """

    config: NetworkConfig
    transform: ClassVar[Literal["plain", "udp"]] = "plain"  # of crops, in training and inference

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """How the outputs encode keypoints."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The loss that trains it."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs of `codec`, each (B, K, ...)."""

    def training_outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """What `objective` compares; `forward`'s outputs unless a definition has training-only heads."""
        outputs: tuple[Tensor, ...] = self(x)
        return outputs

    def folded(self) -> nn.Module:
        """An evaluation-mode copy that gives the same and runs faster, for export; weights keep their names."""
        from .folding import fold

        model = copy.deepcopy(self)
        model.drop_training_parts()
        return fold(model, self.config.input_size)

    def drop_training_parts(self) -> None:
        """Removes, in place, the heads that only `training_outputs` needs."""
