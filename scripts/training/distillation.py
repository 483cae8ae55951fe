"""A teacher's whole distributions over bins as targets (knowledge distillation)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanpose import SimCC, _core
from leanpose.model import Model

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Teacher:
    """A SimCC model of the same keypoints that looks at every training sample, at its own input size.

    Attributes:
        path: ONNX file; where its card gives a temperature the outputs are logits, else densities.
        split_ratio: bins per input pixel of the student.
        num_keypoints: of both.
    """

    path: Path
    split_ratio: float
    num_keypoints: int = 17

    def __call__(
        self, image: NDArray[np.uint8], matrix: NDArray[np.float64], input_size: tuple[int, int]
    ) -> tuple[Floats, Floats, Floats]:
        """Probabilities (K, bins) of x and y over the student's bins, and the teacher's scores (K,).

        Args:
            image: (H, W, 3) BGR.
            matrix: (2, 3) from pixels of the student's input to those of the image.
            input_size: height and width of the student's input.
        """
        model, codec = self._opened
        spec = model.card.input
        height, width = input_size
        across, down = width / spec.size[1], height / spec.size[0]  # pixels of the student's input per teacher's
        # Edges of one input lie on those of the other; centres lie at integers.
        finer = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
        batch = _core.crop(
            image,
            (matrix @ finer)[None],
            spec.size,
            spec.mean,
            spec.std,
            spec.color,
            (spec.border,) * 3,
            dtype=model.crop_dtype,
            layout=spec.layout,
        )
        x, y = (_densities(output[0], codec.temperature) for output in model.run(batch))
        return (
            _resampled(x, codec.split_ratio, round(width * self.split_ratio), self.split_ratio, across),
            _resampled(y, codec.split_ratio, round(height * self.split_ratio), self.split_ratio, down),
            np.minimum(x.max(-1), y.max(-1)),
        )

    def check(self) -> None:
        """Raises ValueError where the file is no SimCC model of so many keypoints."""
        self._open()

    @cached_property
    def _opened(self) -> tuple[Model, SimCC]:
        return self._open()  # in the process that uses it, as sessions do not survive a fork

    def _open(self) -> tuple[Model, SimCC]:
        model = Model(self.path, threads=1)
        codec, count = model.card.codec, len(model.card.keypoints)
        if not isinstance(codec, SimCC) or count != self.num_keypoints:
            raise ValueError(
                f"teacher: '{self.path}' is a {codec.type} model of {count} keypoints; expected a simcc model of "
                f"{self.num_keypoints}"
            )
        return model, codec


def _densities(outputs: Floats, temperature: float | None) -> Floats:
    """Nonnegative (K, bins) whose maximum is the score."""
    if temperature is None:
        return np.asarray(outputs.clip(0), np.float32)
    grown = np.exp((outputs - outputs.max(-1, keepdims=True)) / temperature)
    return np.asarray(grown / grown.sum(-1, keepdims=True), np.float32)


def _resampled(values: Floats, ratio: float, bins: int, new_ratio: float, step: float) -> Floats:
    """(K, bins) probabilities from values of `ratio` bins per pixel, each pixel as long as `step` new ones."""
    places = ((np.arange(bins) / new_ratio + 0.5) / step - 0.5) * ratio
    own = np.arange(values.shape[-1])
    sampled = np.stack([np.interp(places, own, row) for row in values])
    total = sampled.sum(-1, keepdims=True)
    shares = np.divide(sampled, total, out=np.full_like(sampled, 1 / bins), where=total > 0)
    return np.asarray(shares, np.float32)
