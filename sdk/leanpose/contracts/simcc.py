"""SimCC pairs: outputs (batch, K, width * split_ratio) and (batch, K, height * split_ratio)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from ..codecs import SimCC
from .reading import Given, Outputs, Reading, Size, lengths


def read(size: Size, outputs: Outputs, given: Given) -> Iterator[Reading]:
    """Each ordered pair of outputs of one split ratio, at least a bin per pixel, on both axes."""
    height, width = size
    for x, y in permutations([output for output in outputs if len(output.shape) == 3], 2):
        if _axis(x.name) == "y" or _axis(y.name) == "x":
            continue
        (count, x_bins), (y_count, y_bins) = lengths(x), lengths(y)
        ratio = x_bins / width
        if count == y_count and ratio >= 1 and round(height * ratio) == y_bins:
            yield Reading(SimCC(ratio, x=x.name, y=y.name), count, named=(_axis(x.name), _axis(y.name)) == ("x", "y"))


def _axis(name: str) -> str | None:
    """x or y where that is the first or the last word of a name."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((word for word in (words[-1], words[0]) if word in ("x", "y")), None)
