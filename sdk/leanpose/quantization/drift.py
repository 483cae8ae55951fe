"""How far the keypoints of a converted model lie from those of the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..estimator import Estimator
from ..images import at_picture
from ..oks import oks_matrix
from ..results import Poses
from .calibration import Pictures

COUNTED_ABOVE = 0.3  # score of the original's keypoints that count: below it their place means little


@dataclass(frozen=True, eq=False)
class Drift:
    """Similarity of the poses before and after.

    Attributes:
        oks: (N,) float64 of the N persons with a counted keypoint, 1 where nothing moved.
    """

    oks: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean OKS; NaN of nobody."""
        return float(self.oks.mean()) if len(self.oks) else float("nan")

    @property
    def worst(self) -> float:
        """Smallest OKS; NaN of nobody."""
        return float(self.oks.min()) if len(self.oks) else float("nan")


def measure(before: Estimator, after: Estimator, pictures: Pictures, step: Callable[[], object]) -> Drift:
    """OKS of the poses that `after` finds with those of `before`; `step` is called after each picture."""
    values = [np.empty(0)]
    for number, image, boxes in pictures:
        try:
            reference, poses = (estimator.predict(image, boxes) for estimator in (before, after))
        except (TypeError, ValueError, OSError) as error:
            raise at_picture(error, number) from error
        values.append(_similarity(reference, poses))
        step()
    return Drift(np.concatenate(values))


def _similarity(reference: Poses, poses: Poses) -> npt.NDArray[np.float64]:
    """OKS of each person of `reference` with the same person, or where a model finds persons with the nearest."""
    counted = reference.keypoint_scores > COUNTED_ABOVE
    persons = counted.any(1)
    truth = np.concatenate([reference.xy, counted[..., None]], axis=2)[persons]
    overlap = oks_matrix(poses, truth, boxes=reference.boxes[persons], sigmas=reference.keypoints)
    same = reference.person_scores is None
    values: npt.NDArray[np.float64]
    values = overlap[np.flatnonzero(persons), np.arange(len(truth))] if same else overlap.max(axis=0, initial=0.0)
    return values
