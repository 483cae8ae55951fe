"""Times COCO keypoint evaluation beside its peers: prints JSON for core.py, which sets the number of threads.

RAYON_NUM_THREADS=1 python scripts/bench/evaluation.py --threads 1 --folder FOLDER
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evaluation_data import make
from leanpose.evaluation import evaluate_coco, load_ground_truth, load_results
from timing import compare

# package: class that evaluates; each has pycocotools' interface
PEERS = {
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval"),
    "ultrafast-pycocotools": ("ultrafast_pycocotools", "ultrafast_pycocotools", "COCOeval"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the data are written")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--results", type=int, default=25000)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    truth, results = options.folder / "ground_truth.json", options.folder / "results.json"
    for path, content in zip((truth, results), make(options.pictures, options.results, 0), strict=True):
        path.write_text(json.dumps(content))

    ours = load_ground_truth(truth)
    found = load_results(results, ours)
    loads: dict[str, Callable[[], object]] = {"leanpose": lambda: load_results(results, load_ground_truth(truth))}
    steps: dict[str, Callable[[], object]] = {
        "leanpose": lambda: evaluate_coco(ours, found, threads=options.threads).statistics["AP"]
    }
    for name, (coco, evaluation, evaluator) in PEERS.items():
        if find_spec(coco.split(".")[0]):
            load = quiet(loader(import_module(coco).COCO, truth, results))
            loads[name] = load
            steps[name] = quiet(step(getattr(import_module(evaluation), evaluator), *load()))
    values = {name: call() for name, call in steps.items()}
    timings = {
        "load": {name: asdict(timing) for name, timing in compare(loads, options.seconds).items()},
        "evaluate": {name: asdict(timing) for name, timing in compare(steps, options.seconds).items()},
    }
    print(json.dumps({"AP": values, **timings}))


def loader(coco: Any, truth: Path, results: Path) -> Callable[[], tuple[Any, Any]]:
    """Reads both files."""

    def load() -> tuple[Any, Any]:
        loaded = coco(str(truth))
        for method in ("loadRes", "load_res"):
            if hasattr(loaded, method):
                return loaded, getattr(loaded, method)(str(results))
        raise AttributeError("loadRes")

    return load


def step(evaluator: Any, truth: Any, found: Any) -> Callable[[], float]:
    """The evaluation of loaded data, as far as the AP."""

    def evaluate() -> float:
        evaluation = evaluator(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return float(evaluation.stats[0])

    return evaluate


def quiet(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call without what it prints."""

    def silent() -> Any:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return call()

    return silent


if __name__ == "__main__":
    main()
