"""The points of the input that the rows of a one-stage detector's output belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_DISTANCE_BINS = 8  # reg_max + 1 of every released NanoDet and PicoDet
DISTANCES = 4 * _DISTANCE_BINS


@dataclass(frozen=True)
class Priors:
    """The cells of the feature maps of some strides, row by row, finest map first.

    Attributes:
        cells: (n, 2) float32 column and row.
        strides: (n, 1) float32 pixels of the input per cell.
    """

    cells: FloatArray
    strides: FloatArray

    @classmethod
    def of(cls, size: tuple[int, int], strides: tuple[int, ...]) -> Priors:
        """Those of an input of a size (height, width)."""
        cells = [np.indices(grid_of(size, stride))[::-1].reshape(2, -1).T for stride in strides]
        repeated = np.repeat(strides, [len(grid) for grid in cells])[:, None]
        return cls(np.concatenate(cells).astype(np.float32), repeated.astype(np.float32))


def grid_of(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the feature map of a stride."""
    return -(-size[0] // stride), -(-size[1] // stride)


def count_of(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """The number of cells of all strides."""
    return sum(rows * columns for rows, columns in (grid_of(size, stride) for stride in strides))


def corners_of(rows: FloatArray) -> FloatArray:
    """Boxes (m, 4) centre x, centre y, width, height as x1, y1, x2, y2."""
    half = rows[:, 2:4] / 2
    return np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)


def expected_distances(logits: FloatArray) -> FloatArray:
    """(m, 4) means of the distributions over 0..7 whose logits are given, (m, 32).

    Li et al., "Generalized Focal Loss", NeurIPS 2020.
    """
    bins = logits.reshape(-1, 4, _DISTANCE_BINS)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    means: FloatArray = weights @ np.arange(_DISTANCE_BINS, dtype=np.float32) / weights.sum(axis=2)
    return means


def sigmoid(logits: FloatArray) -> FloatArray:
    """The logistic function, of NaN NaN."""
    shares: FloatArray = np.float32(0.5) + np.float32(0.5) * np.tanh(logits * np.float32(0.5))
    return shares
