"""Poses and detections as objects of other packages, which are imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas
    import supervision

    from .detection import Detections
    from .results import Poses


def detections_to_supervision(detections: Detections) -> supervision.Detections:
    """See `Detections.to_supervision`."""
    package: Any = _package("supervision", "to_supervision")
    count = len(detections)
    made: supervision.Detections = package.Detections(
        xyxy=detections.boxes.copy(),
        confidence=detections.scores.copy(),
        class_id=np.zeros(count, np.int64),
        data={"class_name": np.full(count, "person")},
    )
    return made


def poses_to_supervision(poses: Poses) -> supervision.KeyPoints:
    """See `Poses.to_supervision`."""
    package: Any = _package("supervision", "to_supervision")
    if "keypoint_confidence" not in signature(package.KeyPoints).parameters:
        raise ImportError(
            f"to_supervision: supervision {package.__version__} is too old, its KeyPoints have no keypoint_confidence; "
            "install a newer one with pip install 'leanpose[supervision]'"
        )
    count = len(poses)
    found = np.isfinite(poses.xy[..., 0]) & np.isfinite(poses.xy[..., 1])
    data = {"class_name": np.full(count, "person")}
    if poses.track_ids is not None:
        data["tracker_id"] = poses.track_ids.copy()
    key_points: supervision.KeyPoints = package.KeyPoints(
        # Its annotators and boxes take 0, 0 for a missing keypoint.
        xy=np.where(found[..., None], poses.xy, 0),
        keypoint_confidence=np.where(found, poses.keypoint_scores, 0),
        detection_confidence=poses.scores.copy(),
        class_id=np.zeros(count, np.int64),
        data=data,
    )
    return key_points


def poses_to_dataframe(poses: Poses, frame: int | str | None) -> pandas.DataFrame:
    """See `Poses.to_dataframe`."""
    pd: Any = _package("pandas", "to_dataframe")
    if frame is not None and not np.isscalar(frame):  # a list would add rows to a table of nobody
        raise TypeError(f"frame: expected an integer or a string, got {frame!r:.80}")
    count, points = poses.keypoint_scores.shape
    track_ids = np.full(count, -1) if poses.track_ids is None else poses.track_ids
    names = pd.Categorical.from_codes(np.tile(np.arange(points), count), categories=list(poses.names))
    columns = {
        "person": np.repeat(np.arange(count), points),
        "track_id": pd.array(np.repeat(track_ids, points), dtype="Int64"),
        "person_score": np.repeat(poses.scores, points),
        "keypoint": names,
        "x": poses.xy[..., 0].ravel(),
        "y": poses.xy[..., 1].ravel(),
        "score": poses.keypoint_scores.ravel(),
    }
    table: pandas.DataFrame = pd.DataFrame(columns)
    table.loc[table["track_id"] < 0, "track_id"] = pd.NA
    if frame is not None:
        table.insert(0, "frame", frame)
    return table


def _package(name: str, method: str) -> Any:
    extra = {"pandas": "dataframe"}.get(name, name)
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{method}: the package {name} is not installed; install it with pip install 'leanpose[{extra}]'"
        ) from error
