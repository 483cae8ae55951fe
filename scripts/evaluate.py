"""AP of models on a COCO-format folder with ground-truth boxes, through the same Estimator that users call.

    python scripts/evaluate.py --model default --data FOLDER

FOLDER holds annotations.json (COCO keypoints) and images/. pycocotools scores; the interval is a bootstrap over
pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from leanpose import DEFAULT_MODEL, Estimator

STATISTICS = ("AP", "AP50", "AP75", "APm", "APl", "AR")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["default"], help="ONNX files or packaged names")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--flip-test", action="store_true")
    parser.add_argument("--providers", help="cpu, cuda, tensorrt (default: the best that starts)")
    parser.add_argument("--bootstrap", type=int, default=200, help="resamplings of the pictures (0: no interval)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(options.data / "annotations.json"))
    rows = []
    for name in options.model:
        estimator = Estimator(
            DEFAULT_MODEL if name == "default" else name, providers=options.providers, flip_test=options.flip_test
        )
        results, persons, pictures = predict(estimator, truth, options.data)
        row = score(truth, results, options.bootstrap)
        rows.append({"model": name, "card": estimator.card.name, **row, "persons": persons, "pictures": pictures})
    print(
        f"{options.data.name}, {pictures} pictures, {persons} persons, ground-truth boxes"
        + (", flip test" if options.flip_test else "")
    )
    print(f"{'model':<32} {'AP':>6} {'95 % interval':>15} " + " ".join(f"{s:>6}" for s in STATISTICS[1:]))
    for row in rows:
        low, high = row["interval"] or (float("nan"), float("nan"))
        print(
            f"{row['card']:<32} {row['AP']:6.4f} {low:7.4f}-{high:6.4f}  "
            + " ".join(f"{row[s]:6.4f}" for s in STATISTICS[1:])
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def predict(estimator: Estimator, truth: COCO, folder: Path) -> tuple[list[dict[str, Any]], int, int]:
    """COCO results for all persons with keypoints, in their annotated boxes, and the counts of persons and pictures."""
    boxes: dict[int, list[list[float]]] = {}
    for annotation in truth.loadAnns(truth.getAnnIds()):
        if annotation["num_keypoints"] > 0 and not annotation["iscrowd"]:
            x, y, w, h = annotation["bbox"]
            boxes.setdefault(annotation["image_id"], []).append([x, y, x + w, y + h])
    infos = truth.loadImgs(sorted(boxes))

    def pairs() -> Iterator[tuple[str, Any]]:
        for info in tqdm(infos, unit="picture", disable=None, leave=False):
            yield str(folder / "images" / info["file_name"]), boxes[info["id"]]

    results = []
    for info, poses in zip(infos, estimator.stream(pairs()), strict=True):
        results += poses.to_coco(info["id"])
    return results, sum(map(len, boxes.values())), len(truth.getImgIds())


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


if __name__ == "__main__":
    main()
