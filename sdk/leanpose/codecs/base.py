"""What every codec does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Decoded:
    """The P persons in the outputs for a batch of inputs.

    Attributes:
        xy: (P, K, 2) keypoints in pixels of the picture; NaN where a keypoint is missing.
        scores: (P, K) keypoint scores; 0 where a keypoint is missing.
        items: (P,) the input of each person as its index in the batch, never falling.
        boxes: (P, 4) finite x1, y1, x2, y2 in pixels of the picture; None where each input is one person, whose box the
            caller has.
        person_scores: (P,) finite; None as `boxes`.
    """

    xy: FloatArray
    scores: FloatArray
    items: NDArray[np.int64]
    boxes: FloatArray | None = None
    person_scores: FloatArray | None = None

    @classmethod
    def one_per_input(cls, keypoints: tuple[FloatArray, FloatArray]) -> Decoded:
        """From xy (B, K, 2) and scores (B, K) of the one person of each input."""
        xy, scores = keypoints
        return cls(xy, scores, np.arange(len(xy)))


@dataclass(frozen=True)
class Codec(ABC):
    """Decodes the output tensors of a network; a frozen dataclass of its parameters."""

    type: ClassVar[str]  # its name in a model card
    output_fields: ClassVar[tuple[str, ...]]  # the parameters that name output tensors
    finds_persons: ClassVar[bool] = False  # whether an input holds any number of persons, else the one that it shows
    flips: ClassVar[bool] = True  # whether there is a flip test

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output tensors that `decode` takes, in its order."""
        names = (getattr(self, field) for field in self.output_fields)
        return tuple(name for name in names if name is not None)

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def require_two_outputs(self) -> None:
        """ValueError where both of two output fields name the same tensor."""
        if len(set(self.outputs)) < len(self.outputs):
            names = " and ".join(f"codec.{field}" for field in self.output_fields)
            raise ValueError(f"model card: fields {names}: expected two outputs, got {self.outputs[0]!r} for both")

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Codec:
        """Checks and takes the parameters, without `type`; ValueError names the field that is wrong."""

    @abstractmethod
    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> Mapping[str, tuple[int | None, ...]]:
        """The shape of each output for one input, without the batch axis; None is any length.

        ValueError where a field does not fit.
        """

    @abstractmethod
    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        """The persons in a batch.

        Args:
            outputs: the tensors named by `outputs`, for B inputs each.
            transforms: (B, 2, 3) from input pixels to pixels of the picture.
        """

    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> Decoded:
        """As `decode`, from the outputs for pictures and for their mirror images together.

        Args:
            outputs: as in `decode`.
            flipped: the same for the mirror images, in which input pixel u is pixel width - 1 - u.
            transforms: as in `decode`, of the pictures.
            flip_index: (K,) the keypoint that each becomes in a mirror image.

        Raises:
            ValueError: there is no flip test, as `flips` says.
        """
        raise ValueError(f"flip_test: there is none for models of codec {self.type}; use flip_test=False")


def require_size(size: tuple[int, int], input_size: tuple[int, int]) -> None:
    """ValueError where a codec is for inputs of another size."""
    if size != tuple(input_size):
        raise ValueError(
            f"model card: field codec.size: expected that of the input, {list(input_size)}, got {list(size)}"
        )
