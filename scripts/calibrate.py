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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from leanpose import SimCC, _core, load_image
from leanpose.codecs.simcc import SCORE_RULES
from leanpose.model import Model
from scoring import load_truth

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


# Of the persons of one picture: outputs, transforms, labels (N, K, 3) and OKS variances (N, K).
Persons = tuple[list[NDArray[np.float32]], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def collect(model: Model, folder: Path, pictures: int) -> list[Persons]:
    """What the network says of the persons in the first pictures with labelled ones, and their labels."""
    truth = load_truth(folder)
    spec, sigmas = model.card.input, np.array(model.card.keypoints.sigmas)
    found = []
    for picture, persons in tqdm(list(truth.persons.items())[:pictures], disable=None, leave=False):
        transforms = _core.crop_transforms(truth.boxes(picture), spec.size, spec.padding, spec.transform)
        image = load_image(folder / "images" / truth.images[picture]["file_name"])
        crops = _core.crop(image, transforms, spec.size, spec.mean, spec.std, spec.color)
        labels = np.array([a["keypoints"] for a in persons], float).reshape(len(persons), -1, 3)
        areas = np.array([[a["area"]] for a in persons])
        found.append((model.run(crops), transforms, labels, 2 * areas * (2 * sigmas) ** 2))
    return found


def error(pictures: list[Persons], codec: SimCC) -> float:
    """Mean squared difference of score and similarity, which is 0 for keypoints without a label."""
    differences = []
    for outputs, transforms, labels, variances in pictures:
        decoded = codec.decode(outputs, transforms)
        similarity = np.exp(-((decoded.xy - labels[..., :2]) ** 2).sum(2) / variances)
        differences.append(decoded.scores - np.where(labels[..., 2] > 0, similarity, 0))
    return float(np.mean(np.square(np.concatenate(differences))))


if __name__ == "__main__":
    main()
