"""Measures a model beside its fp16 and int8 copies and writes the table in docs/benchmarks.md.

    python scripts/bench/quantized.py --model FP32.onnx --calibration data/coco_train --data data/coco_dev [--no-write]

Size, AP with ground-truth boxes (as scripts/evaluate.py measures it), drift of the keypoints on pictures of the
calibration folder that did not calibrate, and the milliseconds of the network for one person on one thread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from evaluate import predict
from leanpose import Estimator
from leanpose.quantization import MODES, quantize
from models import measure
from report import environment, table, write_section
from scoring import Truth, load_truth, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="ONNX file in fp32")
    parser.add_argument("--calibration", type=Path, required=True, metavar="FOLDER", help="COCO format, training data")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="COCO format, to measure AP on")
    parser.add_argument("--pictures", type=int, default=400, help="of the calibration folder (%(default)s)")
    parser.add_argument("--keep", nargs="*", default=[], metavar="NAME", help="operators that stay in fp32")
    parser.add_argument("--seconds", type=float, default=30, help="of timing (%(default)s)")
    parser.add_argument("--no-write", dest="write", action="store_false")
    options = parser.parse_args()
    pictures = calibration_pictures(load_truth(options.calibration), options.calibration, options.pictures)
    truth = load_truth(options.data)
    with tempfile.TemporaryDirectory() as folder:
        files = {"fp32": options.model}
        drifts = {"fp32": ("1", "1")}
        for mode in MODES:
            files[mode] = Path(folder) / f"{mode}.onnx"
            drift = quantize(files["fp32"], files[mode], pictures, mode, keep=options.keep, threads=1).drift
            drifts[mode] = (f"{drift.mean:.4f}", f"{drift.worst:.3f}")
        times = measure({mode: onnx.load(path) for mode, path in files.items()}, 1, options.seconds)
        rows: list[tuple[str, ...]] = [
            (
                mode,
                f"{path.stat().st_size / 1e6:.1f}",
                average_precision(path, truth, options.data),
                *drifts[mode],
                f"{times[mode]:.1f}",
            )
            for mode, path in files.items()
        ]
        name = Estimator(files["fp32"], threads=1).card.name
    header = ("copy", "MB", f"AP on {options.data.name} (95 % interval)", "mean OKS with fp32", "worst", "ms, batch 1")
    where = environment(("leanpose", "onnxruntime", "onnx", "numpy"))
    text = f"## Copies of `{name}` in fp16 and int8, one thread\n\n{where}\n\n{table(header, rows)}"
    print(text)
    if options.write:
        write_section("quantized", text)


def calibration_pictures(truth: Truth, folder: Path, count: int) -> list[tuple[Path, list[list[float]]]]:
    """Pictures with persons and their boxes, taken evenly from all."""
    found = list(truth.persons)
    step = max(1, len(found) // count)
    return [(folder / "images" / truth.images[i]["file_name"], truth.boxes(i)) for i in found[::step][:count]]


def average_precision(path: Path, truth: Truth, folder: Path) -> str:
    """AP and its interval."""
    figures = score(truth, predict(Estimator(path, providers="cpu", threads=1), truth, folder)[0], 200)
    low, high = figures["interval"]
    return f"{figures['AP']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
