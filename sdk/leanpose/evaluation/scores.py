"""What an evaluation by OKS says, and how it comes from precision, recall and matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import _core
from ..keypoints import KeypointSet
from .loading import FloatArray, GroundTruth, Results
from .matching import ALL_AREAS

_GOOD = 0.85  # similarity of a well placed keypoint (Ronchi and Perona, ICCV 2017)


@dataclass(frozen=True)
class GroupScores:
    """How well a group of persons is found; scores are in 0..1, -1 where there are none.

    Attributes:
        name: of the group; see the evaluation that it belongs to.
        persons: how many there are to be found.
        AP, AR: mean over OKS thresholds 0.5, 0.55 .. 0.95; AP50, AP75, AR50, AR75: at one threshold.
    """

    name: str
    persons: int
    AP: float
    AP50: float
    AP75: float
    AR: float
    AR50: float
    AR75: float


@dataclass(frozen=True)
class KeypointScores:
    """How well one keypoint is placed in the persons that were found.

    Attributes:
        name: of the keypoint.
        labelled: how often it is labelled in persons to be found.
        matched: how often it is labelled in persons that a result matched at an OKS of 0.5.
        similarity: mean over those of exp(-d^2 / (2 area (2 sigma)^2)), its part in OKS; NaN without any.
        good: share of those with a similarity of at least 0.85, as in Ronchi and Perona, "Benchmarking and Error
            Diagnosis in Multi-Instance Pose Estimation", ICCV 2017; NaN without any.
    """

    name: str
    labelled: int
    matched: int
    similarity: float
    good: float


@dataclass(frozen=True, eq=False)
class OksEvaluation:
    """What an evaluation by OKS says of results.

    Attributes:
        statistics: by name, in 0..1, -1 where nobody is to be found. AP and AR are means over OKS thresholds 0.5,
            0.55 .. 0.95, AP50, AP75, AR50 and AR75 those at one; other names are those of groups.
        intervals: 2.5 and 97.5 percentile of each statistic over resampled pictures; empty without a bootstrap.
        groups: all persons, then those of COCO's area ranges or of CrowdPose's pictures of each crowd level.
        keypoints: the breakdown by keypoint.
        precision: (T, R, C, A) float64 interpolated precision by OKS threshold, recall, category and area range.
        recall: (T, C, A) float64 largest recall.
        pictures: number of pictures.
        persons: number of persons to be found.
        results: number of results that took part.
    """

    statistics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    groups: tuple[GroupScores, ...]
    keypoints: tuple[KeypointScores, ...]
    precision: FloatArray
    recall: FloatArray
    pictures: int
    persons: int
    results: int

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays as plain values that `json.dumps` takes; NaN becomes None."""
        return {
            "statistics": dict(self.statistics),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "groups": [asdict(group) for group in self.groups],
            "keypoints": [
                {name: None if value != value else value for name, value in asdict(keypoint).items()}
                for keypoint in self.keypoints
            ],
            "pictures": self.pictures,
            "persons": self.persons,
            "results": self.results,
        }


def six_scores(precision: FloatArray, recall: FloatArray, area: int) -> FloatArray:
    """(6, S) AP, AP50, AP75, AR, AR50, AR75 from mean precision and recall (S, T, C, A) of S samples."""
    return np.array(
        [
            _mean_of_known(values[:, thresholds, :, area])
            for values in (precision, recall)
            for thresholds in (slice(None), slice(0, 1), slice(5, 6))
        ]
    )


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Mean over all but the first axis of what is not -1; -1 where everything is."""
    flat = values.reshape(len(values), -1)
    known = flat > -1
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, flat, 0).sum(axis=1) / np.maximum(count, 1), -1.0)


def keypoint_scores(
    keypoints: KeypointSet, sigmas: FloatArray, truth: GroundTruth, results: Results, matches: _core.KeypointMatches
) -> Iterator[KeypointScores]:
    """The breakdown by keypoint, from the matches at the first OKS threshold and area range."""
    matched = matches.truth
    pairs = np.column_stack([matched, matches.rows])[matched >= 0]
    similarities = _core.keypoint_similarities(
        truth.keypoints, truth.areas, results.keypoints, np.ascontiguousarray(pairs), sigmas.tolist()
    )
    least, most = ALL_AREAS
    wanted = (truth.cells >= 0) & (truth.ignored == 0) & ~((truth.areas < least) | (truth.areas > most))
    labelled = np.count_nonzero(truth.keypoints[wanted, :, 2] > 0, axis=0)
    for k, name in enumerate(keypoints.names):
        values = similarities[:, k]
        values = values[~np.isnan(values)]
        yield KeypointScores(
            name,
            int(labelled[k]),
            len(values),
            float(values.mean()) if len(values) else float("nan"),
            float((values >= _GOOD).mean()) if len(values) else float("nan"),
        )
