"""A model file, opened: its session, its card, and the check that the two fit each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .card import METADATA_KEY, ModelCard
from .codecs.base import FloatArray
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
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ValueError(
                f"model: '{self.path}' has no model card (metadata key '{METADATA_KEY}'); "
                "add one with: leanpose card FILE --set ..."
            )
        try:
            self.card = ModelCard.from_json(metadata[METADATA_KEY])
            self._check()
        except ValueError as error:
            raise ValueError(f"model: '{self.path}': {error}") from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())

    @property
    def session(self) -> Any:
        """The onnxruntime.InferenceSession."""
        return self._session

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """Outputs of the codec, in its order, for an input batch (B, 3, height, width).

        A graph of a fixed batch size is run as often as needed.
        """
        fixed = self._fixed_batch
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
            outputs = self._session.run(names, {self._input: batch})
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

    def _check(self) -> None:
        card = self.card
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ValueError(f"expected one input, the graph has {len(inputs)}: {', '.join(i.name for i in inputs)}")
        (tensor,) = inputs
        if tensor.type != "tensor(float)":
            raise ValueError(f"expected a float32 input, the graph's {tensor.name} is {tensor.type}")
        if not _fits(tensor.shape, (None, 3, *card.input.size)):
            raise ValueError(
                f"model card: field input.size: {list(card.input.size)} does not fit the graph's input "
                f"{tensor.name} {tensor.shape}; expected (batch, 3, height, width)"
            )
        self._input: str = tensor.name
        batch = tensor.shape[0]
        if batch == 0:
            raise ValueError(f"expected a dynamic or positive batch size, the graph's {tensor.name} has {tensor.shape}")
        self._fixed_batch: int | None = batch if isinstance(batch, int) else None
        outputs = {output.name: output for output in self._session.get_outputs()}
        shapes = card.codec.expected_shapes(len(card.keypoints), card.input.size)
        for name, shape in shapes.items():
            if name not in outputs:
                raise ValueError(
                    f"model card: field codec: the graph has no output {name!r}, only {', '.join(outputs) or 'none'}"
                )
            if outputs[name].type not in ("tensor(float)", "tensor(float16)", "tensor(double)"):
                raise ValueError(f"model card: field codec: output {name} is {outputs[name].type}, expected floats")
            if not _fits(outputs[name].shape, (None, *shape)):
                raise ValueError(
                    f"model card: fields codec, keypoints and input.size ask for output {name} (batch, "
                    f"{', '.join(map(str, shape))}), but the graph gives {outputs[name].shape}"
                )


def _fits(actual: Sequence[int | str | None], expected: Sequence[int | None]) -> bool:
    """Whether a graph's shape, of which names and None are dynamic, may be the expected one."""
    return len(actual) == len(expected) and all(
        have == want for have, want in zip(actual, expected, strict=True) if isinstance(have, int) and want is not None
    )
