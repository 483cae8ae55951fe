"""Detections: what a detector returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ..drawing import draw_detections
from ..images import ImageLike
from ..interop import detections_to_supervision

if TYPE_CHECKING:
    import supervision

FloatArray = npt.NDArray[np.float32]
DetectionIndex = SupportsIndex | slice | Sequence[int] | npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes of N persons in one picture, best first; N may be 0.

    A value: the arrays are read-only copies of those given, == compares all values, and pickling keeps both. Indexing
    with an integer, a slice, a boolean mask or an array of indices gives `Detections` again. They go into
    `Estimator.predict` as they are: as an array, they are (N, 5) x1, y1, x2, y2, score.

    Attributes:
        boxes: (N, 4) float32 x1, y1, x2, y2 in pixels of the picture, finite, with x1 < x2 and y1 < y2.
        scores: (N,) float32 in 0..1.

    Raises:
        TypeError: a field is not an array of numbers.
        ValueError: the shape of a field does not fit, a box is not finite or has no area, or a score is not in 0..1.
    """

    boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        count = np.shape(self.boxes)[0] if np.ndim(self.boxes) else 0
        self._freeze("boxes", (count, 4), "(N, 4)")
        self._freeze("scores", (count,), "(N,)")
        if not np.isfinite(self.boxes).all():
            raise ValueError(f"boxes: expected finite float32 numbers, got {self.boxes.tolist()}")
        if not (self.boxes[:, :2] < self.boxes[:, 2:]).all():
            raise ValueError(f"boxes: expected x1 < x2 and y1 < y2, got {self.boxes.tolist()}")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError(f"scores: expected numbers in 0..1, got {self.scores.tolist()}")

    def _freeze(self, field: str, shape: tuple[int, ...], symbols: str) -> None:
        given = np.asarray(getattr(self, field))
        if given.dtype.kind not in "iuf":
            raise TypeError(f"{field}: expected an array of real numbers, got dtype {given.dtype}")
        if given.shape != shape:
            raise ValueError(f"{field}: expected shape {symbols} = {shape}, got {given.shape}")
        with np.errstate(over="ignore"):
            array = np.array(given, dtype=np.float32, order="C")
        array.flags.writeable = False
        object.__setattr__(self, field, array)

    @classmethod
    def empty(cls) -> Detections:
        """Nobody: boxes of shape (0, 4), scores of shape (0,)."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, key: DetectionIndex) -> Detections:
        if not isinstance(key, slice | list | np.ndarray):
            key = [range(len(self))[key]]  # type: ignore[index]  # IndexError and TypeError as a list has them
        return Detections(self.boxes[key], self.scores[key])

    def __iter__(self) -> Iterator[Detections]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return np.array_equal(self.boxes, other.boxes) and np.array_equal(self.scores, other.scores)

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.concatenate([self.boxes, self.scores[:, None]], axis=1).astype(dtype or np.float32, copy=False)

    # Rebuilding through the constructor because unpickled numpy arrays are writeable.
    def __reduce__(self) -> tuple[type[Detections], tuple[FloatArray, FloatArray]]:
        return Detections, (self.boxes, self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values that `json.dumps` takes: ``persons``, each with ``box`` x1, y1, x2, y2 and ``score``."""
        pairs = zip(self.boxes.tolist(), self.scores.tolist(), strict=True)
        return {"persons": [{"box": box, "score": score} for box, score in pairs]}

    def to_supervision(self) -> supervision.Detections:
        """The persons as `supervision.Detections`, with class id 0 and class name "person".

        ImportError where that package is not installed.
        """
        return detections_to_supervision(self)

    def draw(self, image: ImageLike) -> npt.NDArray[np.uint8]:
        """A copy of the picture with the boxes and their scores drawn over it."""
        return draw_detections(image, self)
