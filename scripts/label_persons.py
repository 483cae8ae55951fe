"""Boxes the persons in folders of pictures with a detector: training data for a detector of one's own.

    python scripts/label_persons.py FOLDER... --detector rtmdet.onnx

Each FOLDER holds images/ and gets annotations.json in COCO's format. Boxes with scores above --sure are persons; those
above --doubtful are regions (iscrowd) in which nobody knows, where training learns nothing. A picture that cannot be
read is left out and named.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from leanpose import Detector, load_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--detector", required=True, help="ONNX file")
    parser.add_argument("--sure", type=float, default=0.5, help="score above which a box is a person (%(default)s)")
    parser.add_argument("--doubtful", type=float, default=0.2, help="score above which it may be one (%(default)s)")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt (default: the best that starts)")
    options = parser.parse_args()
    if options.doubtful > options.sure:
        parser.error(f"--doubtful {options.doubtful:g} is above --sure {options.sure:g}")
    detector = Detector(options.detector, providers=options.provider, score_threshold=options.doubtful)
    for folder in options.folders:
        labels = label(detector, folder, options.sure)
        (folder / "annotations.json").write_text(json.dumps(labels))
        crowds = sum(annotation["iscrowd"] for annotation in labels["annotations"])
        persons = len(labels["annotations"]) - crowds
        print(f"{folder}: {len(labels['images'])} pictures, {persons} persons, {crowds} doubtful", flush=True)


def label(detector: Detector, folder: Path, sure: float) -> dict[str, Any]:
    """The contents of annotations.json for the pictures in `folder`/images."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for path in tqdm(sorted((folder / "images").iterdir()), desc=folder.name, unit="picture", disable=None):
        try:
            picture = load_image(path)
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        height, width = picture.shape[:2]
        images.append({"id": len(images) + 1, "file_name": path.name, "width": width, "height": height})
        found = detector.predict(picture)
        for (x1, y1, x2, y2), score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "bbox": [round(value, 1) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 1),
                    "score": round(score, 3),
                    "iscrowd": int(score <= sure),
                }
            )
    categories = [{"id": 1, "name": "person", "supercategory": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}


if __name__ == "__main__":
    main()
