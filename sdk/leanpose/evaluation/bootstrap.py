"""Bootstrap intervals: how much statistics vary when pictures are drawn anew (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from .loading import FloatArray

_AT_ONCE = 100  # samples drawn together: bounds memory


def drawn_pictures(pictures: int, samples: int, seed: int) -> Iterator[npt.NDArray[np.int32]]:
    """How often samples of as many pictures, drawn with replacement, hold each: (S, pictures), parts of all samples."""
    rng = np.random.default_rng(seed)
    for start in range(0, samples, _AT_ONCE):
        weights = np.zeros((min(_AT_ONCE, samples - start), pictures), np.int32)
        for row in weights:
            np.add.at(row, rng.integers(0, pictures, pictures) if pictures else [], 1)
        yield weights


def intervals(names: Iterable[str], samples: list[FloatArray]) -> dict[str, tuple[float, float]]:
    """2.5 and 97.5 percentile of each statistic over the samples, (statistics, S) each, in which it is known.

    Both are -1 where it is known in none.
    """
    bounds = {}
    for name, values in zip(names, np.concatenate(samples, axis=1), strict=True):
        known = values[values > -1]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (-1.0, -1.0)
        bounds[name] = float(low), float(high)
    return bounds
