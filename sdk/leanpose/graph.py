"""The tensors that a model's graph takes and gives, and the check that a card fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .card import Layout, ModelCard

FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
INPUT_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
}


@dataclass(frozen=True)
class Tensor:
    """A named tensor; lengths of `shape` that are names or None are dynamic, `type` is ONNX Runtime's name of it."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    def fits(self, expected: Sequence[int | None]) -> bool:
        """Whether the shape may be the expected one, in which None is any length."""
        return len(self.shape) == len(expected) and all(
            have == want
            for have, want in zip(self.shape, expected, strict=True)
            if isinstance(have, int) and want is not None
        )

    def gives(self, expected: Sequence[int | None]) -> bool:
        """Whether `fits`, or does so but for axes of length 1 behind the first."""
        given = replace(self, shape=without_ones(self.shape))
        return self.fits(expected) or given.fits(without_ones(expected))

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape))}]"


def without_ones(shape: Sequence[Any]) -> tuple[Any, ...]:
    """A shape without the axes of length 1 behind the first, that of the batch."""
    return (*shape[:1], *(length for length in shape[1:] if length != 1))


@dataclass(frozen=True)
class Graph:
    """Inputs and outputs of a graph, in its order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, session: Any) -> Graph:
        """The graph of an open onnxruntime.InferenceSession."""
        inputs, outputs = (
            tuple(Tensor(tensor.name, tensor.type, tuple(tensor.shape)) for tensor in tensors)
            for tensors in (session.get_inputs(), session.get_outputs())
        )
        return cls(inputs, outputs)

    @property
    def input(self) -> Tensor:
        """The only input; ValueError where there is none or another."""
        if len(self.inputs) != 1:
            names = ", ".join(tensor.name for tensor in self.inputs) or "none"
            raise ValueError(f"expected one input, the graph has {len(self.inputs)}: {names}")
        return self.inputs[0]

    @property
    def batch(self) -> int | None:
        """The batch size that the graph is fixed to; None where it is dynamic."""
        length = self.input.shape[0]
        return length if isinstance(length, int) else None

    @property
    def dtype(self) -> str:
        """NumPy's name of the input's dtype, where `check_input` finds no fault: one of `INPUT_TYPES`."""
        return INPUT_TYPES[self.input.type]

    @property
    def takes_integers(self) -> bool:
        """Whether the input holds grey levels 0..255."""
        return self.dtype in ("uint8", "int32")

    @property
    def layout(self) -> Layout:
        """Where the input's three channels lie; "nchw" where its shape does not tell."""
        shape = self.input.shape
        return "nhwc" if len(shape) == 4 and shape[3] == 3 and shape[1] != 3 else "nchw"

    def size(self, layout: Layout) -> tuple[int, int] | None:
        """Height and width of the input; None where one is dynamic."""
        shape = self.input.shape
        if len(shape) != 4:
            return None
        height, width = shape[2:] if layout == "nchw" else shape[1:3]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def resolved(self, session: Any, size: tuple[int, int], layout: Layout) -> Graph:
        """The graph with the shapes of the outputs for a black picture, where it leaves them open.

        ValueError where it fails on that picture.
        """
        if all(isinstance(length, int) for output in self.outputs for length in output.shape[1:]):
            return self
        shape = (self.batch or 1, 3, *size) if layout == "nchw" else (self.batch or 1, *size, 3)
        try:
            arrays = session.run(None, {self.input.name: np.zeros(shape, self.dtype)})
        except Exception as error:  # ONNX Runtime's own classes, of no common base
            raise ValueError(
                f"the graph leaves the shapes of its outputs open and fails on an input of shape {shape}: {error}"
            ) from error
        outputs = tuple(
            replace(output, shape=(*output.shape[:1], *getattr(array, "shape", ())[1:]))  # a sequence has none
            for output, array in zip(self.outputs, arrays, strict=True)
        )
        return replace(self, outputs=outputs)

    def check_input(self, size: tuple[int, int], layout: Layout) -> None:
        """ValueError where the graph takes anything but pictures, or those of another size or layout."""
        if self.input.type not in INPUT_TYPES:
            raise ValueError(
                f"expected an input of {', '.join(INPUT_TYPES.values())}, the graph's {self.input.name} is "
                f"{self.input.type}; export the model with one of these"
            )
        axes = (3, *size) if layout == "nchw" else (*size, 3)
        if not self.input.fits((None, *axes)):
            expected = "(batch, 3, height, width)" if layout == "nchw" else "(batch, height, width, 3)"
            raise ValueError(
                f"model card: field input.size: {list(size)} does not fit the graph's input {self.input}; "
                f"expected {expected}, as field input.layout is {layout}"
            )
        if self.batch == 0:
            raise ValueError(f"expected a dynamic or positive batch size, the graph's input is {self.input}")

    def check(self, card: ModelCard) -> None:
        """ValueError where the graph is none of a pose model, or a field of the card does not fit it."""
        self.check_input(card.input.size, card.input.layout)
        if self.takes_integers and (any(card.input.mean) or any(value != 1 for value in card.input.std)):
            raise ValueError(
                f"model card: fields input.mean and input.std: expected [0, 0, 0] and [1, 1, 1], as the graph's input "
                f"{self.input.name} is {self.dtype}"
            )
        outputs = {output.name: output for output in self.outputs}
        for name, shape in card.codec.expected_shapes(len(card.keypoints), card.input.size).items():
            if name not in outputs:
                raise ValueError(
                    f"model card: field codec: the graph has no output {name!r}, only {', '.join(outputs) or 'none'}"
                )
            if outputs[name].type not in FLOATS:
                raise ValueError(f"model card: field codec: output {name} is {outputs[name].type}, expected floats")
            if not outputs[name].gives((None, *shape)):
                axes = ", ".join("any" if length is None else str(length) for length in shape)
                raise ValueError(
                    f"model card: fields codec, keypoints and input.size ask for output {name} [batch, {axes}], "
                    f"but the graph gives {outputs[name]}"
                )
