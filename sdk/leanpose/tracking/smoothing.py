"""Smoother: one-euro filters that need no retuning when the frame rate or the size of persons changes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..keypoints import KeypointSet
from ..reals import real_number
from ..results import Poses
from .tracker import check_poses, next_time

FloatArray = npt.NDArray[np.float64]

_TRUSTED = 0.3  # the cutoffs of keypoints of lower scores fall in proportion, down to _LEAST_TRUST
_LEAST_TRUST = 0.25
_SIZE_CUTOFF = 1.0  # Hz, of the persons' sizes
_FORGOTTEN = 10.0  # seconds after which a filter would start anew anyway


class Smoother:
    """Smooths the keypoints of each track: still ones hardly tremble, fast ones hardly lag.

    Each keypoint is low-pass filtered with a cutoff that rises with its speed (Casiez et al., "1 € Filter: A Simple
    Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012). Speeds are in sizes of the person
    per second, size being the square root of its box's area, and time steps are those of the frames.

    Args:
        min_cutoff: Hz, the cutoff for a keypoint at rest: lower is smoother.
        beta: Hz for each size per second, how the cutoff rises with speed: higher lags less.
        speed_cutoff: Hz, the cutoff of the speeds themselves.

    Raises:
        ValueError: an argument is not finite, positive or, for `beta`, at least 0.
        TypeError: an argument is no number.
    """

    def __init__(self, *, min_cutoff: float = 1.0, beta: float = 10.0, speed_cutoff: float = 1.5) -> None:
        for name, value in (("min_cutoff", min_cutoff), ("beta", beta), ("speed_cutoff", speed_cutoff)):
            if not (math.isfinite(real_number(name, value)) and (value > 0 or (value == 0 and name == "beta"))):
                raise ValueError(f"{name}: expected a positive finite number, got {value!r}")
        self._min_cutoff, self._beta, self._speed_cutoff = min_cutoff, beta, speed_cutoff
        self.reset()

    def reset(self) -> None:
        """Forgets all tracks, as before another video."""
        self._filters: dict[int, _Filter] = {}
        self._time: float | None = None
        self._keypoints: KeypointSet | None = None

    def update(self, poses: Poses, time: float | None = None) -> Poses:
        """The poses of the next frame with smooth keypoints.

        A keypoint that is missing (NaN) stays missing and is filtered on when it returns; the longer ago it was seen,
        the less that counts. Keypoints of low score count less. Persons without a track (-1) are left as they are.

        Args:
            poses: the persons of the frame with their track ids.
            time: of the frame, in seconds, not before that of the last; None takes 1/25 second after it.

        Raises:
            ValueError: there are no track ids, or one comes twice; time is not finite or runs backwards; there are
                other keypoints than before.
            TypeError: `poses` are none, or `time` is no number.
        """
        keypoints = check_poses(poses, self._keypoints)
        if poses.track_ids is None:
            raise ValueError("poses: expected track ids, got None; let a Tracker give them first")
        tracked = np.flatnonzero(poses.track_ids >= 0)
        numbers = poses.track_ids[tracked].tolist()
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"poses: expected each track once, got track ids {poses.track_ids.tolist()}")
        self._time = time = next_time(self._time, time)
        self._keypoints = keypoints
        self._filters = {
            number: known for number, known in self._filters.items() if time - known.last_time <= _FORGOTTEN
        }
        xy = poses.xy.astype(np.float64)
        xy[~np.isfinite(xy).all(axis=2)] = np.nan
        sides = poses.boxes[:, 2:].astype(np.float64) - poses.boxes[:, :2]
        sizes = np.sqrt(np.maximum(sides.prod(axis=1), 1))
        trust = np.clip(np.nan_to_num(poses.keypoint_scores).astype(np.float64) / _TRUSTED, _LEAST_TRUST, 1)
        smooth = poses.xy.copy()
        for person, number in zip(tracked.tolist(), numbers, strict=True):
            known = self._filters.get(number)
            if known is None:
                known = self._filters[number] = _Filter(len(poses.names), sizes[person], time)
            smooth[person] = self._step(known, xy[person], trust[person], float(sizes[person]), time)
        return replace(poses, xy=smooth)

    def _step(self, known: _Filter, xy: FloatArray, trust: FloatArray, size: float, time: float) -> FloatArray:
        known.size += float(_gain(_SIZE_CUTOFF, time - known.last_time)) * (size - known.size)
        known.last_time = time
        seen = ~np.isnan(xy[:, 0])
        fresh = seen & np.isnan(known.smooth[:, 0])
        known.smooth[fresh] = known.raw[fresh] = xy[fresh]
        known.time[fresh] = time
        elapsed = time - known.time
        moving = seen & (elapsed > 0)
        steps, weights = elapsed[moving, None], trust[moving, None]
        # Of raw positions: differences from filtered ones would grow with the frame rate.
        speed = (xy[moving] - known.raw[moving]) / steps
        known.speed[moving] += _gain(weights * self._speed_cutoff, steps) * (speed - known.speed[moving])
        pace = np.linalg.norm(known.speed[moving], axis=1, keepdims=True) / known.size
        cutoff = weights * (self._min_cutoff + self._beta * pace)
        known.smooth[moving] = _follow(known.smooth[moving], known.raw[moving], xy[moving], cutoff, steps)
        known.raw[moving], known.time[moving] = xy[moving], time
        return np.where(seen[:, None], known.smooth, np.nan)


class _Filter:
    """What is known of the K keypoints of a track: smooth and raw x, y (K, 2), speeds (K, 2), when seen (K,)."""

    def __init__(self, count: int, size: float, time: float) -> None:
        self.smooth, self.raw = np.full((2, count, 2), np.nan)
        self.speed, self.time = np.zeros((count, 2)), np.full(count, time)
        self.size, self.last_time = float(size), time


def _gain(cutoff: FloatArray | float, elapsed: FloatArray | float) -> FloatArray:
    """The part of the way to a constant that a first-order low-pass of so many Hz goes in so many seconds."""
    return np.asarray(-np.expm1(-2 * math.pi * np.asarray(cutoff) * elapsed))


def _follow(
    smooth: FloatArray, before: FloatArray, now: FloatArray, cutoff: FloatArray, elapsed: FloatArray
) -> FloatArray:
    """Where the low-pass is after its input went straight from `before` to `now`.

    Were the input to jump as in the published discrete filter, the lag would change with the frame rate.
    """
    turn = 2 * math.pi * cutoff * elapsed
    gain = -np.expm1(-turn)
    part = gain / turn
    return np.asarray((1 - gain) * smooth + (part - (1 - gain)) * before + (1 - part) * now)
