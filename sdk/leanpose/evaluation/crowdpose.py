"""CrowdPose evaluation: AP over OKS, also by how crowded a picture is.

Li et al., "CrowdPose: Efficient Crowded Scenes Pose Estimation and A New Benchmark", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .. import _core
from ..keypoints import CROWDPOSE14, KeypointSet
from .bootstrap import drawn_pictures, intervals
from .loading import FloatArray, ResultSource, TruthSource, entries_of, load_ground_truth, load_results, read_json
from .matching import ALL_AREAS, RECALLS, check_options, checked_sigmas, match
from .scores import GroupScores, OksEvaluation, keypoint_scores, six_scores

STATISTICS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "APeasy", "APmedium", "APhard")
LEVELS = ("all", "easy", "medium", "hard")


def evaluate_crowdpose(
    ground_truth: TruthSource,
    results: ResultSource,
    *,
    keypoints: KeypointSet = CROWDPOSE14,
    sigmas: npt.ArrayLike | None = None,
    crowd_limits: tuple[float, float] = (0.1, 0.8),
    max_detections: int = 20,
    bootstrap: int = 0,
    seed: int = 0,
    threads: int = 1,
) -> OksEvaluation:
    """Evaluate results against ground truth as CrowdPose does.

    Differs from COCO: a person's area is 0.53 x width x height of its box, there are no area ranges, results whose
    keypoint scores are all 0 do not take part, and an annotation of id 0 counts like any other. The groups are the
    pictures whose ``crowdIndex`` is below the first limit (easy), below the second (medium) and the others (hard). The
    limits are those of the paper; its evaluation code, and with it most published figures, has (0.2, 0.8).

    Args:
        ground_truth: path of a CrowdPose file, or what it holds: COCO's format with ``crowdIndex`` in each image.
        results: path of a COCO results file, the list that it holds, or `Poses` by picture id.
        keypoints: the K keypoints that a person has.
        sigmas: (K,) standard deviations of the keypoints instead of the set's.
        crowd_limits: crowd index where medium starts, and where hard starts.
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
    first, second = crowd_limits
    if not first <= second:
        raise ValueError(f"crowd_limits: expected two rising numbers, got {crowd_limits!r}")
    data, where = read_json(ground_truth, "ground truth")
    truth = load_ground_truth(data, len(keypoints), box_areas=True, zero_ids_count=True, where=where)
    levels = _levels(data, where, truth.pictures, crowd_limits)
    found = load_results(results, truth)
    found.cells[~(found.keypoints[..., 2] > 0).any(axis=1)] = -1
    matches = match(truth, found, spread, [ALL_AREAS], max_detections, threads)
    precision, recall = matches.precision(RECALLS.tolist(), threads)
    by_level = _by_level(matches, levels[None], threads)[..., 0]
    persons = levels @ matches.positives[0].sum(axis=0)
    samples = [
        _statistics(_by_level(matches, weights[:, None] * levels, threads))
        for weights in drawn_pictures(len(truth.pictures), bootstrap, seed)
    ]
    return OksEvaluation(
        dict(zip(STATISTICS, _statistics(by_level).tolist(), strict=True)),
        intervals(STATISTICS, samples) if samples else {},
        tuple(GroupScores(name, int(persons[level]), *by_level[level].tolist()) for level, name in enumerate(LEVELS)),
        tuple(keypoint_scores(keypoints, spread, truth, found, matches)),
        precision,
        recall,
        len(truth.pictures),
        int(persons[0]),
        len(matches.rows),
    )


def _levels(
    data: Mapping[str, object], where: str, pictures: Mapping[int | str, int], limits: tuple[float, float]
) -> npt.NDArray[np.int32]:
    """(4, pictures), 1 where a picture belongs to all, easy, medium, hard."""
    images = entries_of(data, "images", where)
    values = _core.read_numbers(images, "crowdIndex", f"{where}: images")
    index = np.zeros(len(pictures))
    for image, value in zip(images, values, strict=True):
        if value != value:
            raise ValueError(f"{where}: image {image['id']!r}: field 'crowdIndex' is NaN; expected a number in 0..1")
        index[pictures[image["id"]]] = value
    easy, hard = index < limits[0], index >= limits[1]
    return np.array([np.ones(len(index)), easy, ~(easy | hard), hard], np.int32)


def _by_level(matches: _core.KeypointMatches, weights: npt.NDArray[np.int32], threads: int) -> FloatArray:
    """(4, 6, S) AP, AP50, AP75, AR, AR50, AR75 of each level, from the weights (S, 4, pictures) of S samples."""
    flat = weights.reshape(-1, weights.shape[-1])
    scores = six_scores(*matches.samples(flat, RECALLS.tolist(), threads), 0)
    return scores.reshape(6, len(weights), len(LEVELS)).transpose(2, 0, 1)


def _statistics(by_level: FloatArray) -> FloatArray:
    """Those of CrowdPose in their order, (9, ...) from (4, 6, ...)."""
    return np.concatenate([by_level[0], by_level[1:, 0]])
