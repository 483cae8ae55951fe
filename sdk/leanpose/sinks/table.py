"""CSV: one row per person and keypoint."""

from __future__ import annotations

import csv
import io
import os

import numpy as np

from ..results import Poses
from ..sources import Frame
from .base import TextSink

CSV_COLUMNS = ("frame", "time", "name", "person", "track_id", "person_score", "keypoint", "x", "y", "score")


class CsvSink(TextSink):
    """A CSV file (RFC 4180, UTF-8) with a row per frame, person and keypoint, and a first row of column names.

    ``frame``, ``time`` (seconds) and ``name`` are those of the frame; ``person`` counts the persons of a frame from 0;
    ``track_id`` is empty where there is none; ``person_score`` is as `Poses.scores`; ``keypoint`` is a name, ``x``,
    ``y`` (pixels) and ``score`` are empty where they are NaN. Numbers read back as float32 are the same. Boxes are in
    the JSON. `Poses.to_dataframe` has the same columns but ``time`` and ``name``.

    Args:
        path: the file; what lies there is replaced.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.append(",".join(CSV_COLUMNS) + "\r\n")

    def write(self, frame: Frame, poses: Poses) -> None:
        """Add the rows of a frame; one without persons has none."""
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        triples = np.concatenate([poses.xy, poses.keypoint_scores[..., None]], axis=2)
        texts = np.where(np.isnan(triples), "", triples.astype(str)).tolist()
        scores = poses.scores.astype(str).tolist()
        for person, keypoints in enumerate(texts):
            track_id = None if poses.track_ids is None or poses.track_ids[person] < 0 else int(poses.track_ids[person])
            start = (frame.index, frame.time, frame.name, person, track_id, scores[person])
            writer.writerows((*start, name, *values) for name, values in zip(poses.names, keypoints, strict=True))
        self.append(lines.getvalue())
