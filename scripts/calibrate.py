"""Finds the score rule and temperature that make keypoint scores mean something.

    python scripts/calibrate.py MODEL.onnx --data FOLDER

On FOLDER (COCO format, training data) a score should equal the keypoint's similarity to its label,
exp(-d^2 / (2 area k^2)) with COCO's constants, and 0 where there is nothing to label. Prints the mean squared error of
each rule at its best temperature; write the best into the card with
`leanpose card MODEL.onnx --set codec.score_rule=... --set codec.temperature=...`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from leanpose import SimCC, _core, load_image
from leanpose.codecs.simcc import SCORE_RULES
from leanpose.model import Model

TEMPERATURES = np.geomspace(0.002, 2.0, 61)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=500)
    options = parser.parse_args()
    model = Model(options.model)
    codec = model.card.codec
    if not isinstance(codec, SimCC):
        parser.error(f"expected a SimCC model, got codec {codec.type}")
    persons = collect(model, options.data, options.pictures)
    for rule in SCORE_RULES:
        errors = [
            error(persons, dataclasses.replace(codec, score_rule=rule, temperature=float(t))) for t in TEMPERATURES
        ]
        best = int(np.argmin(errors))
        print(f"{rule:<8} temperature {TEMPERATURES[best]:.3f}  mean squared error {errors[best]:.4f}")


Person = tuple[list[NDArray[np.float32]], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def collect(model: Model, folder: Path, pictures: int) -> list[Person]:
    """Outputs, transform, labels (K, 3) and OKS variances (K,) of the persons of the first pictures."""
    data = json.loads((folder / "annotations.json").read_text())
    names = {info["id"]: info["file_name"] for info in data["images"][:pictures]}
    spec, sigmas = model.card.input, np.array(model.card.keypoints.sigmas)
    persons = []
    for annotation in tqdm(data["annotations"], disable=None, leave=False):
        if annotation["image_id"] not in names or annotation["num_keypoints"] == 0:
            continue
        x, y, w, h = annotation["bbox"]
        transform = _core.crop_transforms([[x, y, x + w, y + h]], spec.size, spec.padding, spec.transform)
        picture = load_image(folder / "images" / names[annotation["image_id"]])
        crop = _core.crop(picture, transform, spec.size, spec.mean, spec.std, spec.color)
        labels = np.array(annotation["keypoints"], float).reshape(-1, 3)
        persons.append((model.run(crop), transform, labels, 2 * annotation["area"] * (2 * sigmas) ** 2))
    return persons


def error(persons: list[Person], codec: SimCC) -> float:
    """Mean squared difference of score and similarity, which is 0 for keypoints without a label."""
    differences = []
    for outputs, transform, labels, variances in persons:
        xy, scores = codec.decode(outputs, transform)
        similarity = np.exp(-((xy[0] - labels[:, :2]) ** 2).sum(1) / variances)
        differences.append(scores[0] - np.where(labels[:, 2] > 0, similarity, 0))
    return float(np.mean(np.square(differences)))


if __name__ == "__main__":
    main()
