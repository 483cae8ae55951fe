"""A long video through the whole pipeline with stubs for both networks: memory at intervals, and the frames counted.

python scripts/bench/stream.py [--frames 90000] [--every 3] [--backend cv2]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leanpose import Estimator
from leanpose.detection import Detections
from leanpose.pipeline import Pipeline
from leanpose.sources import open_source
from leanpose.tracking import Smoother, Tracker

HEIGHT, WIDTH, FPS = 72, 96, 30
INTERVALS = 18


class StubDetector:
    """Up to three persons who walk to and fro, and sometimes nobody."""

    def __init__(self) -> None:
        self._calls = 0

    def predict(self, image: NDArray[np.uint8]) -> Detections:
        self._calls += 1
        count = self._calls // 100 % 4
        left = np.abs((self._calls * 0.3 + 31 * np.arange(count)) % 120 - 60)
        boxes = np.stack([left, np.full(count, 6), left + 24, np.full(count, 66)], axis=1)
        return Detections(boxes, np.full(count, 0.9))


def stub_session(estimator: Estimator) -> None:
    """Replaces the network by one that sees each keypoint at its own place in every crop."""
    card = estimator.card
    shapes = card.codec.expected_shapes(len(card.keypoints), card.input.size)
    random = np.random.default_rng(0)
    outputs = [random.random((1, *(size or 1 for size in shapes[name])), np.float32) for name in card.codec.outputs]

    def run(batch: NDArray[Any]) -> list[NDArray[np.float32]]:
        return [output.repeat(len(batch), axis=0) for output in outputs]

    estimator._model.run = run  # type: ignore[method-assign]


def write_video(path: Path, frames: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    pool = [np.full((HEIGHT, WIDTH, 3), 5 * step, np.uint8) for step in range(50)]
    for index in range(frames):
        writer.write(pool[index % len(pool)])
    writer.release()


def resident() -> float:
    """MiB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=90_000)
    parser.add_argument("--every", type=int, default=3, help="search for persons in each n-th frame")
    parser.add_argument("--backend", choices=("cv2", "av"), default="cv2")
    options = parser.parse_args()
    estimator = Estimator(threads=1)
    stub_session(estimator)
    estimator._detector = StubDetector()  # type: ignore[assignment]
    pipeline = Pipeline(estimator, every=options.every, tracker=Tracker(), smoother=Smoother())
    persons = done = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_video(path, options.frames)
        with open_source(path, backend=options.backend) as source:
            for done, (frame, poses) in enumerate(pipeline.run(source), 1):
                assert frame.index == done - 1
                persons += len(poses)
                if done % max(options.frames // INTERVALS, 1) == 0:
                    print(f"{done:>7} frames, {persons:>7} persons, {resident():7.1f} MiB", flush=True)
            assert done == options.frames, f"{done} frames instead of {options.frames}"
            assert not source.skipped
    print(pipeline.profile.table())


if __name__ == "__main__":
    main()
