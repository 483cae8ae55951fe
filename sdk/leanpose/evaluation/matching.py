"""What evaluations by OKS share: their options, and matching results to persons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import _core
from ..keypoints import KeypointSet
from .loading import FloatArray, GroundTruth, Results

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
ALL_AREAS = (0.0, 1e10)  # square pixels


def match(
    truth: GroundTruth,
    results: Results,
    sigmas: FloatArray,
    areas: list[tuple[float, float]],
    max_detections: int,
    threads: int,
) -> _core.KeypointMatches:
    """Match results to persons at `OKS_THRESHOLDS`, in each of the area ranges."""
    for name, columns in (("ground_truth", truth), ("results", results)):
        if columns.keypoints.shape[1] != len(sigmas):
            raise ValueError(
                f"{name}: expected {len(sigmas)} keypoints, got loaded ones of {columns.keypoints.shape[1]}"
            )
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


def check_options(*, max_detections: int = 0, bootstrap: int = 0, threads: int = 1) -> None:
    """TypeError or ValueError where an option is not an integer in its range."""
    for name, value, least in (
        ("max_detections", max_detections, 0),
        ("bootstrap", bootstrap, 0),
        ("threads", threads, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name}: expected an integer, got {value!r:.80}")
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
