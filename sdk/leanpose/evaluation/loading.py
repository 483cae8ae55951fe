"""Ground truth and results as flat columns, from COCO files, from what they hold, or from poses by picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _core
from ..oks import BOX_FILL
from ..results import Poses

FloatArray = npt.NDArray[np.float64]
FlagArray = npt.NDArray[np.uint8]
CellArray = npt.NDArray[np.int64]
PictureId: TypeAlias = int | str
TruthSource: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
ResultSource: TypeAlias = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Mapping[PictureId, Poses]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotated persons of a data set, ready to be evaluated against any number of times.

    A cell stands for one category in one picture: category index x pictures + picture index.

    Attributes:
        pictures: index of each picture id, in rising order of ids.
        categories: index of each category id, in rising order of ids.
        keypoints: (G, K, 3) float64 x, y in pixels and visibility, labelled above 0.
        boxes: (G, 4) float64 x, y, width, height in pixels.
        areas: (G,) float64 square pixels.
        ignored: (G,) uint8, 1 where a person counts neither as found nor as missed.
        crowd: (G,) uint8, 1 where several results may match.
        uncounted: (G,) uint8, 1 where a match takes the person but does not count as one.
        cells: (G,) int64 cell, -1 outside the listed pictures and categories.
    """

    pictures: dict[PictureId, int]
    categories: dict[int, int]
    keypoints: FloatArray
    boxes: FloatArray
    areas: FloatArray
    ignored: FlagArray
    crowd: FlagArray
    uncounted: FlagArray
    cells: CellArray

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """What the native core takes."""
        return self.keypoints, self.boxes, self.areas, self.ignored, self.crowd, self.uncounted, self.cells


@dataclass(frozen=True, eq=False)
class Results:
    """Predicted persons, ready to be evaluated.

    Attributes:
        keypoints: (D, K, 3) float64 x, y in pixels and score.
        scores: (D,) float64 score of the person.
        areas: (D,) float64 square pixels, which decide the area range that a false positive belongs to.
        cells: (D,) int64 cell as in `GroundTruth`, -1 in a category that the ground truth does not have.
    """

    keypoints: FloatArray
    scores: FloatArray
    areas: FloatArray
    cells: CellArray

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """What the native core takes."""
        return self.keypoints, self.scores, self.areas, self.cells


def load_ground_truth(
    source: TruthSource,
    num_keypoints: int = 17,
    *,
    box_areas: bool = False,
    zero_ids_count: bool = False,
    where: str = "ground truth",
) -> GroundTruth:
    """Read ground truth in COCO's keypoint format.

    Needed are ``images`` with ``id``, ``categories`` with ``id`` and ``annotations`` with ``id``, ``image_id``,
    ``category_id``, ``keypoints``, ``bbox`` and ``area``. ``iscrowd`` is 0 and ``num_keypoints`` the number of labelled
    keypoints where they are absent. As in pycocotools, crowds and persons of 0 ``num_keypoints`` are ignored,
    ``ignore`` has no effect, and of annotations with the same id the last stands for all.

    Args:
        source: path of a JSON file, or what it holds.
        num_keypoints: keypoints K of a person.
        box_areas: take 0.53 x width x height of the box as area, whatever ``area`` says.
        zero_ids_count: whether a match with an annotation of id 0 counts; in pycocotools it does not.
        where: how messages call a source that is not a path.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content is malformed; the message names the file, the entry and the field.
    """
    data, where = read_json(source, where)
    if not isinstance(data, Mapping):
        raise ValueError(f"{where}: expected an object with images, annotations and categories, got {_kind(data)}")
    images = entries_of(data, "images", where)
    pictures = _index(ids_of(images, "id", f"{where}: images"), f"{where}: images")
    categories = _index(
        ids_of(entries_of(data, "categories", where), "id", f"{where}: categories"), f"{where}: categories"
    )
    persons, at = entries_of(data, "annotations", where), f"{where}: annotations"
    ids = ids_of(persons, "id", at)
    for row, value in enumerate(ids):
        if isinstance(value, str):
            raise ValueError(f"{at}[{row}]: field 'id': expected a number, got {value!r:.80}")
    keypoints = _core.read_lists(persons, "keypoints", 3 * num_keypoints, at).reshape(-1, num_keypoints, 3)
    boxes = _core.read_lists(persons, "bbox", 4, at)
    labelled = np.count_nonzero(keypoints[..., 2] > 0, axis=1).tolist()
    crowd = _optional(persons, "iscrowd", [0] * len(persons), at)
    counted = _optional(persons, "num_keypoints", labelled, at)
    own_cells = _cells(persons, pictures, categories, at)
    truth = GroundTruth(
        pictures,
        categories,
        keypoints,
        boxes,
        BOX_FILL * boxes[:, 2] * boxes[:, 3] if box_areas else _core.read_numbers(persons, "area", at),
        ((counted == 0) | (crowd != 0)).astype(np.uint8),
        (np.trunc(crowd) != 0).astype(np.uint8),
        np.array([value == 0 and not zero_ids_count for value in ids], np.uint8),
        own_cells,
    )
    last = {value: row for row, value in enumerate(ids)}
    if len(last) == len(ids):
        return truth
    # pycocotools finds annotations by picture and then looks their ids up, which gives the last of each id
    listed = np.flatnonzero(own_cells >= 0)
    listed = listed[np.argsort(own_cells[listed] % len(pictures), kind="stable")]
    rows = np.array([last[ids[row]] for row in listed], np.int64)
    return GroundTruth(pictures, categories, *(np.ascontiguousarray(column[rows]) for column in truth.columns))


