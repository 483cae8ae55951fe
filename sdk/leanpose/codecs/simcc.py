"""SimCC: each axis of each keypoint is a classification over bins (Li et al., ECCV 2022, arXiv:2107.03332)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..fields import Fields
from .base import Codec, Decoded, FloatArray

ScoreRule = Literal["min", "mean", "max", "product"]
SCORE_RULES: tuple[ScoreRule, ...] = ("min", "mean", "max", "product")


@dataclass(frozen=True)
class SimCC(Codec):
    """Logits over the bins of both axes; bin b lies at input pixel b / split_ratio.

    Attributes:
        split_ratio: bins per input pixel, k in the paper; the flip test is exact where it is an integer.
        score_rule: how the scores of the two axes become one.
        temperature: an axis scores softmax(logits / temperature) at its maximum; None: the maximum itself.
        refine: whether a parabola through the largest bin and its neighbours gives a fraction of a bin.
        x: name of the output (batch, K, width * split_ratio).
        y: name of the output (batch, K, height * split_ratio).
    """

    type: ClassVar[str] = "simcc"
    output_fields: ClassVar[tuple[str, ...]] = ("x", "y")
    split_ratio: float = 2.0
    score_rule: ScoreRule = "min"
    temperature: float | None = None
    refine: bool = False
    x: str = "simcc_x"
    y: str = "simcc_y"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimCC:
        fields = Fields(data, "codec", {"refine": False})
        codec = cls(
            fields.number("split_ratio", above=0),
            cast(ScoreRule, fields.choice("score_rule", SCORE_RULES)),
            fields.optional_number("temperature", above=0),
            fields.flag("refine"),
            fields.text("x"),
            fields.text("y"),
        )
        fields.done()
        codec.require_two_outputs()
        return codec

    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        height, width = input_size
        return {
            self.x: (num_keypoints, round(width * self.split_ratio)),
            self.y: (num_keypoints, round(height * self.split_ratio)),
        }

    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        return self._decode(outputs, transforms)

    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> Decoded:
        mirrored_x, mirrored_y = flipped
        return self._decode(outputs, transforms, flipped=(mirrored_x, mirrored_y), flip_index=flip_index)

    def _decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64], **flip: Any) -> Decoded:
        x, y = outputs
        return Decoded.one_per_input(
            _core.decode_simcc(
                x, y, transforms, self.split_ratio, self.score_rule, self.temperature, refine=self.refine, **flip
            )
        )
