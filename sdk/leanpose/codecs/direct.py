"""Coordinates that the network gives itself, decoded inside its graph or regressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..fields import Fields
from .base import Codec, Decoded, FloatArray, require_size

Unit = Literal["pixel", "normalised"]
Order = Literal["xy", "yx"]
UNITS: tuple[Unit, ...] = ("pixel", "normalised")
ORDERS: tuple[Order, ...] = ("xy", "yx")


@dataclass(frozen=True)
class Keypoints(Codec):
    """Keypoints and scores as they are; a flip test takes the means of both.

    Attributes:
        size: height and width of the input in pixels, in which coordinates lie.
        unit: "pixel", of the input; "normalised", 0 to 1 over each side: pixel = value * side.
        order: of the two coordinates.
        keypoints: name of the output (batch, K, 2).
        scores: name of the output (batch, K); None where that of keypoints is (batch, K, 3), the score last, as
            MoveNet's.
    """

    type: ClassVar[str] = "keypoints"
    output_fields: ClassVar[tuple[str, ...]] = ("keypoints", "scores")
    size: tuple[int, int] = (256, 192)
    unit: Unit = "pixel"
    order: Order = "xy"
    keypoints: str = "keypoints"
    scores: str | None = "scores"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Keypoints:
        fields = Fields(data, "codec")
        codec = cls(
            fields.size("size"),
            cast(Unit, fields.choice("unit", UNITS)),
            cast(Order, fields.choice("order", ORDERS)),
            fields.text("keypoints"),
            fields.optional_text("scores"),
        )
        fields.done()
        codec.require_two_outputs()
        return codec

    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        require_size(self.size, input_size)
        if self.scores is None:
            return {self.keypoints: (num_keypoints, 3)}
        return {self.keypoints: (num_keypoints, 2), self.scores: (num_keypoints,)}

    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        keypoints, scores = self._split(outputs)
        return _mapped(self._to_pixels(keypoints), scores, transforms)

    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> Decoded:
        keypoints, scores = self._split(outputs)
        mirrored_keypoints, mirrored_scores = self._split(flipped)
        mirrored = self._to_pixels(mirrored_keypoints)[:, flip_index]
        mirrored[..., 0] = self.size[1] - 1 - mirrored[..., 0]
        mean = (self._to_pixels(keypoints) + mirrored) / 2
        return _mapped(mean, (scores + mirrored_scores[:, flip_index]) / 2, transforms)

    def _split(self, outputs: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Coordinates (B, K, 2) and scores (B, K)."""
        if self.scores is None:
            return outputs[0][..., :2], outputs[0][..., 2]
        keypoints, scores = outputs
        return keypoints, scores

    def _to_pixels(self, keypoints: FloatArray) -> NDArray[np.float64]:
        """(B, K, 2) x, y in input pixels, a new array."""
        xy = keypoints.astype(np.float64)
        if self.order == "yx":
            xy = xy[..., ::-1]
        return xy * self.size[::-1] if self.unit == "normalised" else xy


def _mapped(xy: NDArray[np.float64], scores: NDArray[Any], transforms: NDArray[np.float64]) -> Decoded:
    """The person of each input, its keypoints moved from input pixels to pixels of the picture."""
    linear, offset = transforms[:, :, :2], transforms[:, None, :, 2]
    placed = xy @ linear.transpose(0, 2, 1) + offset
    return Decoded.one_per_input((placed.astype(np.float32), scores.astype(np.float32)))
