"""Times the native core beside its peers and writes the tables in docs/benchmarks.md.

pip install -r scripts/bench/requirements.txt
python scripts/bench/core.py [--seconds 2] [--only crop detection simcc heatmap evaluation] [--no-write]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import crop_peers
import decode_peers
import detection_peers
from leanpose import _core
from leanpose.buffers import Buffers
from report import environment, table, write_section
from timing import Timing, compare

SIZES = ((256, 192), (384, 288))
PERSONS = (1, 32)
PACKAGES = ("leanpose", "numpy", "opencv-python-headless", "opencv-python", "rtmlib", "torch")
EVALUATORS = ("pycocotools", "faster-coco-eval", "hotcoco", "ultrafast-pycocotools")
Calls = dict[str, Callable[[], object] | None]


@dataclass(frozen=True)
class Case:
    """One line of a table: our call first, then the peers, with the largest share of each one's time to reach."""

    name: str
    calls: Calls
    targets: dict[str, float]


def main() -> None:
    sections: dict[str, Callable[[], Iterator[Case]] | None] = {
        "crop": crops,
        "detection": detection,
        "simcc": simcc,
        "heatmap": heatmaps,
        "evaluation": None,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of a table")
    parser.add_argument("--only", nargs="+", choices=sections, default=[*sections])
    parser.add_argument("--no-write", dest="write", action="store_false", help="print the tables only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name in options.only:
        cases = sections[name]
        rows = [*(evaluation(options.seconds) if cases is None else measured(cases(), options.seconds))]
        header = ("work", "candidate", "min, ms", "median, ms", "leanpose takes", "to reach")
        where = f"{environment(PACKAGES + EVALUATORS)} SIMD: {_core.simd_level()}."
        text = f"{TITLES[name]}\n\n{where}\n\n{table(header, rows)}"
        print(text, flush=True)
        if options.write:
            write_section(name, text)


TITLES = {
    "crop": "## Crops: 1280x720 BGR bytes to normalised float32 NCHW\n\nUpright boxes of 225 to 600 pixels height, "
    "inside the picture; every candidate on one thread, and leanpose on two besides.",
    "detection": "## Detection: 1280x720 BGR bytes to normalised float32 NCHW, and suppression\n\nThe picture in the "
    "upper left corner, grey around it; candidates scattered about 10 persons. Every candidate on one thread.",
    "evaluation": "## COCO keypoint evaluation: 5,000 pictures, 25,000 results\n\nThe step from loaded data to the "
    "statistics (OKS, matching, accumulation), and loading both files, beside it.",
    "heatmap": "## Heatmap decoding: 17 keypoints\n\nUnbiased DARK of maps of stride 4, with the mapping into the "
    "picture, and the maximum of maps of full resolution.",
    "simcc": "## SimCC decoding: 17 keypoints, two bins a pixel\n\nArgmax, scores and the mapping into the picture.",
}


def measured(cases: Iterator[Case], seconds: float) -> Iterator[tuple[str, ...]]:
    """Rows of the table of all cases."""
    for case in cases:
        timings = compare({name: call for name, call in case.calls.items() if call is not None}, seconds)
        yield from rows_of(case.name, [*case.calls], timings, case.targets)


def rows_of(
    work: str, names: list[str], timings: dict[str, Timing], targets: dict[str, float]
) -> Iterator[tuple[str, ...]]:
    """Times of each candidate, and the share of each one's that leanpose takes."""
    ours = timings["leanpose"]
    for name in names:
        if name not in timings:
            yield work, name, "not installed", "", "", ""
            continue
        times = f"{timings[name].minimum:.4f}", f"{timings[name].median:.4f}"
        yield work, name, *times, *verdict(ours, timings[name], targets.get(name), name.startswith("leanpose"))


def verdict(ours: Timing, theirs: Timing, target: float | None, same: bool) -> tuple[str, str]:
    """Our share of a peer's time, by minimum and by median, and whether both reach the target."""
    if same:
        return "", ""
    shares = ours.minimum / theirs.minimum, ours.median / theirs.median
    share = f"{shares[0]:.3f}x (min), {shares[1]:.3f}x (median)"
    if target is None:
        return share, ""
    return share, f"{target}x: " + ("reached" if max(shares) <= target else f"missed by {max(shares) / target - 1:.0%}")


def persons_of(count: int, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes whose crops lie in a 1280x720 picture, and their transforms."""
    rng = np.random.default_rng(0)
    height = rng.uniform(180, 480, count)
    centre = np.column_stack([rng.uniform(380, 900, count), rng.uniform(310, 410, count)])
    half = np.column_stack([0.35 * height, 0.5 * height])
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes, _core.crop_transforms(boxes, size, 1.25, "plain")


def crops() -> Iterator[Case]:
    """Crops of one picture."""
    image = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    for size in SIZES:
        for count in PERSONS:
            boxes, transforms = persons_of(count, size)
            out = Buffers((count, 3, *size), "float32").take()
            mean, std = tuple(map(float, crop_peers.MEAN)), tuple(map(float, crop_peers.STD))
            ours = partial(_core.crop, image, transforms, size, mean, std, "rgb", out=out)
            calls: Calls = {"leanpose": ours, "leanpose, 2 threads": partial(ours, threads=2)}
            calls["OpenCV"] = partial(crop_peers.opencv, image, transforms, size)
            calls["rtmlib"] = crop_peers.rtmlib(image, boxes, size)
            calls["numpy"] = partial(crop_peers.numpy, image, transforms, size)
            yield Case(f"{size[0]}x{size[1]}, {count} persons", calls, {"OpenCV": 0.4, "rtmlib": 0.1})


def detection() -> Iterator[Case]:
    """Whole pictures as inputs of a detector, and the suppression of its boxes."""
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    border = (float(detection_peers.PAD),) * 3
    for size in ((320, 320), (416, 416), (640, 640)):
        out = np.empty((1, 3, *size), np.float32)
        normalization = detection_peers.MEAN, detection_peers.STD
        calls: Calls = {"leanpose": partial(_core.letterbox, image, size, *normalization, "bgr", border, out=out)}
        calls["OpenCV"] = partial(detection_peers.opencv, image, size)
        calls["rtmlib"] = detection_peers.rtmlib(image, size)
        calls["numpy"] = partial(detection_peers.numpy, image, size)
        yield Case(f"{size[0]}x{size[1]}", calls, {"OpenCV": 1.0, "rtmlib": 0.1})
    for count in (100, 1000):
        centre = rng.uniform(100, 540, (10, 2))[rng.integers(0, 10, count)] + rng.normal(0, 4, (count, 2))
        half = rng.uniform(30, 40, (count, 2))
        boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
        scores = rng.uniform(0.3, 1, count).astype(np.float32)
        calls = {
            "leanpose": partial(_core.nms, boxes, scores, 0.5),
            "OpenCV": partial(detection_peers.opencv_nms, boxes, scores, 0.5),
            "numpy": partial(detection_peers.numpy_nms, boxes, scores, 0.5),
        }
        yield Case(f"suppression, {count} boxes", calls, {"OpenCV": 1.0})


def simcc() -> Iterator[Case]:
    """Decoding of SimCC outputs."""
    rng = np.random.default_rng(2)
    for size in SIZES:
        for count in PERSONS:
            x, y = (rng.normal(size=(count, 17, 2 * side)).astype(np.float32) for side in size[::-1])
            _, transforms = persons_of(count, size)
            ours = partial(_core.decode_simcc, x, y, transforms, 2.0, "mean")
            calls: Calls = {
                "leanpose": ours,
                "leanpose, softmax scores, refined": partial(ours, temperature=0.5, refine=True),
                "numpy": partial(decode_peers.numpy_simcc, x, y, transforms),
                "rtmlib": decode_peers.rtmlib_simcc(x, y, size),
            }
            yield Case(f"{size[0]}x{size[1]}, {count} persons", calls, {"numpy": 0.3})


def heatmaps() -> Iterator[Case]:
    """Decoding of heatmaps, with noisy Gaussians: bare ones hold denormal numbers, which slow everybody down."""
    rng = np.random.default_rng(3)
    for size in SIZES:
        for count in PERSONS:
            maps = gaussians(rng, count, size[0] // 4, size[1] // 4)
            _, transforms = persons_of(count, size)
            calls: Calls = {
                "leanpose": partial(_core.decode_heatmaps, maps, transforms, 4.0, "udp", "udp"),
                "leanpose, DARK": partial(_core.decode_heatmaps, maps, transforms, 4.0, "plain", "dark"),
                "leanpose, quarter shift": partial(_core.decode_heatmaps, maps, transforms, 4.0, "plain", "quarter"),
                "rtmlib": decode_peers.rtmlib_dark(maps, size),
            }
            yield Case(f"DARK-UDP of 17x{size[0] // 4}x{size[1] // 4}, {count} persons", calls, {"rtmlib": 0.1})
    for size in SIZES:
        for count in PERSONS:
            maps = gaussians(rng, count, *size)
            _, transforms = persons_of(count, size)
            calls = {
                "leanpose": partial(_core.decode_heatmaps, maps, transforms, 1.0, "plain", "none"),
                "numpy argmax": partial(decode_peers.numpy_argmax, maps),
                "torch max-pool": decode_peers.torch_max_pool(maps),
            }
            yield Case(f"maximum of 17x{size[0]}x{size[1]}, {count} persons", calls, {"numpy argmax": 1.2})


def gaussians(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.float32]:
    """Heatmaps of 17 keypoints, each with a peak of two cells' deviation and a little noise."""
    x, y = rng.uniform(0, width, (count, 17, 1, 1)), rng.uniform(0, height, (count, 17, 1, 1))
    distance = (np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
    maps = np.exp(distance / -8) + rng.uniform(0, 0.02, (count, 17, height, width))
    return maps.astype(np.float32)


def evaluation(seconds: float) -> Iterator[tuple[str, ...]]:
    """COCO evaluation, in a process of its own for each number of threads, which some peers read when they start."""
    for threads in (1, 2):
        variables = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        script = str(Path(__file__).with_name("evaluation.py"))
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["--folder", folder, "--threads", str(threads), "--seconds", str(10 * seconds)]
            output = subprocess.run(
                [sys.executable, script, *arguments], env=variables, capture_output=True, text=True, check=True
            ).stdout
        for work in ("evaluate", "load"):
            timings = {name: Timing(**times) for name, times in json.loads(output)[work].items()}
            targets = {"hotcoco": 1.0} if work == "evaluate" else {}
            yield from rows_of(f"{work}, {threads} threads", [*timings], timings, targets)


if __name__ == "__main__":
    main()