def load_results(source: ResultSource, truth: GroundTruth) -> Results:
    """Read results in COCO's keypoint format, for the pictures of a ground truth.

    Needed are ``image_id``, ``category_id``, ``keypoints`` and ``score``. As in pycocotools, a person's area is that of
    its ``bbox`` where the first result has one, else that of the box around its keypoints. There may be no results.

    Args:
        source: path of a JSON file, the list that it holds, or the poses by picture id; these are taken as
            `Poses.to_coco` writes them, in the category of the ground truth, or 1 where it has several.
        truth: what the results are evaluated against.

    Raises:
        OSError: the file cannot be read.
        TypeError: a value of a mapping is no `Poses`.
        ValueError: the content is malformed or names a picture that the ground truth does not have; the message names
            the file, the entry and the field.
    """
    if isinstance(source, Mapping):
        source = _from_poses(source, next(iter(truth.categories)) if len(truth.categories) == 1 else 1)
    data, where = read_json(source, "results")
    if not isinstance(data, Sequence) or isinstance(data, (str, bytes)):
        raise ValueError(f"{where}: expected a list of results, got {_kind(data)}")
    persons = list(data)
    num_keypoints = truth.keypoints.shape[1]
    keypoints = _core.read_lists(persons, "keypoints", 3 * num_keypoints, where).reshape(-1, num_keypoints, 3)
    scores = _core.read_numbers(persons, "score", where)
    if persons and "bbox" in persons[0] and persons[0]["bbox"] not in ([], ()):
        boxes = _core.read_lists(persons, "bbox", 4, where)
        areas = boxes[:, 2] * boxes[:, 3]
    elif persons and "segmentation" in persons[0]:
        raise ValueError(f"{where}[0]: a segmentation without bbox; give bbox, whose area counts, or leave both out")
    else:
        with np.errstate(invalid="ignore", over="ignore"):  # infinities give NaN, as they do in pycocotools
            areas = np.prod(np.ptp(keypoints[..., :2], axis=1), axis=1)
    return Results(keypoints, scores, areas, _cells(persons, truth.pictures, truth.categories, where, every=True))


def read_json(source: Any, name: str) -> tuple[Any, str]:
    """What a file holds, or the source itself, and how messages call it; ValueError where a file is not JSON."""
    if not isinstance(source, (str, os.PathLike)):
        return source, name
    path = Path(source)
    try:
        return json.loads(path.read_bytes()), str(path)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None


def entries_of(data: Mapping[str, Any], field: str, where: str) -> list[Any]:
    """The list in a field of the ground truth."""
    if field not in data:
        raise ValueError(f"{where}: field '{field}' is missing")
    entries = data[field]
    if not isinstance(entries, (list, tuple)):
        raise ValueError(f"{where}: field '{field}': expected a list, got {_kind(entries)}")
    return list(entries)


def ids_of(entries: list[Any], field: str, where: str) -> list[Any]:
    """The ids, numbers or strings, in one field of all entries."""
    try:
        ids = [entry[field] for entry in entries]
    except (KeyError, TypeError, IndexError):
        _core.read_numbers(entries, field, where)  # names what is missing
        raise ValueError(f"{where}: expected objects with '{field}'") from None
    for row, value in enumerate(ids):
        if not isinstance(value, (int, float, str, np.integer)):
            raise ValueError(f"{where}[{row}]: field '{field}': expected an id, got {value!r:.80}")
    return ids


def _from_poses(results: Mapping[Any, Poses], category: int) -> list[dict[str, Any]]:
    entries = []
    for picture, poses in results.items():
        if not isinstance(poses, Poses):
            raise TypeError(f"results: expected Poses by picture id, got {_kind(poses)} for picture {picture!r}")
        entries += poses.to_coco(picture, category)
    return entries


def _index(ids: list[Any], where: str) -> dict[Any, int]:
    """Place of each id in their rising order."""
    try:
        return {value: place for place, value in enumerate(sorted(set(ids)))}
    except TypeError:
        raise ValueError(f"{where}: expected ids that are all numbers or all strings, got both") from None


def _cells(
    entries: list[Any],
    pictures: Mapping[Any, int],
    categories: Mapping[Any, int],
    where: str,
    *,
    every: bool = False,
) -> CellArray:
    """Cell of each entry, -1 outside; ValueError where `every` picture must be known and one is not."""
    image_ids = ids_of(entries, "image_id", where)
    places = np.array([pictures.get(value, -1) for value in image_ids], np.int64)
    if every and (unknown := np.flatnonzero(places < 0)).size:
        row = int(unknown[0])
        raise ValueError(
            f"{where}[{row}]: field 'image_id': {image_ids[row]!r} is not the id of a picture in the ground truth"
        )
    kinds = np.array([categories.get(value, -1) for value in ids_of(entries, "category_id", where)], np.int64)
    return np.where((places < 0) | (kinds < 0), -1, kinds * len(pictures) + places)


def _optional(entries: list[Any], field: str, defaults: list[int], where: str) -> FloatArray:
    given = [{field: entry.get(field, default)} for entry, default in zip(entries, defaults, strict=True)]
    return _core.read_numbers(given, field, where)


def _kind(value: Any) -> str:
    return type(value).__name__
