"""COCO keypoint evaluation: AP and AR over OKS, equal to pycocotools, and what they are made of.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; https://cocodataset.org/#keypoints-eval
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..keypoints import COCO17, KeypointSet
from .loading import FloatArray, GroundTruth, Results, ResultSource, TruthSource, load_ground_truth, load_results

STATISTICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
AREAS = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels
OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)

_GOOD = 0.85  # similarity of a well placed keypoint (Ronchi and Perona, ICCV 2017)
_SAMPLES = 100  # of a bootstrap at once: bounds memory


@dataclass(frozen=True)
class AreaScores:
    """How well the persons of one area range are found; -1 where there are none.

    Attributes:
        name: "all", "medium" (32^2 to 96^2 square pixels) or "large" (above).
        persons: how many there are to be found.
        AP, AP50, AP75, AR, AR50, AR75: as in `CocoEvaluation.statistics`.
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
class CocoEvaluation:
    """What COCO's keypoint evaluation says of results.

    Attributes:
        statistics: the ten of COCO by name: AP (mean over OKS 0.5, 0.55 .. 0.95), AP50 and AP75 (at one OKS), APm and
            APl (medium and large persons), and likewise AR; in 0..1, -1 where nobody is to be found.
        intervals: 2.5 and 97.5 percentile of each statistic over resampled pictures; empty without a bootstrap.
        areas: the breakdown by size of the person.
        keypoints: the breakdown by keypoint.
        precision: (T, R, C, A) float64 interpolated precision by OKS threshold, recall, category and area range.
        recall: (T, C, A) float64 largest recall.
        pictures: number of pictures.
        persons: number of persons to be found.
        results: number of results that took part.
    """

    statistics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    areas: tuple[AreaScores, ...]
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
            "areas": [asdict(area) for area in self.areas],
            "keypoints": [
                {name: None if value != value else value for name, value in asdict(keypoint).items()}
                for keypoint in self.keypoints
            ],
            "pictures": self.pictures,
            "persons": self.persons,
            "results": self.results,
        }


def evaluate_coco(
    ground_truth: TruthSource | GroundTruth,
    results: ResultSource | Results,
    *,
    keypoints: KeypointSet = COCO17,
    sigmas: npt.ArrayLike | None = None,
    max_detections: int = 20,
    bootstrap: int = 0,
    seed: int = 0,
    threads: int = 1,
) -> CocoEvaluation:
    """Evaluate results against ground truth as COCO does.

    The statistics equal those of pycocotools, also in its corners: see docs/evaluation.md. Without results, precision
    and recall are 0.

    Args:
        ground_truth: path of a COCO file, what it holds, or what `load_ground_truth` made of it.
        results: path of a COCO results file, the list that it holds, `Poses` by picture id, or what `load_results` made
            of them for this ground truth.
        keypoints: the K keypoints that a person has; COCO's rules serve any set.
        sigmas: (K,) standard deviations of the keypoints instead of the set's.
        max_detections: best results of a picture that take part.
        bootstrap: how often to draw as many pictures with replacement, for the intervals; 0 for none.
        seed: of that drawing.
        threads: how many threads match and accumulate; the outcome does not depend on it.

    Raises:
        OSError: a file cannot be read.
        TypeError: an argument of the wrong type.
        ValueError: malformed ground truth, results or options; the message names what is wrong.
    """
    spread = checked_sigmas(keypoints, sigmas)
    check_count("max_detections", max_detections, 0)
    check_count("bootstrap", bootstrap, 0)
    check_count("threads", threads, 1)
    truth, found = load_both(ground_truth, results, len(keypoints))
    matches = match(truth, found, spread, list(AREAS.values()), max_detections, threads)
    precision, recall = matches.precision(RECALLS.tolist(), threads)
    means = precision.mean(axis=1)[None], recall[None]
    positives = matches.positives.sum(axis=(1, 2))
    return CocoEvaluation(
        dict(zip(STATISTICS, _statistics(*means)[:, 0].tolist(), strict=True)),
        _intervals(matches, len(truth.pictures), bootstrap, seed, threads) if bootstrap else {},
        tuple(
            AreaScores(name, int(positives[place]), *_in_area(*means, place)[:, 0].tolist())
            for place, name in enumerate(AREAS)
        ),
        tuple(keypoint_scores(keypoints, spread, truth, found, matches)),
        precision,
        recall,
        len(truth.pictures),
        int(positives[0]),
        len(matches.rows),
    )


def load_both(
    ground_truth: TruthSource | GroundTruth, results: ResultSource | Results, num_keypoints: int, **options: bool
) -> tuple[GroundTruth, Results]:
    """Both as columns, read where they are not yet."""
    truth = ground_truth
    if not isinstance(truth, GroundTruth):
        truth = load_ground_truth(truth, num_keypoints, **options)
    found = results if isinstance(results, Results) else load_results(results, truth)
    for name, columns in (("ground_truth", truth), ("results", found)):
        if columns.keypoints.shape[1] != num_keypoints:
            raise ValueError(
                f"{name}: expected {num_keypoints} keypoints, got loaded ones of {columns.keypoints.shape[1]}"
            )
    return truth, found


