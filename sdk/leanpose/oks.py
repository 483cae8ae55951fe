"""Object keypoint similarity (OKS) between poses, and the suppression of duplicate poses by it.

OKS is COCO's measure of how close two poses are, the mean over keypoints of exp(-d^2 / (2 area (2 sigma)^2)); see Lin
et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and https://cocodataset.org/#keypoints-eval.

Where an area is not given, a box stands for 0.53 x width x height, about the part of its box that a person's outline
fills; the field takes the same where a data set has no outlines.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import _core
from .keypoints import COCO17, KeypointSet
from .results import Poses

BOX_FILL = 0.53  # part of a box that counts as the person's area

FloatArray = npt.NDArray[np.float64]
Sigmas = KeypointSet | npt.ArrayLike | None


def oks_matrix(
    poses: Poses | npt.ArrayLike,
    references: Poses | npt.ArrayLike,
    *,
    areas: npt.ArrayLike | None = None,
    boxes: npt.ArrayLike | None = None,
    sigmas: Sigmas = None,
) -> FloatArray:
    """OKS of N poses with M references, as COCO measures detections against ground truth.

    The mean runs over the labelled keypoints of the reference: those with a visibility above 0 and without NaN. A
    reference without any is compared by the distance of the keypoints to its doubled box. A keypoint of a pose that is
    NaN has similarity 0.

    Args:
        poses: N poses, or (N, K, 2 or 3) keypoint x, y in pixels of the picture; a third value does not matter.
        references: M poses, or (M, K, 2) keypoint x, y, or (M, K, 3) x, y, visibility, in pixels of the same picture.
        areas: (M,) areas of the references in square pixels, which scale the distances; else those of their boxes.
        boxes: (M, 4) x1, y1, x2, y2 of the references in pixels; the boxes of a `Poses` where not given.
        sigmas: (K,) standard deviations, or the set that has them; else those of `references` or `poses`, or COCO's.

    Returns:
        (N, M) float64 in 0..1.

    Raises:
        TypeError: not arrays of numbers.
        ValueError: wrong or disagreeing shapes, neither areas nor boxes, a value that is out of range.
    """
    spread = _sigmas(sigmas, references, poses)
    if isinstance(references, Poses):
        boxes = references.boxes if boxes is None else boxes
    truth = _poses("references", references, len(spread))
    if truth.shape[2] == 2:
        truth = np.concatenate([truth, np.ones((*truth.shape[:2], 1))], axis=2)
    labelled = (truth[..., 2] > 0) & ~np.isnan(truth[..., :2]).any(axis=2)
    truth = np.where(labelled[..., None], truth, 0.0)
    if not np.isfinite(truth).all():
        raise ValueError("references: expected finite numbers, or NaN where a keypoint is not labelled, got infinity")
    size, corners = _areas("reference", len(truth), areas, boxes)
    if corners is None and not (seen := labelled.any(axis=1)).all():
        raise ValueError(
            f"references: row {int(np.argmin(seen))} has no labelled keypoint; pass boxes, which then stand in for it"
        )
    xywh = np.zeros((len(truth), 4)) if corners is None else corners.copy()
    xywh[:, 2:] -= xywh[:, :2]
    found = _poses("poses", poses, len(spread))[..., :2]
    return _core.oks_matrix(np.where(np.isnan(found), np.inf, found), truth, xywh, size, spread)


def oks_nms(
    poses: Poses | npt.ArrayLike,
    scores: npt.ArrayLike | None = None,
    *,
    threshold: float = 0.9,
    areas: npt.ArrayLike | None = None,
    boxes: npt.ArrayLike | None = None,
    sigmas: Sigmas = None,
) -> npt.NDArray[np.int64]:
    """Rows of the poses that stay when those go that resemble a better one: greedy suppression by OKS.

    The pose of the highest score stays and all whose OKS with it is above the threshold go, then the next that is left,
    and so on. The OKS of two poses takes the mean of their areas and the keypoints that both have (NaN: not found); it
    is 0 where there are none. Of equal scores the earlier row goes first; NaN scores come last.

    Args:
        poses: N poses, or (N, K, 2 or 3) keypoint x, y in pixels of the picture; a third value does not matter.
        scores: (N,) scores of the poses; those of `Poses` where not given.
        threshold: OKS above which a pose is a duplicate.
        areas: (N,) areas in square pixels; else those of the boxes.
        boxes: (N, 4) x1, y1, x2, y2 in pixels; those of `Poses` where not given.
        sigmas: (K,) standard deviations, or the set that has them; else those of `poses`, or COCO's.

    Returns:
        (M,) rows by falling score: ``poses[oks_nms(poses)]``.

    Raises:
        TypeError: not arrays of numbers.
        ValueError: wrong or disagreeing shapes, neither areas nor boxes, a value that is out of range.
    """
    _positive("threshold", threshold)
    return _core.oks_nms(*_scored(poses, scores, areas, boxes, sigmas), threshold)


def soft_oks_nms(
    poses: Poses | npt.ArrayLike,
    scores: npt.ArrayLike | None = None,
    *,
    threshold: float = 0.9,
    decay: Literal["gaussian", "linear"] = "gaussian",
    max_poses: int = 20,
    areas: npt.ArrayLike | None = None,
    boxes: npt.ArrayLike | None = None,
    sigmas: Sigmas = None,
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Rows of the best poses and their scores, which fall with every better pose that they resemble.

    The pose of the highest score is taken; the scores s of the others become s exp(-OKS^2 / threshold) ("gaussian"), or
    s (1 - OKS) where OKS >= threshold ("linear"); and so on with those left. OKS, ties and NaN are as in `oks_nms`.

    Args:
        poses, scores, areas, boxes, sigmas: as in `oks_nms`.
        threshold: how wide the gaussian is, or where the linear decay starts.
        decay: "gaussian" or "linear".
        max_poses: how many poses are taken at most.

    Returns:
        (M,) rows in the order in which they were taken, and (M,) their scores by then.

    Raises:
        TypeError: not arrays of numbers.
        ValueError: wrong or disagreeing shapes, neither areas nor boxes, a value that is out of range.
    """
    _positive("threshold", threshold)
    if max_poses < 0:
        raise ValueError(f"max_poses: expected at least 0, got {max_poses}")
    return _core.soft_oks_nms(*_scored(poses, scores, areas, boxes, sigmas), threshold, decay, max_poses)


