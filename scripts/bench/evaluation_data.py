"""Writes a made-up COCO keypoint data set, ground truth and results, to time evaluation on.

    python scripts/bench/evaluation_data.py FOLDER --pictures 5000 --results 25000

The same arguments give the same files, FOLDER/ground_truth.json and FOLDER/results.json. Persons are scattered as in
COCO val2017: most pictures hold few, some many; a tenth has no labelled keypoints, one in fifty is a crowd region.
Results are the labels moved by noise in proportion to the sigmas and a person's size, some of them duplicates of
others, some on no person at all; their scores tell roughly how good they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from leanpose import COCO17

# A standing person in its box, x and y as parts of width and height.
STANDING = np.array(
    [
        *((0.50, 0.08), (0.54, 0.06), (0.46, 0.06), (0.58, 0.08), (0.42, 0.08)),
        *((0.70, 0.22), (0.30, 0.22), (0.80, 0.38), (0.20, 0.38), (0.85, 0.52), (0.15, 0.52)),
        *((0.62, 0.52), (0.38, 0.52), (0.63, 0.74), (0.37, 0.74), (0.64, 0.95), (0.36, 0.95)),
    ]
)
WIDTH, HEIGHT = 640, 480


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--results", type=int, default=25000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    truth, results = make(options.pictures, options.results, options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "ground_truth.json").write_text(json.dumps(truth))
    (options.folder / "results.json").write_text(json.dumps(results))


def make(pictures: int, results: int, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the two files hold."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(600_000, pictures, replace=False)).tolist()
    crowded = np.minimum(rng.geometric(0.4, pictures) - 1 + (rng.random(pictures) < 0.1) * rng.integers(3, 11), 13)
    persons = [person(rng, picture) for picture, count in zip(ids, crowded, strict=True) for _ in range(count)]
    for number, entry in enumerate(persons, start=1):
        entry["id"] = number
    truth = {
        "images": [{"id": picture, "width": WIDTH, "height": HEIGHT} for picture in ids],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.names)}],
        "annotations": persons,
    }
    sources = rng.permutation(np.resize(np.arange(len(persons)), results)) if persons else np.empty(0, int)
    found = [result(rng, persons[source], rng.random() < 0.12, ids) for source in sources]
    return truth, sorted(found, key=lambda entry: entry["image_id"])


def person(rng: np.random.Generator, picture: int) -> dict[str, Any]:
    """One annotation, without its id."""
    height = float(np.clip(rng.lognormal(4.9, 0.7), 20, HEIGHT))
    width = height * rng.uniform(0.3, 0.7)
    left, top = rng.uniform(0, max(WIDTH - width, 1)), rng.uniform(0, max(HEIGHT - height, 1))
    labelled = rng.random(17) < rng.choice([0.0, 0.5, 0.9], p=[0.1, 0.3, 0.6])
    crowd = rng.random() < 0.02
    joints = np.zeros((17, 3), int)
    places = STANDING + rng.normal(0, 0.04, (17, 2))
    joints[:, 0], joints[:, 1] = np.round(left + places[:, 0] * width), np.round(top + places[:, 1] * height)
    joints[:, 2] = rng.choice([1, 2], 17, p=[0.2, 0.8])
    joints[~labelled | crowd] = 0
    return {
        "image_id": picture,
        "category_id": 1,
        "keypoints": joints.ravel().tolist(),
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "bbox": np.round([left, top, width, height], 2).tolist(),
        "area": round(width * height * rng.uniform(0.4, 0.7), 4),
        "iscrowd": int(crowd),
    }


def result(rng: np.random.Generator, of: dict[str, Any], nobody: bool, ids: list[int]) -> dict[str, Any]:
    """A prediction of that person, or of nobody somewhere."""
    left, top, width, height = of["bbox"]
    if nobody:
        left, top = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
    quality = rng.gamma(1.5, 0.6)  # of the order of the label noise that the sigmas describe
    spread = 2 * np.array(COCO17.sigmas)[:, None] * np.sqrt(of["area"]) * quality
    joints = np.array(of["keypoints"], float).reshape(17, 3)
    unlabelled = (joints[:, 2] == 0) | nobody
    joints[unlabelled, :2] = (STANDING * [width, height] + [left, top])[unlabelled]
    joints[:, :2] += rng.normal(0, 1, (17, 2)) * spread
    joints[:, 2] = np.clip(rng.normal(1 / (1 + quality), 0.1, 17), 0.01, 1)
    score = float(np.clip(rng.normal(0.15 if nobody else 1 / (1 + 0.5 * quality), 0.12), 0.001, 1))
    return {
        "image_id": of["image_id"] if not nobody else int(ids[rng.integers(len(ids))]),
        "category_id": 1,
        "keypoints": np.round(joints, 3).ravel().tolist(),
        "score": round(score, 4),
    }


if __name__ == "__main__":
    main()
