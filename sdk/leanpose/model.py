"""A model file, opened: its session, its card, and the check that the two fit each other."""

from __future__ import annotations

import os

import numpy as np

from .card import METADATA_KEY, ModelCard
from .codecs.base import FloatArray
from .graph import Graph
from .packaged import find_model
from .runtime import Providers, open_session


class Model:
    """Runs the network of one ONNX file on batches of any size; several threads may share it.

    Attributes:
        path: of the file.
        card: its model card.
        providers: ONNX Runtime's names of the providers that run it, in order of preference.

    Raises:
        See `leanpose.Estimator`, which passes its arguments on.
    """

    def __init__(self, model: str | os.PathLike[str], providers: Providers = None, threads: int | None = None) -> None:
        self.path = find_model(model)
        self._session = open_session(self.path, providers, threads)
        self._graph = Graph.of(self._session)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ValueError(
                f"model: '{self.path}' has no model card (metadata key '{METADATA_KEY}'); "
                "add one with: leanpose card FILE --set ..."
            )
        try:
            self.card = ModelCard.from_json(metadata[METADATA_KEY])
            self._graph.check(self.card)
        except ValueError as error:
            raise ValueError(f"model: '{self.path}': {error}") from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """Outputs of the codec, in its order, for an input batch (B, 3, height, width).

        A graph of a fixed batch size is run as often as needed.
        """
        fixed = self._graph.batch
        if fixed is None or fixed == len(batch):
            return self._run(batch)
        parts = []
        for start in range(0, len(batch), fixed):
            part = batch[start : start + fixed]
            filled = np.concatenate((part, np.zeros((fixed - len(part), *part.shape[1:]), np.float32)))
            parts.append([output[: len(part)] for output in self._run(filled)])
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _run(self, batch: FloatArray) -> list[FloatArray]:
        names = list(self.card.codec.outputs)
        try:
            outputs = self._session.run(names, {self._graph.input.name: batch})
        except Exception as error:  # ONNX Runtime's own classes, of no common base
            raise RuntimeError(f"model: '{self.path}' fails on a batch of shape {batch.shape}: {error}") from error
        shapes = self.card.codec.expected_shapes(len(self.card.keypoints), self.card.input.size)
        for name, output in zip(names, outputs, strict=True):
            if output.shape != (len(batch), *shapes[name]):
                raise ValueError(
                    f"model card: output {name} has shape {output.shape}, but by the card's codec, keypoints and "
                    f"input.size it should be {(len(batch), *shapes[name])}"
                )
        return [np.asarray(output, np.float32) for output in outputs]
