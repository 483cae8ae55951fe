"""Tracker: the same number for the same person in every frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .. import _core
from ..keypoints import KeypointSet
from ..oks import BOX_FILL, oks_matrix
from ..reals import real_number
from ..results import Poses
from ..sources.reader import DEFAULT_FPS

FloatArray = npt.NDArray[np.float64]

_SEEN_ABOVE = 0.2  # keypoints up to this score say nothing about where a person is; the cut of `Poses.scores`
_VELOCITY_MEMORY = 0.25  # seconds over which velocities are averaged
_VELOCITY_LASTS = 1.0  # seconds that a person out of sight keeps going, on average
# How much wider a person may be searched for, in parts of its size, for each second since it was seen.
_DRIFT = 2.0
_TWICE = 0.6  # similarity above which a person who would begin a track is another sight of one who has one
_FADING = 4.0  # seconds in which similarity with a track that is not seen fades to 1/e
_MARGIN, _MARGIN_GROWTH = 0.1, 0.5  # of the boxes whose overlap counts: at once, and for each second


@dataclass(frozen=True, eq=False)
class _Track:
    """A person as last seen: keypoints (K, 2), NaN where unsure; box (4,); velocity (2,) in pixels per second."""

    number: int
    time: float
    xy: FloatArray
    box: FloatArray
    velocity: FloatArray

    def seen(self, sight: _Track) -> _Track:
        """The track after another sight."""
        velocity, elapsed = self.velocity, sight.time - self.time
        if elapsed > 0:
            gain = -math.expm1(-elapsed / _VELOCITY_MEMORY)
            velocity = velocity + gain * (self._shift(sight) / elapsed - velocity)
        return replace(sight, number=self.number, velocity=velocity)

    def _shift(self, sight: _Track) -> FloatArray:
        """How far the person moved: the median of its keypoints, as arms and legs swing about the body."""
        moves = (sight.xy - self.xy)[~np.isnan(sight.xy[:, 0]) & ~np.isnan(self.xy[:, 0])]
        return np.asarray(np.median(moves if len(moves) else (sight.box - self.box).reshape(2, 2), axis=0))


class Tracker:
    """Follows persons through a video: `update` numbers the persons of each frame.

    A person continues the track that it resembles most, by the mean of OKS and the overlap of boxes (intersection over
    union) with where the track should be by now, so that the sum over all persons is greatest (optimal assignment).
    Tracks go on at their velocity. The longer a track is lost, the wider it is searched for, and the less it counts:
    OKS with a larger scale, overlap of widened boxes (Yang et al., "Hard to Track Objects with Irregular Motions and
    Similar Appearances? Make It Easier by Buffering the Matching Space", WACV 2023), both fading. Confident persons
    choose first, the others take what is left (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every
    Detection Box", ECCV 2022). A confident person who is left begins a track, unless it resembles one who has one.

    All spans are seconds and all lengths parts of a person's size, so that neither another frame rate nor another
    resolution needs other settings. The order of the persons in a frame does not matter.

    Args:
        new_score: least score (`Poses.scores`) of persons that begin tracks and choose first. Others only continue
            tracks that are left, or get the number -1.
        similarity: least similarity, 0..1, of a person and the track that it continues.
        lost_seconds: a track that is not seen for longer ends; its number does not come again.

    Raises:
        ValueError: an argument is out of range.
        TypeError: an argument is no number.
    """

    def __init__(self, *, new_score: float = 0.3, similarity: float = 0.1, lost_seconds: float = 2.0) -> None:
        for name, value, most in (
            ("new_score", new_score, math.inf),
            ("similarity", similarity, 1.0),
            ("lost_seconds", lost_seconds, math.inf),
        ):
            if not 0 <= real_number(name, value) <= most:
                raise ValueError(f"{name}: expected a number in 0..{most:g}, got {value!r}")
        self._new_score, self._similarity, self._lost_seconds = new_score, similarity, lost_seconds
        self.reset()

    def reset(self) -> None:
        """Forgets all tracks, as before another video; numbers start from 1 again."""
        self._tracks: list[_Track] = []
        self._time: float | None = None
        self._keypoints: KeypointSet | None = None
        self._next = 1

    def update(self, poses: Poses, time: float | None = None) -> Poses:
        """The poses of the next frame with their `track_ids`, all of them and in the same order.

        Args:
            poses: the persons of the frame.
            time: of the frame, in seconds, not before that of the last; None takes 1/25 second after it.

        Raises:
            ValueError: time is not finite or runs backwards, or there are other keypoints than before.
            TypeError: `poses` are none, or `time` is no number.
        """
        keypoints = check_poses(poses, self._keypoints)
        self._time = time = next_time(self._time, time)
        self._keypoints = keypoints
        self._tracks = [track for track in self._tracks if time - track.time <= self._lost_seconds]
        xy = np.where((poses.keypoint_scores > _SEEN_ABOVE)[..., None], poses.xy, np.nan).astype(np.float64)
        xy[~np.isfinite(xy).all(axis=2)] = np.nan
        boxes = poses.boxes.astype(np.float64)
        sights = [_Track(-1, time, *sight, np.zeros(2)) for sight in zip(xy, boxes, strict=True)]
        confident = poses.scores >= self._new_score
        taken = self._match(_similarities(sights, self._tracks, time, poses.keypoints), confident)
        ids = np.full(len(poses), -1)
        for person in np.flatnonzero(taken >= 0):
            track = self._tracks[taken[person]]
            ids[person] = track.number
            self._tracks[taken[person]] = track.seen(sights[person])
        # Whatever the order of the persons, the same ones begin, and with the same numbers.
        beginners = np.flatnonzero(confident & (taken < 0))
        beginners = beginners[np.lexsort((*boxes[beginners].T, -poses.scores[beginners]))]
        beginners = _apart(sights, np.flatnonzero(taken >= 0), beginners, poses.keypoints)
        for person in beginners[np.lexsort(boxes[beginners].T[::-1])]:
            ids[person] = self._next
            self._tracks.append(replace(sights[person], number=self._next))
            self._next += 1
        return replace(poses, track_ids=ids)

    def _match(self, similarity: FloatArray, confident: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The row of the track that each person continues, -1 for none: confident persons choose first."""
        taken = np.full(len(similarity), -1)
        for persons in (confident, ~confident):
            rows, columns = np.flatnonzero(persons), np.setdiff1d(np.arange(similarity.shape[1]), taken)
            chosen = similarity[np.ix_(rows, columns)]
            chosen = np.where(chosen >= max(self._similarity, 1e-9), chosen, 0)
            first, second = _core.linear_assignment(-chosen)
            sound = chosen[first, second] > 0
            taken[rows[first[sound]]] = columns[second[sound]]
        return taken


def _apart(
    sights: list[_Track],
    tracked: npt.NDArray[np.int64],
    beginners: npt.NDArray[np.int64],
    keypoints: KeypointSet,
) -> npt.NDArray[np.int64]:
    """Those of the beginners who are not other sights of tracked persons or of beginners before them."""
    if not len(beginners):
        return beginners
    alike = _similarities(sights, sights, sights[0].time, keypoints) > _TWICE
    known, apart = tracked.tolist(), []
    for person in beginners.tolist():
        if not alike[person, known].any():
            known.append(person)
            apart.append(person)
    return np.array(apart, np.int64)


def next_time(last: float | None, given: float | None) -> float:
    """The time of a frame, checked against that of the one before."""
    if given is None:
        return 0.0 if last is None else last + 1 / DEFAULT_FPS
    time = real_number("time", given)
    if not math.isfinite(time) or (last is not None and time < last):
        raise ValueError(f"time: expected finite seconds from {last} on, the last frame's, got {given!r:.80}")
    return time


def check_poses(poses: Poses, last: KeypointSet | None) -> KeypointSet:
    """The keypoints of a frame's poses, checked against those of the frame before."""
    given: object = poses
    if not isinstance(given, Poses):
        raise TypeError(f"poses: expected the Poses of one frame, got {type(given).__name__}")
    if last is not None and len(poses.keypoints) != len(last):
        raise ValueError(
            f"poses: expected {len(last)} keypoints, as in the frame before, got {len(poses.keypoints)}; call reset "
            "between videos"
        )
    return poses.keypoints


def _similarities(sights: list[_Track], tracks: list[_Track], time: float, keypoints: KeypointSet) -> FloatArray:
    """(N, M) of N persons with where M tracks should be, in 0..1."""
    if not sights or not tracks:
        return np.zeros((len(sights), len(tracks)))
    xy, boxes = np.stack([sight.xy for sight in sights]), np.stack([sight.box for sight in sights])
    elapsed = np.array([time - track.time for track in tracks])
    reach = _VELOCITY_LASTS * -np.expm1(-elapsed / _VELOCITY_LASTS)
    shift = np.stack([track.velocity for track in tracks]) * reach[:, None]
    expected = np.stack([track.box for track in tracks]) + np.tile(shift, 2)
    places = np.stack([track.xy for track in tracks]) + shift[:, None]
    sides = expected[:, 2:] - expected[:, :2]
    areas = BOX_FILL * sides.prod(axis=1) * (1 + _DRIFT * elapsed) ** 2
    oks = oks_matrix(xy, places, areas=np.maximum(areas, 1), boxes=_ordered(expected), sigmas=keypoints)
    margin = _MARGIN + _MARGIN_GROWTH * elapsed
    return (oks + _overlaps(boxes, expected, margin)) / 2 * np.exp(-elapsed / _FADING)


def _ordered(boxes: FloatArray) -> FloatArray:
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def _overlaps(boxes: FloatArray, expected: FloatArray, margin: FloatArray) -> FloatArray:
    """(N, M) intersection over union of boxes that are widened by `margin` (M,) of their own sides all around."""
    first = boxes.reshape(-1, 1, 2, 2) + margin[None, :, None, None] * _outwards(boxes)[:, None]
    second = (expected.reshape(-1, 2, 2) + margin[:, None, None] * _outwards(expected))[None]
    common = np.minimum(first[:, :, 1], second[:, :, 1]) - np.maximum(first[:, :, 0], second[:, :, 0])
    shared = np.maximum(common, 0).prod(axis=2)
    total = (first[:, :, 1] - first[:, :, 0]).prod(axis=2) + (second[:, :, 1] - second[:, :, 0]).prod(axis=2) - shared
    return np.asarray(shared / np.maximum(total, 1e-9))


def _outwards(boxes: FloatArray) -> FloatArray:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.stack([-sides, sides], axis=1)
