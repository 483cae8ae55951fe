"""Batches over pictures: regions of many pictures share session runs, results come out picture by picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from .buffers import Buffers
from .codecs import Decoded
from .keypoints import KeypointSet
from .model import Model
from .profiling import Profile
from .results import Poses
from .values import of_sound

_MOST = 32  # regions per session run, each with two crops in a flip test: fills a GPU
_PIXELS = 2**21  # of the inputs of a run, at most, where they are large: bounds memory


class _Picture:
    """One picture while the persons in its regions arrive."""

    def __init__(
        self, shape: tuple[int, ...], boxes: npt.NDArray[np.float64], box_scores: npt.NDArray[np.float32]
    ) -> None:
        self._corner = np.array([shape[1], shape[0]], np.float32)
        self._boxes, self._box_scores = boxes.astype(np.float32), box_scores
        self._parts: list[Poses] = []
        self.missing = len(boxes)  # regions

    def take(self, decoded: Decoded, items: slice, first: int, keypoints: KeypointSet) -> None:
        """Adds the persons found in `items` of a batch, which are this picture's regions from `first` on."""
        regions = slice(first, first + items.stop - items.start)
        self.missing -= items.stop - items.start
        if decoded.boxes is None or decoded.person_scores is None:  # one person in each region
            poses = of_sound(
                Poses,
                xy=decoded.xy[items],
                keypoint_scores=decoded.scores[items],
                boxes=self._boxes[regions],
                box_scores=self._box_scores[regions],
                keypoints=keypoints,
            )
            self._parts.append(poses)
            return
        start, stop = np.searchsorted(decoded.items, (items.start, items.stop))
        persons = slice(int(start), int(stop))
        scores = self._box_scores[decoded.items[persons] - items.start + first] * decoded.person_scores[persons]
        corners = decoded.boxes[persons].reshape(-1, 2, 2)
        boxes, box_scores = np.clip(corners, 0, self._corner).reshape(-1, 4), np.clip(scores, 0, 1)
        self._parts.append(Poses(decoded.xy[persons], decoded.scores[persons], boxes, box_scores, keypoints, scores))

    def poses(self, keypoints: KeypointSet) -> Poses:
        """The persons of all regions."""
        if len(self._parts) == 1:
            return self._parts[0]
        return Poses.concatenate(self._parts) if self._parts else Poses.empty(keypoints)


def batch_buffers(model: Model, flip_test: bool) -> Buffers:
    """Memory for the crops of session runs: (regions, 1 or with their mirror images 2, *input)."""
    height, width = model.card.input.size
    capacity = max(1, min(_MOST, _PIXELS // (height * width)))
    return Buffers((capacity, 2 if flip_test else 1, *model.card.input.tensor_shape), model.crop_dtype)


class Batcher:
    """Crops regions straight into one batch, runs it when it is full and hands out finished pictures in order."""

    def __init__(self, model: Model, flip_test: bool, profile: Profile, buffers: Buffers) -> None:
        self._model, self._flip_test, self._profile, self._buffers = model, flip_test, profile, buffers
        self._capacity = buffers.shape[0]
        self._crops: npt.NDArray[Any] | None = None  # of `buffers`, from the first region on
        self._transforms = np.empty((self._capacity, 2, 3))
        self._filled = 0
        self._rows: list[tuple[_Picture, slice, int]] = []  # whose regions fill which part of the batch, from which on
        self._pictures: deque[_Picture] = deque()

    def add(
        self, image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64], box_scores: npt.NDArray[np.float32]
    ) -> Iterator[Poses]:
        """Takes the regions of a picture (H, W, 3) BGR and yields the pictures that are finished by now."""
        spec = self._model.card.input
        picture = _Picture(image.shape, boxes, box_scores)
        self._pictures.append(picture)
        transforms = _core.crop_transforms(boxes, spec.size, spec.padding, spec.transform)
        start = 0
        while start < len(boxes):
            stop = min(len(boxes), start + self._capacity - self._filled)
            batch = slice(self._filled, self._filled + stop - start)
            self._transforms[batch] = transforms[start:stop]
            flip = self._flip_test
            if self._crops is None:
                self._crops = self._buffers.take()
            out = self._crops[batch] if flip else self._crops[batch, 0]
            with self._profile.measure("crop", stop - start):
                _core.crop(
                    *(image, transforms[start:stop], spec.size, spec.mean, spec.std, spec.color, [spec.border] * 3),
                    dtype=self._model.crop_dtype,
                    layout=spec.layout,
                    flipped=flip,
                    out=out,
                )
            self._rows.append((picture, batch, start))
            self._filled, start = batch.stop, stop
            if self._filled == self._capacity:
                self._run()
        if len(self._pictures) >= self._capacity:  # pictures without regions must not queue up behind a half-full batch
            self._run()
        yield from self._finished()

    def finish(self) -> Iterator[Poses]:
        """Runs what is left and yields the remaining pictures."""
        self._run()
        if self._crops is not None:
            self._buffers.give_back(self._crops)
            self._crops = None
        yield from self._finished()

    def _run(self) -> None:
        if self._crops is None or not self._filled:
            return
        model, transforms = self._model, self._transforms[: self._filled]
        codec, crops = model.card.codec, self._crops[: self._filled]
        with self._profile.measure("pose", self._filled):
            outputs = model.run(crops.reshape(-1, *crops.shape[2:]))
        with self._profile.measure("keypoints", self._filled):
            if self._flip_test:
                plain, flipped = [output[0::2] for output in outputs], [output[1::2] for output in outputs]
                decoded = codec.decode_flipped(plain, flipped, transforms, model.card.keypoints.flip_index)
            else:
                decoded = codec.decode(outputs, transforms)
        for picture, items, first in self._rows:
            picture.take(decoded, items, first, model.card.keypoints)
        self._filled = 0
        self._rows.clear()

    def _finished(self) -> Iterator[Poses]:
        while self._pictures and not self._pictures[0].missing:
            yield self._pictures.popleft().poses(self._model.card.keypoints)
