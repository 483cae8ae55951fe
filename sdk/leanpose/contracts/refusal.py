"""Errors that say which fields would settle what a graph leaves open, in Python and on the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..codecs import CODECS
from ..graph import Graph, Tensor
from .reading import Reading

_MOST = 8  # tensors or ways that a message lists


def unknown(graph: Graph) -> ValueError:
    """None of the known contracts fits."""
    output = graph.outputs[0].name if graph.outputs else "NAME"
    ways = _ways({"codec.type": "heatmap", "codec.heatmaps": output})
    return ValueError(
        f"no model card, and no known contract of pose models fits the graph: {describe(graph)}; where one of the "
        f"codecs {', '.join(CODECS)} does, set codec.type and its fields: {ways}; see docs/model-card.md"
    )


def several(graph: Graph, readings: Sequence[Reading]) -> ValueError:
    """More than one contract fits: each with the fields in which it differs from the others."""
    choices = [reading.choices for reading in readings]
    paths = dict.fromkeys(path for choice in choices for path in choice)
    telling = [path for path in paths if any(choice.get(path) != choices[0].get(path) for choice in choices)]
    told = [
        {path: choice[path] for path in telling if path in choice} | dict(reading.doubts)
        for choice, reading in zip(choices, readings, strict=True)
    ]
    ways = "; or ".join(map(_ways, told[:_MOST]))
    return ValueError(
        f"no model card, and the graph can be read in {len(readings)} ways: {describe(graph)}; say which: {ways}"
    )


def doubtful(graph: Graph, missing: Mapping[str, Any]) -> ValueError:
    """The graph does not tell some fields, given here with a value that they may have."""
    return ValueError(
        f"no model card, and the graph does not tell {', '.join(missing)}: {describe(graph)}; "
        f"set what is right, for example: {_ways(missing)}"
    )


def describe(graph: Graph) -> str:
    """Its inputs and outputs, the first of many."""
    inputs, outputs = (_names(tensors) for tensors in (graph.inputs, graph.outputs))
    return f"inputs {inputs}; outputs {outputs}"


def _names(tensors: Sequence[Tensor]) -> str:
    more = f"; and {len(tensors) - _MOST} more" if len(tensors) > _MOST else ""
    return "; ".join(map(str, tensors[:_MOST])) + more or "none"


def _ways(fields: Mapping[str, Any]) -> str:
    settings = " ".join(f"--set {shlex.quote(f'{path}={_text(value)}')}" for path, value in fields.items())
    return f"Estimator(model, card={json.dumps(fields)}) or leanpose card FILE {settings}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
