"""AP50 and recall of detectors on the persons of a COCO-format folder, through the same Detector that users call.

    python scripts/evaluate_detector.py --model yolox.onnx rtmdet.onnx --data FOLDER

FOLDER holds annotations.json (with the boxes of all persons) and images/. AP counts persons of any size. For recall, a
person above the area counts as found where a box overlaps its box by the least intersection over union; each box finds
one person, the best boxes first. Boxes that overlap no person at all, small ones included, are false; those that lie in
a crowd (iscrowd) are neither. Recall is given at the score from which on there is one false box per picture, and at
every --score-threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tqdm import tqdm

from detection_scoring import LARGE, Results, load_persons
from leanpose import Detector

LEAST_SCORE = 0.01  # of boxes that are looked at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", "--detector", nargs="+", required=True, help="ONNX files")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--score-threshold", type=float, nargs="+", default=[0.3])
    parser.add_argument("--iou", type=float, default=0.5, help="least overlap (%(default)s)")
    parser.add_argument("--area", type=float, default=LARGE, help="persons above it count (%(default)s square pixels)")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt (default: the best that starts)")
    options = parser.parse_args()
    pictures = load_persons(options.data)
    results: dict[str, Results] = {}
    for name in options.model:
        lowest = min(LEAST_SCORE, *options.score_threshold)
        detector = Detector(name, providers=options.provider, score_threshold=lowest)
        labels = [persons for _, persons in pictures]
        found = _find(detector, [path for path, _ in pictures])
        results[name] = Results.of(found, labels, options.area, options.iou)
    whole = next(iter(results.values()))
    print(
        f"{options.data.name}: {whole.pictures} pictures, {whole.persons} persons, {whole.large_persons} of area above "
        f"{options.area:g}\n\nrecall at one false box per picture"
    )
    print(f"{'detector':<40} {f'AP{100 * options.iou:.0f}':>7} {'recall':>7} {'score':>6}")
    for name, reached in results.items():
        recall, score = reached.recall()
        print(f"{Path(name).stem:<40} {reached.average_precision():7.4f} {recall:7.4f} {score:6.3f}")
    print("\nrecall by score threshold")
    print(f"{'detector':<40} {'score':>6} {'recall':>7} {'found':>11} {'precision':>9} {'false per picture':>17}")
    for name, reached in results.items():
        for threshold in options.score_threshold:
            right, wrong, boxes = reached.above(threshold)
            print(
                f"{Path(name).stem:<40} {threshold:6.2f} {right / max(reached.large_persons, 1):7.4f} "
                f"{right:5}/{reached.large_persons:<5} {1 - wrong / max(boxes, 1):9.4f} "
                f"{wrong / max(reached.pictures, 1):17.3f}"
            )


def _find(detector: Detector, paths: list[Path]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for path in tqdm(paths, unit="picture", disable=None, leave=False):
        found = detector.predict(path)
        yield found.boxes, found.scores


if __name__ == "__main__":
    main()
