"""A model file, opened: its session, its card, and the check that the two fit each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from .card import ModelCard
from .codecs.base import FloatArray
from .contracts import card_of
from .graph import Graph, without_ones
from .packaged import find_model
from .runtime import Providers, open_session

CropDtype: TypeAlias = Literal["float32", "float16", "uint8"]


class Model:
    """Runs the network of one ONNX file on batches of any size; several threads may share it.

    Attributes:
        path: of the file.
        card: its model card: that of the file or one inferred from the graph, below the fields that the caller sets.
        crop_dtype: of the crops that `run` takes.
        providers: ONNX Runtime's names of the providers that run it, in order of preference.

    Raises:
        See `leanpose.Estimator`, which passes its arguments on.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        providers: Providers = None,
        threads: int | None = None,
        card: ModelCard | Mapping[str, Any] | None = None,
    ) -> None:
        self.path = find_model(model)
        self._session = open_session(self.path, providers, threads)
        self._graph = Graph.of(self._session)
        try:
            self.card = card_of(self._session, self.path.stem, card)
        except ValueError as error:
            raise ValueError(f"model: '{self.path}': {error}") from error
        self._input, self._dtype = self._graph.input.name, self._graph.dtype
        self.crop_dtype: CropDtype = "uint8" if self._graph.takes_integers else cast(CropDtype, self._dtype)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._outputs = list(self.card.codec.outputs)
        shapes = self.card.codec.expected_shapes(len(self.card.keypoints), self.card.input.size)
        self._shapes = [shapes[name] for name in self._outputs]

    def run(self, batch: npt.NDArray[Any]) -> list[FloatArray]:
        """Outputs of the codec, in its order, for B inputs of shape `card.input.tensor_shape` and dtype `crop_dtype`.

        A graph of a fixed batch size is run as often as needed.
        """
        fixed = self.batch_size
        if fixed is None or fixed == len(batch):
            return self._run(batch)
        parts = []
        for start in range(0, len(batch), fixed):
            part = filled = batch[start : start + fixed]
            if len(part) < fixed:
                filled = np.concatenate((part, np.zeros((fixed - len(part), *part.shape[1:]), part.dtype)))
            parts.append([output[: len(part)] for output in self._run(filled)])
        return [_joined(outputs) for outputs in zip(*parts, strict=True)]

    @property
    def batch_size(self) -> int | None:
        """The batch size that the graph is fixed to; None where it is dynamic."""
        return self._graph.batch

    def feed(self, batch: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """What the session takes for a batch: tensors by name."""
        return {self._input: batch.astype(self._dtype, copy=False)}

    def _run(self, batch: npt.NDArray[Any]) -> list[FloatArray]:
        try:
            outputs = self._session.run(self._outputs, self.feed(batch))
        except Exception as error:  # ONNX Runtime's own classes, of no common base
            raise RuntimeError(f"model: '{self.path}' fails on a batch of shape {batch.shape}: {error}") from error
        return [
            _shaped(name, np.asarray(output, np.float32), (len(batch), *shape))
            for name, output, shape in zip(self._outputs, outputs, self._shapes, strict=True)
        ]


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    """The outputs of several runs, NaN behind the end of those that are shorter than others on some axis."""
    longest = tuple(max(lengths) for lengths in zip(*(part.shape[1:] for part in parts), strict=True))
    if all(part.shape[1:] == longest for part in parts):
        return np.concatenate(parts)
    joined = np.full((sum(map(len, parts)), *longest), np.nan, np.float32)
    start = 0
    for part in parts:
        joined[(slice(start, start + len(part)), *map(slice, part.shape[1:]))] = part
        start += len(part)
    return joined


def _shaped(name: str, output: FloatArray, expected: tuple[int | None, ...]) -> FloatArray:
    """The output in the expected shape, from which axes of length 1 may set it apart; None is any length."""
    ones = [axis for axis, length in enumerate(output.shape) if axis and length == 1]
    for axes in combinations(ones, max(output.ndim - len(expected), 0)):
        shape = [length for axis, length in enumerate(output.shape) if axis not in axes]
        if len(shape) == len(expected) and all(w in (None, h) for h, w in zip(shape, expected, strict=True)):
            return output.reshape(shape) if axes else output
    if None not in expected and without_ones(output.shape) == without_ones(expected):
        return output.reshape([length for length in expected if length is not None])
    raise ValueError(
        f"model card: output {name} has shape {output.shape}, but by the card's codec, keypoints and "
        f"input.size it should be {tuple('any' if length is None else length for length in expected)}"
    )
