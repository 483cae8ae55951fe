"""Compares trained networks on the same persons, and says which differences are more than noise.

    python scripts/compare.py run_a/96x72.pt run_b/96x72.pt --data FOLDER

FOLDER holds annotations.json (COCO keypoints) and images/; persons are cut out by their ground-truth boxes. Each
checkpoint of train.py gets AP and the mean OKS of all persons, with 95 % bootstrap intervals over pictures, and the
difference of its mean OKS from the first one's over the same resamplings: a difference whose interval holds zero is
noise. Mean OKS tells weak networks apart, for which AP is near zero.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import _repository  # noqa: F401  (makes model_defs importable)
from leanpose.evaluation.bootstrap import drawn_pictures
from leanpose.oks import oks_matrix
from model_defs.registry import build_pose
from scoring import Truth, score
from training.evaluation import Benchmark
from training.weights import fit_weights

CPU = torch.device("cpu")
cut_out = cache(Benchmark)  # once for all networks of an input size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="SIZE.pt of a run")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamplings of the pictures (%(default)s)")
    options = parser.parse_args()
    first: NDArray[np.float64] | None = None
    print(f"{'checkpoint':<40}" + "".join(f" {name:<28}" for name in ("AP, 95 % interval", "mean OKS", "difference")))
    for path in options.checkpoints:
        truth, results = find(path, options.data)
        row = score(truth, results, options.bootstrap)
        drawn = resampled(person_oks(truth, results), options.bootstrap)
        first = drawn if first is None else first
        name = f"{path.parent.name}/{path.stem}"
        precision = figure(row["AP"], *row["interval"])
        print(f"{name:<40} {precision}  {described(drawn)}  {described(drawn - first)}", flush=True)


def find(path: Path, folder: Path) -> tuple[Truth, list[dict[str, Any]]]:
    """The persons of a folder, and what the network of a checkpoint finds of each."""
    state = torch.load(path, map_location=CPU, weights_only=True)
    height, width = state["input_size"]
    model = build_pose(state["config"], input_size=(height, width)).eval()
    fit_weights(model, state["ema"])
    benchmark = cut_out(folder, (height, width), model.codec, model.transform)
    return benchmark.truth, benchmark.results(model, CPU)


def person_oks(truth: Truth, results: Sequence[dict[str, Any]]) -> list[NDArray[np.float64]]:
    """OKS of each person with its result, by picture; results in the order of the persons."""
    found = iter(results)
    similarities = []
    for persons in truth.persons.values():
        pairs = [(person, next(found)) for person in persons]
        similarities.append(
            np.array(
                [oks_matrix(_points(result), _points(person), areas=[person["area"]])[0, 0] for person, result in pairs]
            )
        )
    return similarities


def _points(annotation: dict[str, Any]) -> NDArray[np.float64]:
    return np.array(annotation["keypoints"], np.float64).reshape(1, -1, 3)


def resampled(similarities: Sequence[NDArray[np.float64]], resamplings: int) -> NDArray[np.float64]:
    """Mean OKS of all persons, then of each resampling of the pictures; the same pictures for every network."""
    sums = np.array([values.sum() for values in similarities])
    counts = np.array([len(values) for values in similarities])
    drawn = [weights @ sums / (weights @ counts) for weights in drawn_pictures(len(sums), resamplings, seed=0)]
    return np.concatenate(([sums.sum() / counts.sum()], *drawn))


def described(drawn: NDArray[np.float64]) -> str:
    return figure(drawn[0], *np.quantile(drawn[1:], (0.025, 0.975)))


def figure(value: float, low: float, high: float) -> str:
    return f"{value:7.4f} ({low:7.4f} to {high:7.4f})"


if __name__ == "__main__":
    main()
