"""MPII evaluation: PCKh, the share of joints within half a head of where they belong.

Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis", CVPR 2014.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..keypoints import MPII16
from ..results import Poses
from .bootstrap import drawn_pictures, intervals
from .loading import FloatArray, PictureId, TruthSource, entries_of, ids_of, read_json
from .matching import check_options

# Groups of joints as papers list them, each the mean of its joints; "Mean" runs over all joints but pelvis and thorax.
GROUPS = {
    "Head": ("head_top",),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}
STATISTICS = (*GROUPS, "Mean", "Mean@0.1")
HEAD_PART = 0.6  # of the diagonal of the head box is the head size, as in MPII's own code

_GROUP_JOINTS = [[MPII16.names.index(name) for name in names] for names in GROUPS.values()]
_IN_MEAN = [k for k, name in enumerate(MPII16.names) if name not in ("pelvis", "thorax")]

MpiiResultSource = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Mapping[PictureId, Poses]


@dataclass(frozen=True)
class JointScores:
    """How often one joint is where it belongs; -1 where it is never labelled.

    Attributes:
        name: of the joint.
        labelled: in how many persons it is labelled.
        PCKh, PCKh01: share of those in which it lies within 0.5, within 0.1 of the head size.
    """

    name: str
    labelled: int
    PCKh: float
    PCKh01: float


@dataclass(frozen=True)
class MpiiEvaluation:
    """What MPII's evaluation says of results.

    Attributes:
        statistics: PCKh at half a head size of "Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee" and "Ankle", each
            the plain mean of its left and right joint; "Mean" and, at a tenth of a head size, "Mean@0.1": of all
            labelled joints but pelvis and thorax, so that each joint weighs as much as it has labels. In 0..1, -1 where
            nothing is labelled.
        intervals: 2.5 and 97.5 percentile of each statistic over resampled pictures; empty without a bootstrap.
        joints: the sixteen joints.
        persons: number of persons.
        results: number of persons that have a result; the joints of the others count as missed.
    """

    statistics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    joints: tuple[JointScores, ...]
    persons: int
    results: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that `json.dumps` takes."""
        return asdict(self)


def evaluate_mpii(
    ground_truth: TruthSource, results: MpiiResultSource, *, bootstrap: int = 0, seed: int = 0
) -> MpiiEvaluation:
    """Evaluate results against ground truth as MPII does.

    A joint is right where its distance to the label is at most half the head size, which is 0.6 of the diagonal of the
    head box. Joints count where they are labelled (visibility above 0).

    Args:
        ground_truth: path of a JSON file, or what it holds: ``annotations`` in COCO's format, each with ``id``,
            ``image_id``, 16 ``keypoints`` in the order of `MPII16` and ``head_box`` as x1, y1, x2, y2 in pixels.
        results: path of a COCO results file, or the list that it holds: each with ``keypoints`` and the id of its
            person as ``annotation_id`` or, where the picture has one person, ``image_id``. Or `Poses` by picture id,
            their persons in the order of the annotations. Scores do not matter.
        bootstrap: how often to draw as many pictures with replacement, for the intervals; 0 for none.
        seed: of that drawing.

    Raises:
        OSError: a file cannot be read.
        TypeError: an argument of the wrong type.
        ValueError: malformed ground truth or results, two results for one person; the message names what is wrong.
    """
    check_options(bootstrap=bootstrap)
    data, where = read_json(ground_truth, "ground truth")
    if not isinstance(data, Mapping):
        raise ValueError(f"{where}: expected an object with annotations, got {type(data).__name__}")
    persons, at = entries_of(data, "annotations", where), f"{where}: annotations"
    ids, pictures = ids_of(persons, "id", at), ids_of(persons, "image_id", at)
    if len(set(ids)) < len(ids):
        raise ValueError(f"{at}: expected every id once, got {len(ids) - len(set(ids))} repeated")
    labels = _core.read_lists(persons, "keypoints", 3 * len(MPII16), at).reshape(-1, len(MPII16), 3)
    boxes = _core.read_lists(persons, "head_box", 4, at)
    sizes = HEAD_PART * np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    if (bad := np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0)))).size:
        row = int(bad[0])
        raise ValueError(f"{at}[{row}]: field 'head_box': expected x1 < x2 and y1 < y2, got {boxes[row].tolist()}")

    found = np.full((len(persons), len(MPII16), 2), np.nan)
    rows, predicted = _predictions(results, ids, pictures)
    found[rows] = predicted
    labelled = labels[..., 2] > 0
    with np.errstate(invalid="ignore", over="ignore"):
        distances = np.hypot(*np.moveaxis(found - labels[..., :2], 2, 0)) / sizes[:, None]
        right = np.array([labelled, labelled & (distances <= 0.5), labelled & (distances <= 0.1)], np.float64)

    places = {picture: place for place, picture in enumerate(dict.fromkeys(pictures))}
    by_picture = np.zeros((len(places), 3, len(MPII16)))
    np.add.at(by_picture, [places[picture] for picture in pictures], right.transpose(1, 0, 2))
    totals = by_picture.sum(axis=0)
    samples = [
        _statistics(np.tensordot(weights.astype(np.float64), by_picture, 1))
        for weights in drawn_pictures(len(places), bootstrap, seed)
    ]
    shares = _shares(totals[1:], totals[0])
    return MpiiEvaluation(
        dict(zip(STATISTICS, _statistics(totals[None])[:, 0].tolist(), strict=True)),
        intervals(STATISTICS, samples) if samples else {},
        tuple(
            JointScores(name, int(totals[0, k]), float(shares[0, k]), float(shares[1, k]))
            for k, name in enumerate(MPII16.names)
        ),
        len(persons),
        len(rows),
    )


