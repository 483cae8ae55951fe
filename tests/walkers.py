"""Synthetic persons who walk through a picture, seen by a noisy pose model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanpose import COCO17, Poses

FloatArray = npt.NDArray[np.float64]

# A person of height 1 seen from the front, feet at y = 0, y downwards; by the order of COCO's keypoints.
_BODY = np.array(
    [
        *([0.0, -0.92], [0.02, -0.94], [-0.02, -0.94], [0.04, -0.93], [-0.04, -0.93]),
        *([0.11, -0.8], [-0.11, -0.8], [0.15, -0.63], [-0.15, -0.63], [0.16, -0.47], [-0.16, -0.47]),
        *([0.08, -0.5], [-0.08, -0.5], [0.08, -0.27], [-0.08, -0.27], [0.08, -0.03], [-0.08, -0.03]),
    ]
)
_SWING = {7: -0.05, 8: 0.05, 9: -0.12, 10: 0.12, 13: 0.08, 14: -0.08, 15: 0.2, 16: -0.2}  # of the height, to the side


@dataclass(frozen=True)
class Walker:
    """Feet at `start` at time 0, `velocity` in heights per second, out of sight between the times of each of `away`."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    height: float = 100.0
    away: tuple[tuple[float, float], ...] = ()
    phase: float = 0.0

    def keypoints(self, time: float) -> FloatArray:
        """(17, 2) in pixels."""
        body = _BODY.copy()
        pace = float(np.hypot(*self.velocity))
        for joint, reach in _SWING.items():
            body[joint, 0] += reach * min(pace, 1) * np.sin(2 * np.pi * pace * time + self.phase)
        moved: FloatArray = np.add(self.start, np.multiply(self.velocity, time * self.height)) + self.height * body
        return moved

    def present(self, time: float) -> bool:
        """Whether the person is in sight."""
        return not any(first <= time < last for first, last in self.away)


def see(
    walkers: Sequence[Walker], times: Sequence[float], noise: float = 0.0, seed: int = 0
) -> Iterator[tuple[float, Poses, list[int]]]:
    """Time, poses and whose they are, for each time; noise is the deviation of keypoints in parts of the height."""
    random = np.random.default_rng(seed)
    for time in times:
        who = [number for number, walker in enumerate(walkers) if walker.present(time)]
        xy = np.array([walkers[number].keypoints(time) for number in who]).reshape(-1, 17, 2)
        heights = np.array([walkers[number].height for number in who]).reshape(-1, 1, 1)
        xy = xy + noise * heights * random.standard_normal(xy.shape)
        boxes = np.concatenate(
            [xy.min(axis=1) - 0.04 * heights[..., 0], xy.max(axis=1) + 0.04 * heights[..., 0]], axis=1
        )
        boxes = boxes + noise * heights[..., 0] * random.standard_normal(boxes.shape)
        scores = random.uniform(0.6, 0.95, xy.shape[:2])
        yield time, Poses(xy, scores, boxes, np.full(len(who), 0.9), COCO17), who
