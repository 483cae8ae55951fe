"""Checks of the person boxes that callers and detectors hand in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_EXPECTED = "expected boxes as x1, y1, x2, y2 in pixels, optionally with a score as fifth column"
# Beyond this, float32 results lose whole pixels by the hundred and products of sizes could overflow.
_LARGEST = 1e9


def validate_boxes(
    boxes: npt.ArrayLike | None, width: int, height: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Check person boxes against a picture and split off their scores.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the picture, pixel centres at integers; or (N, 5) with a score in 0..1
            last; or one such box of shape (4,) or (5,). None stands for one box around the whole picture,
            0, 0, width, height; an empty sequence for no box. A box may reach over the edge of the picture.
        width: picture width in pixels.
        height: picture height in pixels.

    Returns:
        (N, 4) float64 x1, y1, x2, y2 with the values given, and (N,) float32 box scores, 1 where none were given.

    Raises:
        TypeError: not an array of numbers.
        ValueError: wrong shape; or a box (the first is named) that is not finite, has no area, does not overlap the
            picture or has a score outside 0..1.
    """
    if boxes is None:
        return np.array([[0.0, 0.0, width, height]]), np.ones(1, np.float32)
    try:
        given = np.asarray(boxes)
    except ValueError as error:
        raise ValueError(f"boxes: {_EXPECTED}; got rows of different lengths") from error
    if given.size == 0 and given.shape in ((0,), (0, 4), (0, 5)):
        return np.empty((0, 4)), np.empty(0, np.float32)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"boxes: {_EXPECTED}; got {given.dtype} values of type {type(boxes).__name__}")
    rows = np.atleast_2d(given).astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise ValueError(f"boxes: {_EXPECTED}, so shape (N, 4) or (N, 5); got shape {given.shape}")

    x1, y1, x2, y2 = rows[:, :4].T
    _refuse(rows, np.any(~(np.abs(rows) <= _LARGEST), axis=1), f"expected finite numbers of at most {_LARGEST:.0e}")
    _refuse(
        rows,
        (x2 <= x1) | (y2 <= y1),
        "expected x1 < x2 and y1 < y2; if these are x, y, width, height, pass x, y, x + width, y + height",
    )
    _refuse(
        rows,
        (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height),
        f"expected a box that overlaps the picture, {width} x {height} pixels; are its units pixels of this picture?",
    )
    scores = rows[:, 4] if rows.shape[1] == 5 else np.ones(len(rows))
    _refuse(rows, (scores < 0) | (scores > 1), "expected a score in 0..1 in the fifth column")
    return rows[:, :4].copy(), scores.astype(np.float32)


def _refuse(rows: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        values = ", ".join(f"{value:g}" for value in rows[row])
        raise ValueError(f"boxes: row {row} is [{values}]; {expected}")
