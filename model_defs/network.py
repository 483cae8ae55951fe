"""What export and training ask of every definition."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

from leanpose import COCO17, InputSpec, KeypointSet, ModelCard
from leanpose.card import METADATA_KEY
from leanpose.codecs import Codec
from leanpose.keypoints import CROWDPOSE14, MPII16

from .inputs import MEAN, PADDING, STD
from .objectives import Objective

KEYPOINT_SETS = {len(keypoints): keypoints for keypoints in (COCO17, MPII16, CROWDPOSE14)}


class NetworkConfig(Protocol):
    """The field that the configuration of every definition has."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width."""


class PoseConfig(NetworkConfig, Protocol):
    """The fields that the configuration of every pose network has."""

    @property
    def num_keypoints(self) -> int:
        """How many keypoints a person has."""


class Network(nn.Module, ABC):
    """A network: picture batch (B, 3, H, W), RGB, normalised, to the outputs that the SDK decodes.

    `forward` gives what is exported, in the order of `output_shapes`; `training_outputs` what the objective compares,
    heads that are dropped after training included.
    """

    config: NetworkConfig
    mean: ClassVar[tuple[float, float, float]] = MEAN  # the input is (grey levels - mean) / std
    std: ClassVar[tuple[float, float, float]] = STD

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The loss that trains it."""

    @property
    @abstractmethod
    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Names and shapes of the outputs, without the batch; None for a length that may differ."""

    @abstractmethod
    def metadata(self, name: str) -> dict[str, str]:
        """What the exported file of the definition `name` tells about itself, as entries of its metadata."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs, each (B, ...) as in `output_shapes`."""

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


class PoseNetwork(Network):
    """A published network that gives what its codec decodes; exported, it carries a model card."""

    config: PoseConfig
    transform: ClassVar[Literal["plain", "udp"]] = "plain"  # of crops, in training and inference

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """How the outputs encode keypoints."""

    @property
    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        shapes = self.codec.expected_shapes(self.config.num_keypoints, self.config.input_size)
        return {output: shapes[output] for output in self.codec.outputs}

    def metadata(self, name: str) -> dict[str, str]:
        return {METADATA_KEY: self.card(name).to_json()}

    def card(self, name: str) -> ModelCard:
        """How to feed and read the network; the card's name tells the size that it runs at.

        Other numbers of keypoints than those of the known sets get numbers for names and COCO's mean sigma.
        """
        count = self.config.num_keypoints
        keypoints = KEYPOINT_SETS.get(count)
        if keypoints is None:
            sigma = sum(COCO17.sigmas) / len(COCO17)
            keypoints = KeypointSet(tuple(f"keypoint_{i}" for i in range(count)), (), (), (sigma,) * count)
        height, width = self.config.input_size
        padding = 1.0 if self.codec.finds_persons else PADDING  # whole pictures come without a margin
        spec = InputSpec((height, width), "rgb", self.mean, self.std, padding, self.transform)
        system = re.sub(r"-\d+x\d+$", "", name)  # a definition may be trained at another size than its own
        return ModelCard(f"{system}-{height}x{width}", spec, self.codec, keypoints)
