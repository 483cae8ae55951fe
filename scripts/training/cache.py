"""Packed crop cache: every person of a COCO-format folder cut out once, JPEG-coded, in files of bounded size.

A cache is a folder of pairs `NNN.bin` (JPEG pictures back to back) and `NNN.npz` (where each one lies and its labels).
Crops are squares around the person with room for augmentation, so that one cache serves every aspect ratio; larger
ones are reduced to a given side. Labels are in pixels of the crop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leanpose import load_image
from model_defs.inputs import PADDING

from .annotations import labelled_persons

ROOM = 1.6  # crop side over padded box side: what scaling by 1.3 and most rotations bring into view
SIDE = 416  # pixels: a padded person of 260, for inputs up to 256 high
CHUNK_BYTES = 60 * 2**20
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Labels:
    """Labels of N persons in pixels of their crops."""

    boxes: NDArray[np.float32]  # (N, 4) xyxy, unpadded
    keypoints: NDArray[np.float32]  # (N, K, 3) x, y, visibility (0: not labelled)
    teacher: NDArray[np.float32]  # (N, K, 3) x, y, score (0: no prediction)
    agreement: NDArray[np.float32]  # (N,) share of a noisy label's joints that the teacher confirms; 1: trusted


def build(folder: Path, out: Path, jobs: int, side: int = SIDE) -> int:
    """Packs the persons of `folder` (annotations.json, images/) into `out`, at most `side` wide; returns how many."""
    data = json.loads((folder / "annotations.json").read_text())
    persons = labelled_persons(data)
    pictures = [(folder / "images" / i["file_name"], persons[i["id"]]) for i in data["images"] if i["id"] in persons]
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Any] = []
    blob = bytearray()
    chunk = count = 0

    def flush() -> None:
        nonlocal chunk, rows
        if not rows:
            return
        sizes, boxes, keypoints, teacher, agreement = zip(*rows, strict=True)
        (out / f"{chunk:03d}.bin").write_bytes(blob)
        np.savez(
            out / f"{chunk:03d}.npz",
            ends=np.cumsum(sizes, dtype=np.int64),
            boxes=np.array(boxes, np.float32),
            keypoints=np.array(keypoints, np.float32),
            teacher=np.array(teacher, np.float32),
            agreement=np.array(agreement, np.float32),
        )
        chunk, rows = chunk + 1, []
        blob.clear()

    with ProcessPoolExecutor(jobs) as pool:
        for crops in pool.map(partial(_cut, side), pictures, chunksize=16):
            for jpeg, *labels in crops:
                if len(blob) + len(jpeg) > CHUNK_BYTES:
                    flush()
                blob += jpeg
                rows.append((len(jpeg), *labels))
                count += 1
    flush()
    return count


def _cut(most: int, picture: tuple[Path, list[dict[str, Any]]]) -> list[tuple[Any, ...]]:
    path, annotations = picture
    image = load_image(path)
    return [_cut_person(image, annotation, most) for annotation in annotations]


def _cut_person(image: NDArray[np.uint8], annotation: dict[str, Any], most: int) -> tuple[Any, ...]:
    x, y, w, h = annotation["bbox"]
    side = max(h, w / 0.75, 8.0) * PADDING * ROOM
    left, top = max(x + w / 2 - side / 2, 0), max(y + h / 2 - side / 2, 0)
    x0, y0 = int(left), int(top)
    x1, y1 = int(np.ceil(x + w / 2 + side / 2)), int(np.ceil(y + h / 2 + side / 2))
    crop = image[y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)]
    if 0 in crop.shape:
        raise ValueError(f"annotation {annotation['id']}: its bbox {annotation['bbox']} lies outside the picture")
    scale = min(1.0, most / side)
    if scale < 1:
        size = (max(round(crop.shape[1] * scale), 2), max(round(crop.shape[0] * scale), 2))
        sx, sy = size[0] / crop.shape[1], size[1] / crop.shape[0]
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    else:
        sx = sy = 1.0

    def place(points: list[float] | None) -> NDArray[np.float32]:
        if points is None:
            return np.zeros((17, 3), np.float32)
        out = np.array(points, np.float32).reshape(-1, 3)
        # Resizing maps pixel edges to pixel edges; centres lie at integers.
        out[:, 0] = (out[:, 0] - x0 + 0.5) * sx - 0.5
        out[:, 1] = (out[:, 1] - y0 + 0.5) * sy - 0.5
        return out

    corners = place([x, y, 0, x + w, y + h, 0])
    jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return (
        jpeg,
        corners[:, :2].reshape(4),
        place(None if annotation.get("pseudo") else annotation["keypoints"]),  # the teacher's own are no labels
        place(annotation.get("teacher_keypoints")),
        annotation.get("teacher_agreement", 1.0),
    )


class Crops:
    """Random access to the persons of several caches; cheap to send to worker processes."""

    def __init__(self, folders: list[Path]) -> None:
        self._files: list[Path] = []
        self.counts = dict.fromkeys(folders, 0)  # persons per folder, in the order of indices
        spans, parts = [], []
        for path in _chunks(folders):
            with np.load(path) as stored:
                ends = stored["ends"]
                starts = np.concatenate(([0], ends[:-1]))
                spans.append(np.stack((np.full_like(ends, len(self._files)), starts, ends), 1))
                parts.append([stored[k] for k in ("boxes", "keypoints", "teacher", "agreement")])
            self._files.append(path.with_suffix(".bin"))
            self.counts[path.parent] += len(ends)
        if not parts:
            raise FileNotFoundError(f"no packed crops in {', '.join(map(str, folders))}; make them with cache_crops.py")
        self._spans = np.concatenate(spans)
        self.labels = Labels(*(np.concatenate(p) for p in zip(*parts, strict=True)))
        self._maps: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._spans)

    def image(self, index: int, longest: int = 2**31) -> tuple[NDArray[np.uint8], float]:
        """The crop as BGR, halved where it stays at least `longest` pixels long, and the scale that was applied."""
        file, start, end = (int(v) for v in self._spans[index])
        if file not in self._maps:
            self._maps[file] = np.memmap(self._files[file], np.uint8, "r")
        data = self._maps[file][start:end]
        x0, y0, x1, y1 = self.labels.boxes[index]
        side = max(y1 - y0, (x1 - x0) / 0.75) * PADDING
        half = side >= 2 * longest
        image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{self._files[file]}: person {index} is damaged; pack the crops again")
        return image.astype(np.uint8, copy=False), 0.5 if half else 1.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


def _chunks(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob("*.npz"))
