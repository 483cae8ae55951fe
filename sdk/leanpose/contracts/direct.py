"""Keypoints of one person given as numbers: MoveNet's, and pairs of coordinates and scores."""

from __future__ import annotations

from collections.abc import Iterator

from ..codecs import Keypoints
from .reading import GREY_LEVELS, TOP_DOWN, Given, Outputs, Reading, Size, lengths

MOVENET = {**TOP_DOWN, **GREY_LEVELS}
_UNIT = {"codec.unit": "pixel"}  # or normalised: shapes are silent about it


def read(size: Size, outputs: Outputs, given: Given) -> Iterator[Reading]:
    """MoveNet's (batch, 1, 17, 3); outputs (batch, K, 3); pairs of (batch, K, 2) and (batch, K)."""
    for output in outputs:
        shape = lengths(output)
        if shape == (1, 17, 3) and len(outputs) == 1:
            yield Reading(Keypoints(size, "normalised", "yx", output.name, None), 17, MOVENET)
        elif len(shape) == 2 and shape[1] == 3:
            yield Reading(Keypoints(size, keypoints=output.name, scores=None), shape[0], doubts=_UNIT)
        elif len(shape) == 2 and shape[1] == 2:
            for scores in outputs:
                if lengths(scores) in ((shape[0],), (shape[0], 1)):
                    codec = Keypoints(size, keypoints=output.name, scores=scores.name)
                    yield Reading(codec, shape[0], doubts=_UNIT)
