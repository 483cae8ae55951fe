"""Heatmaps: each keypoint is the maximum of a map over the input (Xiao et al., ECCV 2018, arXiv:1804.06208)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..fields import Fields
from .base import Codec, Decoded, FloatArray

CellMapping = Literal["plain", "half_pixel", "udp"]
Refinement = Literal["none", "quarter", "dark", "udp"]
CELL_MAPPINGS: tuple[CellMapping, ...] = ("plain", "half_pixel", "udp")
REFINEMENTS: tuple[Refinement, ...] = ("none", "quarter", "dark", "udp")
LARGEST_KERNEL = 255


@dataclass(frozen=True)
class Heatmap(Codec):
    """One map per keypoint, whose maximum is the keypoint and its score; see `_core.decode_heatmaps`.

    Attributes:
        stride: input pixels per cell; 1 for maps of full resolution.
        mapping: where cells lie in the input: "plain", at stride * cell; "half_pixel", at the centres of their pixels;
            "udp", the first and the last at the first and the last pixel.
        refine: how the maximum between cells is found: "none", "quarter", "dark" or "udp".
        kernel: size in cells of the Gaussian of "dark" and "udp", odd: 11 for maps trained with sigma 2, 17 for 3.
        shift_heatmap: whether a flip test moves the maps of mirror images right by one cell, as usual under "plain".
        heatmaps: name of the output (batch, K, height / stride, width / stride).
    """

    type: ClassVar[str] = "heatmap"
    output_fields: ClassVar[tuple[str, ...]] = ("heatmaps",)
    stride: float = 4.0
    mapping: CellMapping = "plain"
    refine: Refinement = "dark"
    kernel: int = 11
    shift_heatmap: bool = True
    heatmaps: str = "heatmaps"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Heatmap:
        fields = Fields(data, "codec")
        codec = cls(
            fields.number("stride", above=0),
            cast(CellMapping, fields.choice("mapping", CELL_MAPPINGS)),
            cast(Refinement, fields.choice("refine", REFINEMENTS)),
            int(fields.number("kernel", above=0, integer=True)),
            fields.flag("shift_heatmap"),
            fields.text("heatmaps"),
        )
        fields.done()
        if codec.kernel % 2 == 0 or codec.kernel > LARGEST_KERNEL:
            raise ValueError(
                f"model card: field codec.kernel: expected an odd integer from 1 to {LARGEST_KERNEL}, "
                f"got {codec.kernel}"
            )
        return codec

    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        height, width = (max(round(side / self.stride), 1) for side in input_size)
        return {self.heatmaps: (num_keypoints, height, width)}

    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        return self._decode(outputs, transforms)

    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> Decoded:
        return self._decode(
            outputs, transforms, flipped=flipped[0], flip_index=flip_index, shift_heatmap=self.shift_heatmap
        )

    def _decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64], **flip: Any) -> Decoded:
        return Decoded.one_per_input(
            _core.decode_heatmaps(outputs[0], transforms, self.stride, self.mapping, self.refine, self.kernel, **flip)
        )
