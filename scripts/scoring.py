"""COCO keypoint AP of results, and how sure it is."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

STATISTICS = ("AP", "AP50", "AP75", "APm", "APl", "AR")


def load_truth(folder: Path) -> COCO:
    """The annotations of a COCO-format folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "annotations.json"))


def labelled_persons(truth: COCO, picture: int) -> list[dict[str, Any]]:
    """The annotations of a picture's persons with keypoints."""
    annotations = truth.loadAnns(truth.getAnnIds(imgIds=picture))
    return [a for a in annotations if a["num_keypoints"] > 0 and not a["iscrowd"]]


def ground_truth_boxes(truth: COCO) -> dict[int, list[list[float]]]:
    """Boxes xyxy of the persons with keypoints, in the order of `labelled_persons`, by picture that has any."""
    found = {}
    for picture in truth.getImgIds():
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in labelled_persons(truth, picture))]
        if boxes:
            found[picture] = boxes
    return found


def score(truth: COCO, results: list[dict[str, Any]], resamplings: int) -> dict[str, Any]:
    """COCO statistics and the 95 % bootstrap interval of AP over pictures."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = dict(zip(STATISTICS, map(float, evaluation.stats[:6]), strict=True))
    return {**stats, "interval": bootstrap(evaluation, resamplings) if resamplings else None}


def bootstrap(evaluation: COCOeval, resamplings: int) -> tuple[float, float]:
    """2.5 and 97.5 percentiles of AP over pictures drawn with replacement; matches in a picture stay as they are."""
    everything = next(i for i, label in enumerate(evaluation.params.areaRngLbl) if label == "all")
    count = len(evaluation.params.imgIds)
    matched = evaluation.evalImgs[everything * count : (everything + 1) * count]
    rng = np.random.default_rng(0)
    values = [average_precision([matched[i] for i in rng.integers(0, count, count)]) for _ in range(resamplings)]
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


def average_precision(matched: list[dict[str, Any] | None]) -> float:
    """AP of COCO from per-picture matches: precision interpolated at 101 recalls, mean over the OKS thresholds."""
    pictures = [m for m in matched if m is not None]
    positives = sum(int((1 - np.asarray(m["gtIgnore"])).sum()) for m in pictures)
    if not positives:
        return 0.0
    order = np.argsort(-np.concatenate([m["dtScores"] for m in pictures]), kind="mergesort")
    hits = np.concatenate([m["dtMatches"] for m in pictures], 1)[:, order] > 0
    ignored = np.concatenate([m["dtIgnore"] for m in pictures], 1)[:, order].astype(bool)
    true = np.cumsum(hits & ~ignored, 1)
    false = np.cumsum(~hits & ~ignored, 1)
    precisions = []
    for tp, fp in zip(true, false, strict=True):
        precision = np.maximum.accumulate((tp / np.maximum(tp + fp, 1))[::-1])[::-1]
        at = np.searchsorted(tp / positives, np.linspace(0, 1, 101), side="left")
        precisions.append(np.append(precision, 0.0)[at].mean())
    return float(np.mean(precisions))
