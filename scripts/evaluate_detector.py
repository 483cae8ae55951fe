"""Recall of detectors on the persons of a COCO-format folder, through the same Detector that users call.

    python scripts/evaluate_detector.py --detector yolox.onnx rtmdet.onnx --data FOLDER

FOLDER holds annotations.json (with the boxes of all persons) and images/. A person counts as found where a box overlaps
its box by the least intersection over union; each box finds one person, the best boxes first. Boxes that overlap no
person at all, small ones included, are false.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from leanpose import Detector

Boxes = NDArray[np.float64]


@dataclass
class Counts:
    """What was found so far."""

    persons: int = 0
    found: int = 0
    boxes: int = 0
    wrong: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", nargs="+", required=True, help="ONNX files")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--score-threshold", type=float, nargs="+", default=[0.3])
    parser.add_argument("--iou", type=float, default=0.5, help="least overlap (%(default)s)")
    parser.add_argument("--area", type=float, default=32**2, help="persons above it count (%(default)s square pixels)")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt (default: the best that starts)")
    options = parser.parse_args()
    labels = json.loads((options.data / "annotations.json").read_bytes())
    print(f"{options.data.name}: {len(labels['images'])} pictures, persons of area above {options.area:g}")
    print(f"{'detector':<40} {'score':>5} {'recall':>7} {'found':>11} {'precision':>9} {'false per picture':>17}")
    for name in options.detector:
        detector = Detector(name, providers=options.provider, score_threshold=min(options.score_threshold))
        counts = {threshold: Counts() for threshold in options.score_threshold}
        for image in tqdm(labels["images"], unit="picture", disable=None, leave=False):
            persons = [a for a in labels["annotations"] if a["image_id"] == image["id"] and not a.get("iscrowd", 0)]
            found = detector.predict(options.data / "images" / image["file_name"])
            for threshold, count in counts.items():
                add(count, persons, found[found.scores > threshold].boxes.astype(np.float64), options.area, options.iou)
        for threshold, count in counts.items():
            print(
                f"{Path(name).stem:<40} {threshold:5.2f} {count.found / max(count.persons, 1):7.4f} "
                f"{count.found:5}/{count.persons:<5} {1 - count.wrong / max(count.boxes, 1):9.4f} "
                f"{count.wrong / max(len(labels['images']), 1):17.3f}"
            )


def add(counts: Counts, persons: list[dict[str, Any]], found: Boxes, area: float, least: float) -> None:
    """Counts the boxes (n, 4) x1, y1, x2, y2 found in one picture, best first."""
    corners = np.array([person["bbox"] for person in persons], np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    large = np.array([person["area"] > area for person in persons], bool)
    overlaps, taken = iou(found, corners), np.zeros(len(persons), bool)
    for row in overlaps:
        free = np.where(taken, -1, row)
        # persons that count go first, as in COCO's evaluation
        for group in (free >= least) & large, free >= least:
            if group.any():
                taken[np.where(group, free, -1).argmax()] = True
                break
    counts.persons += int(large.sum())
    counts.found += int((taken & large).sum())
    counts.boxes += len(found)
    counts.wrong += len(found) - int(taken.sum())


def iou(first: Boxes, second: Boxes) -> Boxes:
    """(n, m) intersection over union of boxes (n, 4) with boxes (m, 4)."""
    shared = np.minimum(first[:, None, 2:], second[None, :, 2:]) - np.maximum(first[:, None, :2], second[None, :, :2])
    both = shared.clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return np.asarray(both / (areas[0][:, None] + areas[1][None] - both), np.float64)


if __name__ == "__main__":
    main()