def _scored(
    poses: Poses | npt.ArrayLike,
    scores: npt.ArrayLike | None,
    areas: npt.ArrayLike | None,
    boxes: npt.ArrayLike | None,
    sigmas: Sigmas,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    spread = _sigmas(sigmas, poses)
    if isinstance(poses, Poses):
        scores = poses.scores if scores is None else scores
        boxes = poses.boxes if boxes is None else boxes
    if scores is None:
        raise ValueError("scores: expected one score for each pose, got none")
    found = _poses("poses", poses, len(spread))[..., :2]
    return found, _numbers("scores", scores, (len(found),)), _areas("pose", len(found), areas, boxes)[0], spread


def _sigmas(sigmas: Sigmas, *sources: Any) -> FloatArray:
    """The standard deviations asked for, else those that the sources have, else COCO's where the number fits."""
    if isinstance(sigmas, KeypointSet):
        return np.array(sigmas.sigmas)
    if sigmas is not None:
        spread = _numbers("sigmas", sigmas, None)
        if spread.ndim != 1 or not (np.isfinite(spread) & (spread > 0)).all():
            raise ValueError(f"sigmas: expected positive finite numbers of shape (K,), got {spread.tolist()}")
        return spread
    for source in sources:
        if isinstance(source, Poses):
            return np.array(source.keypoints.sigmas)
    if all(np.ndim(source) == 3 and np.shape(source)[1] == len(COCO17) for source in sources):
        return np.array(COCO17.sigmas)
    raise ValueError(
        f"sigmas: expected one for each keypoint where the poses do not have COCO's {len(COCO17)} keypoints, got none"
    )


def _poses(name: str, given: Poses | npt.ArrayLike, count: int) -> FloatArray:
    array = _numbers(name, given.xy if isinstance(given, Poses) else given, None)
    if array.ndim != 3 or array.shape[1] != count or array.shape[2] not in (2, 3):
        raise ValueError(f"{name}: expected shape (N, K, 2) or (N, K, 3) with K = {count}, got {array.shape}")
    return array


def _areas(
    whose: str, count: int, areas: npt.ArrayLike | None, boxes: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray | None]:
    corners = None if boxes is None else _numbers("boxes", boxes, (count, 4))
    if corners is not None and not (np.isfinite(corners).all() and (corners[:, 2:] >= corners[:, :2]).all()):
        raise ValueError(f"boxes: expected finite x1 <= x2 and y1 <= y2, got {corners.tolist()}")
    if areas is not None:
        size = _numbers("areas", areas, (count,))
    elif corners is not None:
        size = BOX_FILL * np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    else:
        raise ValueError(f"areas: expected the area or the box of each {whose}, got neither areas nor boxes")
    if not (np.isfinite(size) & (size >= 0)).all():
        raise ValueError(f"areas: expected finite square pixels of at least 0, got {size.tolist()}")
    return size, corners


def _numbers(name: str, given: npt.ArrayLike, shape: tuple[int, ...] | None) -> FloatArray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of numbers, got rows of different lengths") from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}: expected an array of numbers, got dtype {array.dtype}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array.astype(np.float64)


def _positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, got {value!r}")
