"""pycocotools as the reference of COCO evaluation, and hostile data sets to compare on."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Json = dict[str, Any]


def reference(
    truth: Json, results: list[Json], sigmas: tuple[float, ...] | None = None, max_detections: int = 20
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The ten statistics, precision (T, R, C, A) and recall (T, C, A) of pycocotools; it has statistics for 20 only."""
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        ground_truth = COCO()
        ground_truth.dataset = copy.deepcopy(truth)
        ground_truth.createIndex()
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(copy.deepcopy(results)), "keypoints")
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
        if max_detections == 20:
            evaluation.summarize()
    found = evaluation.eval
    return np.array(evaluation.stats), found["precision"][..., 0], found["recall"][..., 0]


def data_set(seed: int, num_keypoints: int = 17) -> tuple[Json, list[Json]]:
    """A small random data set with what makes evaluation hard; which of it appears depends on the seed, too."""
    rng = np.random.default_rng(seed)

    def sometimes(share: float) -> bool:
        return bool(rng.random() < share)

    crowds, ties, nan, strange_ids, exact = (sometimes(0.4) for _ in range(5))
    categories = [1] if sometimes(0.7) else [7, 1, 3]
    pictures = rng.permutation(40)[: rng.integers(1, 7)].tolist()
    side = float(rng.choice([15, 40, 120, 400]))
    persons: list[Json] = []
    for picture in [*pictures, *([99] if strange_ids else [])]:
        for _ in range(rng.integers(0, 9 if sometimes(0.3) else 4)):
            place = rng.uniform(0, 2 * side, 2)
            size = side * rng.uniform(0.3, 2, 2)
            visibility = rng.choice([0, 1, 2], num_keypoints) * (not sometimes(0.15))
            joints = np.column_stack([place + rng.random((num_keypoints, 2)) * size, visibility])
            joints = np.round(joints) if sometimes(0.5) else joints
            if nan and sometimes(0.1):
                joints[rng.integers(num_keypoints), 0] = np.nan
            persons.append(
                {
                    "id": len(persons) + (not strange_ids),
                    "image_id": picture,
                    "category_id": int(rng.choice([*categories, 5] if strange_ids else categories)),
                    "keypoints": joints.ravel().tolist(),
                    "num_keypoints": int((visibility > 0).sum()) if sometimes(0.9) else 0,
                    "bbox": [*place.tolist(), *size.tolist()],
                    "area": float(rng.choice([np.prod(size) / 2, 32.0**2, 96.0**2, 0.0]))
                    if ties
                    else np.prod(size) / 2,
                    "iscrowd": int(crowds and sometimes(0.3)),
                    "ignore": int(sometimes(0.2)),
                }
            )
            if strange_ids and sometimes(0.2):
                persons[-1]["id"] = int(rng.choice([0, 1, 2]))
    truth = {
        "images": [{"id": picture} for picture in pictures],
        "categories": [{"id": category, "name": str(category)} for category in categories],
        "annotations": persons,
    }
    results: list[Json] = []
    with_boxes = sometimes(0.5)
    known = [person for person in persons if person["image_id"] in pictures]
    for _ in range(rng.integers(1, 80 if sometimes(0.2) else 20)):
        joints = rng.uniform(0, 3 * side, (num_keypoints, 3))
        picture = int(rng.choice(pictures))
        if known and sometimes(0.8):
            person = known[rng.integers(len(known))]
            joints = np.reshape(person["keypoints"], (num_keypoints, 3)).copy()
            if not exact:
                joints[:, :2] += rng.normal(0, side * rng.choice([0.01, 0.05, 0.2]), (num_keypoints, 2))
            picture = person["image_id"]
        if nan and sometimes(0.1):
            joints[rng.integers(num_keypoints), 1] = rng.choice([np.nan, np.inf])
        score = float(rng.choice([0.25, 0.5, 0.75])) if ties else float(rng.random())
        results.append(
            {
                "image_id": picture,
                "category_id": int(rng.choice([*categories, 5])),
                "keypoints": joints.ravel().tolist(),
                "score": float("nan") if nan and sometimes(0.1) else score,
                **({"bbox": [0, 0, *(side * rng.uniform(0.3, 2, 2)).tolist()]} if with_boxes else {}),
            }
        )
    return truth, results
