"""Batches over pictures: persons of many pictures share session runs, results come out picture by picture."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from . import _core
from .model import Model
from .results import Poses

_CAPACITY = 32  # persons per session run, each with two crops in a flip test: fills a GPU, bounds memory


class _Picture:
    """The persons of one picture while their keypoints arrive."""

    def __init__(self, boxes: npt.NDArray[np.float64], box_scores: npt.NDArray[np.float32], num_keypoints: int) -> None:
        self.boxes, self.box_scores = boxes, box_scores
        self.xy = np.empty((len(boxes), num_keypoints, 2), np.float32)
        self.scores = np.empty((len(boxes), num_keypoints), np.float32)
        self.missing = len(boxes)


class Batcher:
    """Crops persons straight into one batch, runs it when it is full and hands out finished pictures in order."""

    def __init__(self, model: Model, flip_test: bool) -> None:
        self._model, self._flip_test = model, flip_test
        height, width = model.card.input.size
        copies = 2 if flip_test else 1  # a person's crop and its mirror image lie side by side
        self._crops = _aligned((_CAPACITY, copies, 3, height, width))
        self._transforms = np.empty((_CAPACITY, 2, 3))
        self._filled = 0
        self._rows: list[tuple[_Picture, slice]] = []  # whose persons fill the batch
        self._pictures: deque[_Picture] = deque()

    def add(
        self, image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64], box_scores: npt.NDArray[np.float32]
    ) -> Iterator[Poses]:
        """Takes the persons of a picture (H, W, 3) BGR and yields the pictures that are finished by now."""
        spec = self._model.card.input
        picture = _Picture(boxes, box_scores, len(self._model.card.keypoints))
        self._pictures.append(picture)
        transforms = _core.crop_transforms(boxes, spec.size, spec.padding, spec.transform)
        start = 0
        while start < len(boxes):
            stop = min(len(boxes), start + _CAPACITY - self._filled)
            batch = slice(self._filled, self._filled + stop - start)
            self._transforms[batch] = transforms[start:stop]
            flip = self._flip_test
            out = self._crops[batch] if flip else self._crops[batch, 0]
            _core.crop(
                *(image, transforms[start:stop], spec.size, spec.mean, spec.std, spec.color), flipped=flip, out=out
            )
            self._rows.append((picture, slice(start, stop)))
            self._filled, start = batch.stop, stop
            if self._filled == _CAPACITY:
                self._run()
        if len(self._pictures) >= _CAPACITY:  # pictures without persons must not queue up behind a half-full batch
            self._run()
        yield from self._finished()

    def finish(self) -> Iterator[Poses]:
        """Runs what is left and yields the remaining pictures."""
        self._run()
        yield from self._finished()

    def _run(self) -> None:
        if not self._filled:
            return
        model, transforms = self._model, self._transforms[: self._filled]
        codec, crops = model.card.codec, self._crops[: self._filled]
        outputs = model.run(crops.reshape(-1, *crops.shape[2:]))
        if self._flip_test:
            plain, flipped = [output[0::2] for output in outputs], [output[1::2] for output in outputs]
            xy, scores = codec.decode_flipped(plain, flipped, transforms, model.card.keypoints.flip_index)
        else:
            xy, scores = codec.decode(outputs, transforms)
        start = 0
        for picture, persons in self._rows:
            stop = start + persons.stop - persons.start
            picture.xy[persons], picture.scores[persons] = xy[start:stop], scores[start:stop]
            picture.missing -= stop - start
            start = stop
        self._filled = 0
        self._rows.clear()

    def _finished(self) -> Iterator[Poses]:
        while self._pictures and not self._pictures[0].missing:
            picture = self._pictures.popleft()
            yield Poses(
                picture.xy,
                picture.scores,
                picture.boxes.astype(np.float32),
                picture.box_scores,
                self._model.card.keypoints,
            )


def _aligned(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """An array that begins with a cache line: rows of crops that cross lines are a tenth slower to write."""
    size, line = math.prod(shape), 16
    memory = np.empty(size + line, np.float32)
    first = -memory.ctypes.data // memory.itemsize % line
    return memory[first : first + size].reshape(shape)
