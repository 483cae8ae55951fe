"""Whole pictures beside rtmlib: the same detector and pose files, a process for each library, by turns.

    python scripts/bench/peers.py --detector DET.onnx --pose POSE.onnx ... --pictures FOLDER [--write]

For pictures with 1, 4 and 10 detected persons it prints the milliseconds of the whole call and of what happens outside
the two sessions, and how far keypoints agree; --write puts the tables into docs/benchmarks.md. rtmlib does not swap
channels for the pose network, so that it compares keypoints on a picture whose channels are swapped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from report import environment, table, write_section

PERSONS = (1, 4, 10)
LIBRARIES = ("leanpose", "rtmlib")
BURST = 3  # calls of a turn: the first finds the caches as the other process left them
CONFIDENT = 0.3  # score above which keypoints are compared


class Side:
    """A process that runs one library."""

    def __init__(self, library: str, detector: Path, pose: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("whole_picture.py")), library, str(detector), str(pose)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the worker process ended: {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    options = _options()
    rows, agreements = [], []
    chosen: dict[int, list[Path]] = {}
    for pose in options.pose:
        sides = {library: Side(library, options.detector, pose) for library in LIBRARIES}
        chosen = chosen or choose(sides, sorted(options.pictures.iterdir()), options.each)
        for persons, pictures in chosen.items():
            rows += measure(sides, pose, persons, pictures, options.rounds)
        if options.agreement:
            agreements.append((pose.stem, *agreement(sides, sorted(options.pictures.iterdir())[: options.agreement])))
        for side in sides.values():
            side.close()
    header = ("pose model", "persons", "library", "whole call, min", "median", "outside sessions, min", "median")
    text = f"{environment(('leanpose', 'rtmlib', 'onnxruntime', 'numpy', 'opencv-python-headless'))}\n\n"
    text += f"Detector {options.detector.stem}; milliseconds of one picture, all sessions on one thread.\n\n" + table(
        header, rows
    )
    if agreements:
        text += "\n\n" + table(("pose model", "keypoints", "within 0.5 px of the picture", "of the input"), agreements)
    print(text)
    if options.write:
        write_section("peers", f"## Whole pictures beside rtmlib\n\n{text}")


def choose(sides: dict[str, Side], pictures: Sequence[Path], each: int) -> dict[int, list[Path]]:
    """Pictures for each number of persons, in which both libraries detect just so many."""
    chosen: dict[int, list[Path]] = {persons: [] for persons in PERSONS}
    for picture in tqdm(pictures, desc="choosing", unit="picture"):
        counts = {len(side.ask(image=str(picture))["boxes"]) for side in sides.values()}
        persons = counts.pop()
        if not counts and len(chosen.get(persons, [None] * each)) < each:
            chosen[persons].append(picture)
        if all(len(found) == each for found in chosen.values()):
            break
    return chosen


def measure(
    sides: dict[str, Side], pose: Path, persons: int, pictures: Sequence[Path], rounds: int
) -> list[tuple[str, ...]]:
    """A row for each library: means over pictures of the least and of the median milliseconds."""
    samples: dict[tuple[str, Path], list[dict[str, Any]]] = {(side, path): [] for side in sides for path in pictures}
    for _ in tqdm(range(rounds), desc=f"{pose.stem}, {persons} persons", unit="round"):
        for path in pictures:
            for library, side in sides.items():
                samples[library, path] += [side.ask(image=str(path)) for _ in range(BURST)]
    rows = []
    for library in sides:
        figures = []
        for inside in (0, 1):  # without the time inside sessions
            for summary in (min, statistics.median):
                over = [
                    summary([s["total"] - inside * s["sessions"] for s in samples[library, path]]) for path in pictures
                ]
                figures.append(f"{1e3 * statistics.mean(over):.2f}" if over else "none")
        rows.append((pose.stem, f"{persons} ({len(pictures)} pictures)", library, *figures))
    return rows


def agreement(sides: dict[str, Side], pictures: Sequence[Path]) -> tuple[str, str, str]:
    """How many confident keypoints were compared, and the shares that agree in pixels of picture and input."""
    far: list[np.ndarray[Any, Any]] = []
    scaled: list[np.ndarray[Any, Any]] = []
    for picture in tqdm(pictures, desc="comparing", unit="picture"):
        boxes = sides["leanpose"].ask(image=str(picture))["boxes"]
        if not boxes:
            continue
        ours = sides["leanpose"].ask(image=str(picture), boxes=boxes, swap=False)
        theirs = sides["rtmlib"].ask(image=str(picture), boxes=boxes, swap=True)
        compared = np.array(ours["scores"]) > CONFIDENT
        distance = np.abs(np.array(ours["xy"]) - np.array(theirs["xy"])).max(-1)
        corners = np.array(boxes)
        # pixels of the picture for one of the 256 x 192 input, whose region is 1.25 times the box
        scale = 1.25 * np.maximum((corners[:, 2] - corners[:, 0]) / 192, (corners[:, 3] - corners[:, 1]) / 256)
        far.append(distance[compared])
        scaled.append((distance / scale[:, None])[compared])
    both = [np.concatenate(part) for part in (far, scaled)]
    picture_share, input_share = (f"{100 * np.mean(part <= 0.5 + 1e-3):.2f} %" for part in both)
    return str(len(both[0])), picture_share, input_share


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--pose", type=Path, required=True, nargs="+", help="SimCC models of 256x192")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--each", type=int, default=5, help="pictures for each number of persons")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--agreement", type=int, default=0, help="pictures on which to compare keypoints")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
