"""The tensors that a model's graph takes and gives, and the check that a card fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .card import ModelCard

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


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

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape))}]"


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
        """The only input."""
        return self.inputs[0]

    @property
    def batch(self) -> int | None:
        """The batch size that the graph is fixed to; None where it is dynamic."""
        length = self.input.shape[0]
        return length if isinstance(length, int) else None

    def check(self, card: ModelCard) -> None:
        """ValueError where the graph is none of a pose model, or a field of the card does not fit it."""
        if len(self.inputs) != 1:
            names = ", ".join(tensor.name for tensor in self.inputs)
            raise ValueError(f"expected one input, the graph has {len(self.inputs)}: {names}")
        if self.input.type != "tensor(float)":
            raise ValueError(f"expected a float32 input, the graph's {self.input.name} is {self.input.type}")
        if not self.input.fits((None, 3, *card.input.size)):
            raise ValueError(
                f"model card: field input.size: {list(card.input.size)} does not fit the graph's input "
                f"{self.input}; expected (batch, 3, height, width)"
            )
        if self.batch == 0:
            raise ValueError(f"expected a dynamic or positive batch size, the graph's input is {self.input}")
        outputs = {output.name: output for output in self.outputs}
        for name, shape in card.codec.expected_shapes(len(card.keypoints), card.input.size).items():
            if name not in outputs:
                raise ValueError(
                    f"model card: field codec: the graph has no output {name!r}, only {', '.join(outputs) or 'none'}"
                )
            if outputs[name].type not in _FLOATS:
                raise ValueError(f"model card: field codec: output {name} is {outputs[name].type}, expected floats")
            if not outputs[name].fits((None, *shape)):
                raise ValueError(
                    f"model card: fields codec, keypoints and input.size ask for output {name} "
                    f"[batch, {', '.join(map(str, shape))}], but the graph gives {outputs[name]}"
                )