def _statistics(totals: FloatArray) -> FloatArray:
    """(9, S) statistics from the joints that are labelled, right and right within a tenth: (S, 3, K)."""
    labelled, half, tenth = totals.transpose(1, 0, 2)
    shares = _shares(half, labelled)
    rows = []
    for joints in _GROUP_JOINTS:
        known = shares[:, joints] > -1
        total = np.where(known, shares[:, joints], 0).sum(axis=1)
        rows.append(_shares(total, known.sum(axis=1)))
    wanted = labelled[:, _IN_MEAN].sum(axis=1)
    return np.array([*rows, *(_shares(right[:, _IN_MEAN].sum(axis=1), wanted) for right in (half, tenth))])


def _shares(part: FloatArray, whole: npt.NDArray[Any]) -> FloatArray:
    """part / whole, -1 where whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), -1.0)


def _predictions(source: MpiiResultSource, ids: list[Any], pictures: list[Any]) -> tuple[list[int], FloatArray]:
    """Rows of the persons that have a result, and the (N, K, 2) keypoints of those."""
    by_picture: dict[Any, list[int]] = {}
    for row, picture in enumerate(pictures):
        by_picture.setdefault(picture, []).append(row)
    if isinstance(source, Mapping):
        return _from_poses(source, by_picture)
    data, where = read_json(source, "results")
    if not isinstance(data, Sequence) or isinstance(data, (str, bytes)):
        raise ValueError(f"{where}: expected a list of results, got {type(data).__name__}")
    entries = list(data)
    predicted = _core.read_lists(entries, "keypoints", 3 * len(MPII16), where).reshape(-1, len(MPII16), 3)[..., :2]
    row_of = {value: row for row, value in enumerate(ids)}
    rows: list[int] = []
    taken: set[int] = set()
    for number, entry in enumerate(entries):
        if "annotation_id" in entry:
            name, value = "annotation_id", ids_of([entry], "annotation_id", where)[0]
            candidates = [row_of[value]] if value in row_of else []
        else:
            name, value = "image_id", ids_of([entry], "image_id", where)[0]
            candidates = by_picture.get(value, [])
        if len(candidates) != 1:
            problem = "is not in the ground truth" if not candidates else "has several persons; give annotation_id"
            raise ValueError(f"{where}[{number}]: field '{name}': {value!r} {problem}")
        if candidates[0] in taken:
            raise ValueError(f"{where}[{number}]: a second result for person {ids[candidates[0]]!r}; expected one each")
        taken.add(candidates[0])
        rows += candidates
    return rows, predicted


def _from_poses(poses: Mapping[Any, Any], by_picture: Mapping[Any, list[int]]) -> tuple[list[int], FloatArray]:
    rows: list[int] = []
    parts = [np.empty((0, len(MPII16), 2))]
    for picture, found in poses.items():
        if not isinstance(found, Poses) or len(found.keypoints) != len(MPII16):
            raise TypeError(f"results: expected Poses of {len(MPII16)} keypoints by picture id, got {found!r:.80}")
        if len(found) != len(by_picture.get(picture, ())):
            raise ValueError(
                f"results: picture {picture!r}: expected one pose for each of its "
                f"{len(by_picture.get(picture, ()))} annotated persons, in their order, got {len(found)}"
            )
        rows += by_picture.get(picture, [])
        parts.append(found.xy.astype(np.float64))
    return rows, np.concatenate(parts)
