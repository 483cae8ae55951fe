"""COCO keypoint evaluation, equal to pycocotools.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; https://cocodataset.org/#keypoints-eval
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..keypoints import COCO17, KeypointSet
from .bootstrap import drawn_pictures, intervals
from .loading import FloatArray, GroundTruth, Results, ResultSource, TruthSource, load_ground_truth, load_results
from .matching import ALL_AREAS, RECALLS, check_options, checked_sigmas, match
from .scores import GroupScores, OksEvaluation, keypoint_scores, six_scores

STATISTICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
AREAS = {"all": ALL_AREAS, "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels


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
) -> OksEvaluation:
    """Evaluate results against ground truth as COCO does.

    The statistics equal those of pycocotools, also in its corners: see docs/evaluation.md. Without results, precision
    and recall are 0. The groups are COCO's area ranges, APm and ARm those of medium persons (32^2 to 96^2 square
    pixels), APl and ARl those of large ones.

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
    check_options(max_detections=max_detections, bootstrap=bootstrap, threads=threads)
    truth = ground_truth if isinstance(ground_truth, GroundTruth) else load_ground_truth(ground_truth, len(keypoints))
    found = results if isinstance(results, Results) else load_results(results, truth)
    matches = match(truth, found, spread, list(AREAS.values()), max_detections, threads)
    precision, recall = matches.precision(RECALLS.tolist(), threads)
    by_area = _by_area(precision.mean(axis=1)[None], recall[None])[..., 0]
    persons = matches.positives.sum(axis=(1, 2))
    samples = [
        _statistics(_by_area(*matches.samples(weights, RECALLS.tolist(), threads)))
        for weights in drawn_pictures(len(truth.pictures), bootstrap, seed)
    ]
    return OksEvaluation(
        dict(zip(STATISTICS, _statistics(by_area).tolist(), strict=True)),
        intervals(STATISTICS, samples) if samples else {},
        tuple(GroupScores(name, int(persons[a]), *by_area[a].tolist()) for a, name in enumerate(AREAS)),
        tuple(keypoint_scores(keypoints, spread, truth, found, matches)),
        precision,
        recall,
        len(truth.pictures),
        int(persons[0]),
        len(matches.rows),
    )


def _by_area(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """(A, 6, S) AP, AP50, AP75, AR, AR50, AR75 of S samples, from mean precision and recall (S, T, C, A)."""
    return np.array([six_scores(precision, recall, area) for area in range(len(AREAS))])


def _statistics(by_area: FloatArray) -> FloatArray:
    """The ten of COCO in their order, (10, ...) from (A, 6, ...)."""
    (ap, ap50, ap75, ar, ar50, ar75), medium, large = by_area
    return np.array([ap, ap50, ap75, medium[0], large[0], ar, ar50, ar75, medium[3], large[3]])
