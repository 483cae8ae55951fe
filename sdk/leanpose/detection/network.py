"""A detector's graph, opened: one picture in, arrays out."""

from __future__ import annotations

import ast
import os
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from ..card import METADATA_KEY
from ..graph import INPUT_TYPES, Graph
from ..packaged import find_model
from ..runtime import Providers, open_session
from .forms import Outputs


class Network:
    """Runs the graph of one ONNX file on one picture at a time; several threads may share it.

    Attributes:
        path: of the file.
        graph: its tensors.
        layout: of its input.
        dtype: of the pictures that `run` takes.
        providers: ONNX Runtime's names of the providers that run it, in order of preference.

    Raises:
        See `leanpose.Detector`, which passes its arguments on. ValueError where the input takes no picture.
    """

    def __init__(self, model: str | os.PathLike[str], providers: Providers = None, threads: int | None = None) -> None:
        self.path = find_model(model)
        self._session = open_session(self.path, providers, threads)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.graph = Graph.of(self._session)
        self._metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY in self._metadata:
            raise self.error("it has a model card, so it is a pose model; expected a detector of persons")
        self.layout = self.graph.layout
        inputs = self.graph.inputs
        if len(inputs) != 1 or inputs[0].type not in INPUT_TYPES or not inputs[0].fits((1, *self._axes((None, None)))):
            raise self.error(
                f"expected one input (1, 3, height, width) of {', '.join(INPUT_TYPES.values())}; export the detector "
                "with a batch of one and without further inputs"
            )
        self._input, self._dtype = inputs[0].name, self.graph.dtype
        integers = self.graph.takes_integers
        self.dtype = "uint8" if integers else cast(Literal["float32", "float16", "uint8"], self._dtype)

    def error(self, text: str) -> ValueError:
        """What is wrong with the file, with its inputs and outputs."""
        inputs, outputs = (
            "; ".join(f"{tensor} {tensor.type}" for tensor in tensors) or "none"
            for tensors in (self.graph.inputs, self.graph.outputs)
        )
        return ValueError(f"model: '{self.path}': {text}; its inputs: {inputs}; outputs: {outputs}")

    def _axes(self, size: tuple[int | None, int | None]) -> tuple[int | None, ...]:
        return (3, *size) if self.layout == "nchw" else (*size, 3)

    def run(self, picture: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for a picture (1, 3, height, width) or (1, height, width, 3), without their batch axis.

        Floats come as float32. RuntimeError where the graph fails.
        """
        try:
            outputs = self._session.run(None, {self._input: picture.astype(self._dtype, copy=False)})
        except Exception as error:  # ONNX Runtime's own classes, of no common base
            raise RuntimeError(f"model: '{self.path}' fails on an input of shape {picture.shape}: {error}") from error
        arrays = []
        for tensor, output in zip(self.graph.outputs, map(np.asarray, outputs), strict=True):
            if output.dtype.kind not in "fiu" or output.shape[:1] != (1,):
                raise self.error(
                    f"output {tensor.name} came with shape {output.shape} and dtype {output.dtype}; expected numbers "
                    "with a batch axis of length 1 first"
                )
            arrays.append(output[0].astype(np.float32, copy=False) if output.dtype.kind == "f" else output[0])
        return arrays

    def probe(self, size: tuple[int, int]) -> Outputs:
        """The outputs for a black picture of a height and width; ValueError where the graph takes none of that size."""
        picture = np.zeros((1, *(length or 0 for length in self._axes(size))), self.dtype)
        if not self.graph.input.fits(picture.shape):
            raise self.error(f"input_size: {size} is not the height and width of the graph's input")
        try:
            return self.run(picture)
        except RuntimeError as error:
            raise ValueError(f"{error}; does it take the input_size {size}?") from error

    def class_names(self) -> dict[int, str]:
        """Names by class, where the file lists them as Ultralytics' exports do; else nothing."""
        try:
            names = ast.literal_eval(self._metadata.get("names", ""))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return {}
        names = dict(enumerate(names)) if isinstance(names, list) else names
        sound = isinstance(names, dict) and all(isinstance(k, int) and isinstance(v, str) for k, v in names.items())
        return names if sound else {}
