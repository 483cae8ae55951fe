"""Times the native core beside its peers and writes the tables in docs/benchmarks.md.

    pip install -r scripts/bench/requirements.txt
    python scripts/bench/core.py [--seconds 2] [--only crop simcc heatmap evaluation] [--no-write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

import crop_peers
import decode_peers
from leanpose import _core
from report import environment, table, write_section
from timing import Timing, compare

SIZES = ((256, 192), (384, 288))
PERSONS = (1, 32)
PACKAGES = ("leanpose", "numpy", "opencv-python-headless", "opencv-python", "rtmlib", "torch")
Calls = dict[str, Callable[[], object] | None]


@dataclass(frozen=True)
class Case:
    """One line of a table: our call first, then the peers, with the largest share of each one's time to reach."""

    name: str
    calls: Calls
    targets: dict[str, float]


def main() -> None:
    sections: dict[str, Callable[[], Iterator[Case]]] = {"crop": crops, "simcc": simcc}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of a table")
    parser.add_argument("--only", nargs="+", choices=sections, default=[*sections])
    parser.add_argument("--no-write", dest="write", action="store_false", help="print the tables only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name in options.only:
        rows = [row for case in sections[name]() for row in measure(case, options.seconds)]
        header = ("work", "candidate", "min, ms", "median, ms", "leanpose takes", "to reach")
        text = f"{TITLES[name]}\n\n{environment(PACKAGES)} SIMD: {_core.simd_level()}.\n\n{table(header, rows)}"
        print(text, flush=True)
        if options.write:
            write_section(name, text)


TITLES = {
    "crop": "## Crops: 1280x720 BGR bytes to normalised float32 NCHW\n\nUpright boxes of 225 to 600 pixels height, "
    "inside the picture; every candidate on one thread, and leanpose on two besides.",
    "simcc": "## SimCC decoding: 17 keypoints, two bins a pixel\n\nArgmax, scores and the mapping into the picture.",
}


def measure(case: Case, seconds: float) -> Iterator[tuple[str, ...]]:
    """Rows of the table: times, and our share of each peer's median."""
    timings = compare({name: call for name, call in case.calls.items() if call is not None}, seconds)
    ours = timings["leanpose"]
    for name in case.calls:
        if name not in timings:
            yield case.name, name, "not installed", "", "", ""
            continue
        yield case.name, name, f"{timings[name].minimum:.4f}", f"{timings[name].median:.4f}", *verdict(
            ours, timings[name], case.targets.get(name), ours is timings[name]
        )


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
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (720, 1280, 3), dtype=np.uint8), (0, 0), 2)
    for size in SIZES:
        for count in PERSONS:
            boxes, transforms = persons_of(count, size)
            out = np.empty((count, 3, *size), np.float32)
            calls: Calls = {
                f"leanpose{suffix}": lambda t=threads, o=out, m=transforms, s=size: _core.crop(
                    image, m, s, crop_peers.MEAN, crop_peers.STD, "rgb", threads=t, out=o
                )
                for threads, suffix in ((1, ""), (2, ", 2 threads"))
            }
            calls["OpenCV"] = lambda m=transforms, s=size: crop_peers.opencv(image, m, s)
            calls["rtmlib"] = crop_peers.rtmlib(image, boxes, size)
            calls["numpy"] = lambda m=transforms, s=size: crop_peers.numpy(image, m, s)
            yield Case(f"{size[0]}x{size[1]}, {count} persons", calls, {"OpenCV": 0.4, "rtmlib": 0.1})


def simcc() -> Iterator[Case]:
    """Decoding of SimCC outputs."""
    rng = np.random.default_rng(2)
    for size in SIZES:
        for count in PERSONS:
            x, y = (rng.normal(size=(count, 17, 2 * side)).astype(np.float32) for side in size[::-1])
            _, transforms = persons_of(count, size)
            calls: Calls = {
                "leanpose": lambda x=x, y=y, m=transforms: _core.decode_simcc(x, y, m, 2.0, "mean"),
                "leanpose, softmax scores": lambda x=x, y=y, m=transforms: _core.decode_simcc(
                    x, y, m, 2.0, "mean", 0.5, refine=True
                ),
                "numpy": lambda x=x, y=y, m=transforms: decode_peers.numpy_simcc(x, y, m),
                "rtmlib": decode_peers.rtmlib_simcc(x, y, size),
            }
            yield Case(f"{size[0]}x{size[1]}, {count} persons", calls, {"numpy": 0.3})


if __name__ == "__main__":
    main()
