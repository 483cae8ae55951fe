"""What every codec does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Codec(ABC):
    """Decodes the output tensors of a network; a frozen dataclass of its parameters."""

    type: ClassVar[str]  # its name in a model card

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the output tensors that `decode` takes, in its order."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON values."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Codec:
        """Checks and takes the parameters, without `type`; ValueError names the field that is wrong."""

    @abstractmethod
    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """The shape of each output for one person, without the batch axis."""

    @abstractmethod
    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
        """Keypoints (B, K, 2) in pixels of the picture and scores (B, K).

        Args:
            outputs: the tensors named by `outputs`, B persons each.
            transforms: (B, 2, 3) from input pixels to pixels of the picture.
        """

    @abstractmethod
    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> tuple[FloatArray, FloatArray]:
        """As `decode`, from the means of the outputs for pictures and of those for their mirror images.

        Args:
            outputs: as in `decode`.
            flipped: the same for the mirror images, in which input pixel u is pixel width - 1 - u.
            transforms: as in `decode`, of the pictures.
            flip_index: (K,) the keypoint that each becomes in a mirror image.
        """
