"""Poses: what an estimator returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .drawing import draw_poses
from .images import ImageLike
from .interop import poses_to_dataframe, poses_to_supervision
from .keypoints import KeypointSet

if TYPE_CHECKING:
    import pandas
    import supervision

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
PoseIndex = SupportsIndex | slice | Sequence[int] | npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]

# The cut of COCO top-down evaluation: keypoints up to it do not count towards the score of a person.
_COUNTED_ABOVE = 0.2


@dataclass(frozen=True, eq=False)
class Poses:
    """The poses of N persons in one picture; N may be 0.

    A value: the arrays are read-only copies of those given, == compares all values (NaN equals NaN), and pickling keeps
    both. Indexing with an integer, a slice, a boolean mask or an array of indices gives `Poses` again, an integer those
    of one person (N = 1); iteration gives each person so.

    Attributes:
        xy: (N, K, 2) float32 keypoint x, y in pixels of the picture, pixel centres at integers; NaN where missing.
        keypoint_scores: (N, K) float32; keypoints of low score are kept, missing ones have 0. May hold NaN.
        boxes: (N, 4) float32 x1, y1, x2, y2 in pixels of the picture, finite.
        box_scores: (N,) float32 in 0..1.
        keypoints: the K keypoints.
        person_scores: (N,) float32 of a model that scores persons itself, finite; None where it does not.
        track_ids: (N,) int64 of a tracker, the same number for the same person in every frame of a video, -1 for a
            person without a track; None where nobody tracked.

    Raises:
        TypeError: a field is not an array of numbers, track ids are not integers, or `keypoints` is not a KeypointSet.
        ValueError: the shape of a field does not fit, boxes or person scores are not finite, box scores not in 0..1 or
            track ids below -1.
    """

    xy: FloatArray
    keypoint_scores: FloatArray
    boxes: FloatArray
    box_scores: FloatArray
    keypoints: KeypointSet
    person_scores: FloatArray | None = None
    track_ids: IntArray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.keypoints, KeypointSet):
            raise TypeError(f"keypoints: expected a KeypointSet, got {type(self.keypoints).__name__}")
        persons = np.shape(self.xy)[0] if np.ndim(self.xy) else 0
        count = len(self.keypoints)
        self._freeze("xy", (persons, count, 2), "(N, K, 2)")
        self._freeze("keypoint_scores", (persons, count), "(N, K)")
        self._freeze("boxes", (persons, 4), "(N, 4)")
        self._freeze("box_scores", (persons,), "(N,)")
        if self.person_scores is not None:
            self._freeze("person_scores", (persons,), "(N,)")
        if self.track_ids is not None:
            self._freeze("track_ids", (persons,), "(N,)", np.int64)
            if (self.track_ids < -1).any():
                raise ValueError(f"track_ids: expected numbers from -1 (no track) on, got {self.track_ids.tolist()}")
        for field in ("boxes", "person_scores"):
            array = getattr(self, field)
            if array is not None and not np.isfinite(array).all():
                raise ValueError(f"{field}: expected finite float32 numbers, got {array.tolist()}")
        if not ((self.box_scores >= 0) & (self.box_scores <= 1)).all():
            raise ValueError(f"box_scores: expected numbers in 0..1, got {self.box_scores.tolist()}")

    def _freeze(
        self, field: str, shape: tuple[int, ...], symbols: str, dtype: type[np.float32 | np.int64] = np.float32
    ) -> None:
        given = np.asarray(getattr(self, field))
        whole = dtype is np.int64 and given.size > 0  # an empty list has no integers to show
        if given.dtype.kind not in ("iu" if whole else "iuf"):
            kind = "integers" if whole else "real numbers"
            raise TypeError(f"{field}: expected an array of {kind}, got dtype {given.dtype}")
        if given.shape != shape:
            raise ValueError(f"{field}: expected shape {symbols} = {shape}, got {given.shape}")
        with np.errstate(over="ignore"):
            array = np.array(given, dtype=dtype, order="C")
        array.flags.writeable = False
        object.__setattr__(self, field, array)

    @classmethod
    def empty(cls, keypoints: KeypointSet) -> Poses:
        """No persons: xy of shape (0, K, 2), and so on."""
        count = len(keypoints)
        return cls(
            np.empty((0, count, 2), np.float32),
            np.empty((0, count), np.float32),
            np.empty((0, 4), np.float32),
            np.empty(0, np.float32),
            keypoints,
        )

    @classmethod
    def concatenate(cls, poses: Sequence[Poses]) -> Poses:
        """The persons of several results, in order. ValueError where there are none or their keypoints differ.

        Where some have track ids, the persons of the others get -1.
        """
        if not poses:
            raise ValueError("poses: expected at least one Poses to concatenate, got none; see Poses.empty")
        if any(part.keypoints != poses[0].keypoints for part in poses):
            raise ValueError("poses: expected the same keypoints in all, got different keypoint sets")
        scored = any(part.person_scores is not None for part in poses)
        tracked = any(part.track_ids is not None for part in poses)
        return cls(
            np.concatenate([part.xy for part in poses]),
            np.concatenate([part.keypoint_scores for part in poses]),
            np.concatenate([part.boxes for part in poses]),
            np.concatenate([part.box_scores for part in poses]),
            poses[0].keypoints,
            np.concatenate([part.scores for part in poses]) if scored else None,
            np.concatenate([part._ids() for part in poses]) if tracked else None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The K keypoint names."""
        return self.keypoints.names

    @property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        """Pairs of keypoint indices that a limb connects."""
        return self.keypoints.skeleton

    @property
    def scores(self) -> FloatArray:
        """(N,) score of each person: `person_scores` where the model gives them, as models that find persons do.

        Otherwise the box score times the mean of the keypoint scores above 0.2, or 0 where there are none: the
        rescoring of top-down COCO evaluation (Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking",
        2018). Scores that are not finite do not count.
        """
        if self.person_scores is not None:
            return self.person_scores
        counted = np.isfinite(self.keypoint_scores) & (self.keypoint_scores > _COUNTED_ABOVE)
        total = np.where(counted, self.keypoint_scores, 0).sum(axis=1, dtype=np.float64)
        return np.asarray(self.box_scores * total / np.maximum(counted.sum(axis=1), 1), dtype=np.float32)

    def __len__(self) -> int:
        """Number of persons N."""
        return len(self.xy)

    def __getitem__(self, selection: PoseIndex) -> Poses:
        rows = np.atleast_1d(np.arange(len(self))[selection])
        if rows.ndim != 1:
            raise IndexError(f"expected an integer, a slice, a boolean mask (N,) or indices (M,), got {selection!r}")
        person_scores = None if self.person_scores is None else self.person_scores[rows]
        track_ids = None if self.track_ids is None else self.track_ids[rows]
        xy, keypoint_scores, boxes, box_scores = (array[rows] for array in self._arrays())
        return Poses(xy, keypoint_scores, boxes, box_scores, self.keypoints, person_scores, track_ids)

    def __iter__(self) -> Iterator[Poses]:
        return (self[person] for person in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Poses):
            return NotImplemented
        if self.keypoints != other.keypoints or (self.track_ids is None) != (other.track_ids is None):
            return False
        pairs = zip((*self._arrays(), self.scores), (*other._arrays(), other.scores), strict=True)
        return np.array_equal(self._ids(), other._ids()) and all(
            np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in pairs
        )

    # Rebuilding through the constructor because unpickled numpy arrays are writeable.
    def __reduce__(self) -> tuple[type[Poses], tuple[Any, ...]]:
        return Poses, (*self._arrays(), self.keypoints, self.person_scores, self.track_ids)

    def _arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.xy, self.keypoint_scores, self.boxes, self.box_scores

    def _ids(self) -> IntArray:
        """(N,) track ids, all -1 where nobody tracked."""
        return np.full(len(self), -1) if self.track_ids is None else self.track_ids

    def _track(self, person: int) -> dict[str, int | None]:
        """The entry of a person's track in the exports; none where nobody tracked."""
        if self.track_ids is None:
            return {}
        number = int(self.track_ids[person])
        return {"track_id": number if number >= 0 else None}

    def to_coco(self, image_id: SupportsIndex | str, category_id: SupportsIndex = 1) -> list[dict[str, Any]]:
        """The persons in COCO keypoint result format, plain Python values that `json.dumps` takes.

        Each has ``keypoints`` as K times x, y, score in a flat list, ``score`` as in `scores`, and ``bbox`` as x, y,
        width, height. A keypoint whose x, y or score is not finite is written as 0, 0, 0: JSON has no NaN. After
        tracking each has ``track_id`` too, None for a person without a track.
        """
        triples = self._triples().astype(np.float64)
        triples[~np.isfinite(triples).all(axis=2)] = 0
        corners = self.boxes.astype(np.float64)
        bboxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return [
            {
                "image_id": image_id if isinstance(image_id, str) else index(image_id),
                "category_id": index(category_id),
                "keypoints": triples[person].ravel().tolist(),
                "score": float(score),
                "bbox": bboxes[person].tolist(),
                **self._track(person),
            }
            for person, score in enumerate(self.scores)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain Python values that `json.dumps` takes; numbers that are not finite become None.

        ``names`` and ``skeleton`` are those of `keypoints`; each of ``persons`` has its ``keypoints`` as K lists x, y,
        score, its ``score`` as in `scores`, its ``box`` as x1, y1, x2, y2, its ``box_score`` and, after tracking, its
        ``track_id``, None for a person without a track.
        """
        triples = self._triples()
        values = triples.astype(object)
        values[~np.isfinite(triples)] = None
        return {
            "names": list(self.names),
            "skeleton": [list(pair) for pair in self.skeleton],
            "persons": [
                {
                    "keypoints": values[person].tolist(),
                    "score": float(score),
                    "box": self.boxes[person].tolist(),
                    "box_score": float(self.box_scores[person]),
                    **self._track(person),
                }
                for person, score in enumerate(self.scores)
            ],
        }

    def _triples(self) -> FloatArray:
        return np.concatenate([self.xy, self.keypoint_scores[..., None]], axis=2)

    def to_supervision(self) -> supervision.KeyPoints:
        """The persons as `supervision.KeyPoints`, for the annotators and filters of that package.

        ``keypoint_confidence`` holds `keypoint_scores`, ``detection_confidence`` `scores`; class id is 0, class name
        "person", and ``data["tracker_id"]`` holds `track_ids` where there are some. Missing keypoints are 0, 0 with
        confidence 0, as that package has it. ImportError where it is not installed.
        """
        return poses_to_supervision(self)

    def to_dataframe(self, frame: int | str | None = None) -> pandas.DataFrame:
        """A pandas table with a row per person and keypoint, N times K; ImportError where pandas is not installed.

        Columns: ``frame`` as given, without it left out; ``person`` from 0; ``track_id``, <NA> where there is none;
        ``person_score`` as in `scores`; ``keypoint``, a category in the order of `names`; ``x`` and ``y`` in pixels,
        NaN where missing; ``score``. Tables of several frames go together by ``pandas.concat``; one row per person
        is ``table.pivot(index="person", columns="keypoint", values=["x", "y", "score"])``.
        """
        return poses_to_dataframe(self, frame)

    def draw(
        self, image: ImageLike, *, threshold: float = 0.3, boxes: bool = False, ids: bool = True
    ) -> npt.NDArray[np.uint8]:
        """A copy of the picture with the poses drawn over it; see `leanpose.drawing.draw_poses`."""
        return draw_poses(image, self, threshold=threshold, boxes=boxes, ids=ids)
