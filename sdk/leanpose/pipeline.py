"""Pipeline: frames in, followed and smoothed poses out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from .boxes import validate_boxes
from .estimator import Estimator
from .oks import oks_nms
from .profiling import Profile
from .results import Poses
from .sources import Frame, Source, SourceLike, open_source
from .tracking import Smoother, Tracker

_CLEAR = 0.3  # keypoints above this score tell where a person is
_FEWEST = 3  # such keypoints that a person must have to be followed
_MARGIN = (
    0.1  # of the longer side, from the keypoints' extent to the box of a person, whose head and feet reach further
)
_SAME = 0.8  # OKS above which two persons that are followed are one


class Pipeline:
    """Poses of a video, frame by frame: finds persons, or follows those of the frame before, tracks and smooths.

    Args:
        estimator: gives the poses; its detector finds the persons, or the model itself does; without both, the whole
            picture is one person's box.
        every: persons are searched for in each n-th frame. In the frames between, each person's box is the extent of
            its clear keypoints in the frame before, and only persons with such keypoints are followed. Where nobody is
            left to follow, or the size of frames changes, persons are searched for at once.
        tracker: numbers the persons; None for no track ids.
        smoother: smooths the keypoints of each track.

    Attributes:
        profile: seconds and counts of each stage in the last run.

    Raises:
        ValueError: `every` is below 1 or above 1 with a model that finds persons itself; a smoother without a tracker.
        TypeError: `every` is not an integer, or another argument none of its class.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        every: int = 1,
        tracker: Tracker | None = None,
        smoother: Smoother | None = None,
    ) -> None:
        parts: tuple[tuple[str, object, type], ...] = (
            ("estimator", estimator, Estimator),
            ("tracker", tracker, Tracker),
            ("smoother", smoother, Smoother),
        )
        for name, part, kind in parts:
            if not isinstance(part, kind) and (part is not None or kind is Estimator):
                raise TypeError(f"{name}: expected an instance of leanpose.{kind.__name__}, got {part!r:.80}")
        given: object = every
        if not isinstance(given, int) or isinstance(given, bool):
            raise TypeError(f"every: expected an integer, got {every!r}")
        if every < 1:
            raise ValueError(f"every: expected at least 1, got {every}")
        if every > 1 and estimator.card.codec.finds_persons:
            raise ValueError(f"every: expected 1 with a model that finds persons itself, got {every}")
        if smoother is not None and tracker is None:
            raise ValueError("smoother: expected a tracker too, as keypoints are smoothed along tracks")
        self._estimator, self._every, self._tracker, self._smoother = estimator, every, tracker, smoother
        self.profile = Profile()

    def run(self, source: SourceLike) -> Iterator[tuple[Frame, Poses]]:
        """Each frame with its poses, as soon as they are there, in bounded memory; frames are read ahead in a thread.

        Tracks, smoothing and the profile start anew. A source that is opened here is closed with the iterator.

        Args:
            source: as for `open_source`, or an open `Source`.

        Raises:
            See `open_source` and `Estimator.predict`; also while frames are taken.
        """
        self.profile = Profile()
        for stage in (self._tracker, self._smoother):
            if stage is not None:
                stage.reset()
        mine = not isinstance(source, Source)
        return self._run(open_source(source), mine, self.profile)

    def _run(self, source: Source, mine: bool, profile: Profile) -> Iterator[tuple[Frame, Poses]]:
        finder = _Finder(self._estimator, self._every, profile)
        before = source.seconds
        with source if mine else nullcontext():
            for frame in source:
                poses = finder.poses(frame.image)
                if self._tracker is not None:
                    with profile.measure("track"):
                        poses = self._tracker.update(poses, frame.time)
                if self._smoother is not None:
                    with profile.measure("smooth"):
                        poses = self._smoother.update(poses, frame.time)
                profile.frames += 1
                profile.add("decode", source.seconds - before)
                before = source.seconds
                yield frame, poses


class _Finder:
    """Poses of one frame after another, with a search for persons in every n-th."""

    def __init__(self, estimator: Estimator, every: int, profile: Profile) -> None:
        self._detector, self._every, self._profile = estimator.detector, every, profile
        self._batcher = estimator.batcher(profile)
        self._since = every  # frames since persons were searched for
        self._last = Poses.empty(estimator.card.keypoints)
        self._shape: tuple[int, ...] = ()

    def poses(self, image: npt.NDArray[np.uint8]) -> Poses:
        """The poses of the next frame."""
        self._since += 1
        found = self._follow(image) if self._since < self._every and image.shape == self._shape else None
        if found is None:
            found, self._since = self._search(image), 0
        self._last, self._shape = found, image.shape
        return found

    def _search(self, image: npt.NDArray[np.uint8]) -> Poses:
        if self._detector is None:
            return self._estimate(image, *validate_boxes(None, image.shape[1], image.shape[0]))
        with self._profile.measure("detect"):
            found = self._detector.predict(image)
        return self._estimate(image, found.boxes.astype(np.float64), found.scores)

    def _follow(self, image: npt.NDArray[np.uint8]) -> Poses | None:
        """The persons of the frame before, or None where nobody is there or all are lost."""
        boxes = boxes_to_follow(self._last, image.shape)
        if not len(boxes):
            return None
        found = self._estimate(image, *validate_boxes(boxes, image.shape[1], image.shape[0]))
        found = found[np.sort(oks_nms(found, threshold=_SAME))]
        return found if len(boxes_to_follow(found, image.shape)) else None

    def _estimate(
        self, image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float32]
    ) -> Poses:
        (found,) = (*self._batcher.add(image, boxes, scores), *self._batcher.finish())
        return found


def boxes_to_follow(poses: Poses, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Boxes (M, 5) x1, y1, x2, y2, box score to find persons again with, in the next frame of height, width `shape`.

    Only of persons with enough clear keypoints, and that are still in the picture.
    """
    clear = (poses.keypoint_scores > _CLEAR) & np.isfinite(poses.xy).all(axis=2)
    xy = poses.xy.astype(np.float64)
    low = np.where(clear[..., None], xy, np.inf).min(axis=1)
    high = np.where(clear[..., None], xy, -np.inf).max(axis=1)
    sound = clear.sum(axis=1) >= _FEWEST
    sound &= (low < (shape[1], shape[0])).all(axis=1) & (high > 0).all(axis=1)
    low, high = low[sound], high[sound]
    margin = np.maximum(_MARGIN * (high - low).max(axis=1, keepdims=True), 1)
    return np.concatenate([low - margin, high + margin, poses.box_scores[sound, None]], axis=1)
