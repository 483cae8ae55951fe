"""AP of models on a COCO-format folder, through the same Estimator that users call.

    python scripts/evaluate.py --model default --data FOLDER [--detector FILE]

FOLDER holds annotations.json (COCO keypoints) and images/. Models get the ground-truth boxes of persons with keypoints.
With a detector they get its boxes in all pictures; those that find persons themselves get all pictures as a whole. The
interval is a bootstrap over pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from leanpose import DEFAULT_MODEL, Detector, Estimator
from leanpose.contracts import parse_fields
from scoring import STATISTICS, Truth, load_truth, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["default"], help="ONNX files or packaged names")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--card",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field of the card, as in leanpose card --set",
    )
    parser.add_argument("--detector", type=Path, help="ONNX file that gives the boxes")
    parser.add_argument(
        "--score-threshold", type=float, default=0.05, help="of the detector; low, as AP ranks all boxes (%(default)s)"
    )
    parser.add_argument("--flip-test", action="store_true")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt (default: the best that starts)")
    parser.add_argument("--bootstrap", type=int, default=200, help="resamplings of the pictures (0: no interval)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    truth = load_truth(options.data)
    detector = None
    if options.detector:
        detector = Detector(options.detector, score_threshold=options.score_threshold, providers=options.provider)
    rows = []
    for name in options.model:
        estimator = Estimator(
            DEFAULT_MODEL if name == "default" else name,
            card=parse_fields(options.card),
            providers=options.provider,
            flip_test=options.flip_test,
            detector=detector,
        )
        results, persons, pictures = predict(estimator, truth, options.data, search=detector is not None)
        row = score(truth, results, options.bootstrap)
        boxes = "none" if estimator.card.codec.finds_persons else "ground truth"
        boxes = options.detector.stem if options.detector else boxes
        about = {"model": name, "card": estimator.card.name, "boxes": boxes}
        rows.append({**about, **row, "persons": persons, "pictures": pictures})
    print(
        f"{options.data.name}, {pictures} pictures, {persons} persons, boxes: "
        + ", ".join(sorted({row["boxes"] for row in rows}))
        + (", flip test" if options.flip_test else "")
    )
    print(f"{'model':<44} {'AP':>6} {'95 % interval':>15} " + " ".join(f"{s:>6}" for s in STATISTICS[1:]))
    for row in rows:
        low, high = row["interval"] or (float("nan"), float("nan"))
        print(
            f"{row['model'] + ' (' + row['card'] + ')':<44} {row['AP']:6.4f} {low:7.4f}-{high:6.4f}  "
            + " ".join(f"{row[s]:6.4f}" for s in STATISTICS[1:])
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def predict(
    estimator: Estimator, truth: Truth, folder: Path, *, search: bool = False
) -> tuple[list[dict[str, Any]], int, int]:
    """COCO results and the counts of persons and pictures.

    They are of the boxes of all persons with keypoints, or where a model or a detector (`search`) finds persons of what
    is found in all pictures.
    """
    whole = search or estimator.card.codec.finds_persons
    pictures = list(truth.images if whole else truth.persons)

    def pairs() -> Iterator[tuple[str, Any]]:
        for picture in tqdm(pictures, unit="picture", disable=None, leave=False):
            path = str(folder / "images" / truth.images[picture]["file_name"])
            yield path, None if whole else truth.boxes(picture)

    results = []
    for picture, poses in zip(pictures, estimator.stream(pairs()), strict=True):
        results += poses.to_coco(picture)
    return results, sum(map(len, truth.persons.values())), len(truth.images)


if __name__ == "__main__":
    main()