def match(
    truth: GroundTruth,
    results: Results,
    sigmas: FloatArray,
    areas: list[tuple[float, float]],
    max_detections: int,
    threads: int,
) -> _core.KeypointMatches:
    """Match results to persons at `OKS_THRESHOLDS`, in each of the area ranges."""
    cells = len(truth.categories), len(truth.pictures)
    return _core.KeypointMatches(
        truth.columns, results.columns, cells, sigmas.tolist(), OKS_THRESHOLDS.tolist(), areas, max_detections, threads
    )


def checked_sigmas(keypoints: KeypointSet, sigmas: npt.ArrayLike | None) -> FloatArray:
    """(K,) sigmas asked for, or the set's own; ValueError where they do not fit."""
    if sigmas is None:
        return np.array(keypoints.sigmas)
    given = np.asarray(sigmas)
    if given.dtype.kind not in "iuf" or given.shape != (len(keypoints),):
        raise ValueError(f"sigmas: expected {len(keypoints)} numbers, got {sigmas!r:.200}")
    spread = given.astype(np.float64)
    if not (np.isfinite(spread) & (spread > 0)).all():
        raise ValueError(f"sigmas: expected positive finite numbers, got {spread.tolist()}")
    return spread


def check_count(name: str, value: int, least: int) -> None:
    """TypeError or ValueError where an option is not an integer of at least so much."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {value!r:.80}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def mean_of_known(values: FloatArray) -> FloatArray:
    """Mean over all but the first axis of what is not -1; -1 where everything is."""
    flat = values.reshape(len(values), -1)
    known = flat > -1
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, flat, 0).sum(axis=1) / np.maximum(count, 1), -1.0)


def keypoint_scores(
    keypoints: KeypointSet, sigmas: FloatArray, truth: GroundTruth, results: Results, matches: _core.KeypointMatches
) -> Iterator[KeypointScores]:
    """The breakdown by keypoint, from the matches at the first OKS threshold and area range."""
    hit = matches.truth >= 0
    persons = matches.truth[hit]
    labels, found = truth.keypoints[persons], results.keypoints[matches.rows[hit]]
    with np.errstate(all="ignore"):  # what is not finite is told apart below
        distances = np.square(found[..., :2] - labels[..., :2]).sum(axis=2)
        sizes = (truth.areas[persons] + np.spacing(1))[:, None]
        similarity = np.exp(-distances / (2 * sizes * np.square(2 * sigmas)))
    similarity[~np.isfinite(similarity)] = 0.0
    least, most = AREAS["all"]
    wanted = (truth.cells >= 0) & (truth.ignored == 0) & ~((truth.areas < least) | (truth.areas > most))
    for k, name in enumerate(keypoints.names):
        values = similarity[labels[:, k, 2] > 0, k]
        yield KeypointScores(
            name,
            int(np.count_nonzero(truth.keypoints[wanted, k, 2] > 0)),
            len(values),
            float(values.mean()) if len(values) else float("nan"),
            float((values >= _GOOD).mean()) if len(values) else float("nan"),
        )


def percentiles(samples: Mapping[str, FloatArray]) -> dict[str, tuple[float, float]]:
    """2.5 and 97.5 percentile of each statistic over the samples in which it is known, -1 where it never is."""
    bounds = {}
    for name, values in samples.items():
        known = values[values > -1]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (-1.0, -1.0)
        bounds[name] = float(low), float(high)
    return bounds


def drawn_pictures(pictures: int, count: int, seed: int) -> Iterator[npt.NDArray[np.int32]]:
    """How often each of `count` samples holds each picture, some samples at a time, (S, pictures)."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, _SAMPLES):
        rows = [
            np.bincount(rng.integers(0, pictures, pictures), minlength=pictures) if pictures else np.zeros(0)
            for _ in range(min(_SAMPLES, count - start))
        ]
        yield np.array(rows, np.int32).reshape(len(rows), pictures)


def _intervals(
    matches: _core.KeypointMatches, pictures: int, count: int, seed: int, threads: int
) -> dict[str, tuple[float, float]]:
    parts = []
    for weights in drawn_pictures(pictures, count, seed):
        parts.append(_statistics(*matches.samples(weights, RECALLS.tolist(), threads)))
    return percentiles(dict(zip(STATISTICS, np.concatenate(parts, axis=1), strict=True)))


def _statistics(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """(10, S), the statistics of COCO in their order, from mean precision and recall (S, T, C, A) of S samples."""
    (ap, ap50, ap75, ar, ar50, ar75), medium, large = (_in_area(precision, recall, a) for a in range(len(AREAS)))
    return np.array([ap, ap50, ap75, medium[0], large[0], ar, ar50, ar75, medium[3], large[3]])


def _in_area(precision: FloatArray, recall: FloatArray, area: int) -> FloatArray:
    """(6, S) AP, AP50, AP75, AR, AR50, AR75."""
    return np.array(
        [
            mean_of_known(values[:, thresholds, :, area])
            for values in (precision, recall)
            for thresholds in (slice(None), slice(0, 1), slice(5, 6))
        ]
    )
