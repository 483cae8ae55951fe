"""The card of an open model: the file's own or one inferred from its graph, below the fields that a caller sets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..card import METADATA_KEY, InputSpec, ModelCard, input_layout, json_object
from ..codecs import CODECS, OneStage
from ..fields import Fields
from ..graph import FLOATS, Graph
from ..keypoints import COCO17
from . import direct, heatmap, one_stage, refusal, simcc
from .overlay import hints, lay_over
from .reading import BOTTOM_UP, GREY_LEVELS, MOST_KEYPOINTS, TOP_DOWN, Given, Outputs, Reading, Size, lengths

logger = logging.getLogger("leanpose")

CONTRACTS: tuple[Callable[[Size, Outputs, Given], Iterator[Reading]], ...] = (
    simcc.read,
    heatmap.read,
    direct.read,
    one_stage.read,
)


def card_of(session: Any, name: str, given: ModelCard | Mapping[str, Any] | None = None) -> ModelCard:
    """The card of an open model, checked against its graph.

    Args:
        session: onnxruntime.InferenceSession.
        name: of the model, where the file has no card.
        given: fields to set, by their paths, in the file's own card, or where it has none in one inferred from the
            graph; or a whole card in its place.

    Raises:
        ValueError: a field of the card is wrong or does not fit the graph, or the graph of a file without a card
            leaves fields open, which the message names.
        TypeError: `given` is of another type.
    """
    graph = Graph.of(session)
    if isinstance(given, ModelCard):
        card = ModelCard.from_json(given.to_json())  # a card built field by field is checked here
    else:
        fields = _fields(given)
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        card = infer_card(session, graph, name, fields) if text is None else edited_card(text, fields)
    graph.check(card)
    return card


def edited_card(text: str, given: Mapping[str, Any]) -> ModelCard:
    """The card of a file's metadata with fields set by their paths, which may mend it; ValueError as `card_of`."""
    data = json_object(text)
    lay_over(data, given)
    return ModelCard.from_dict(data)


def infer_card(session: Any, graph: Graph, name: str, given: Mapping[str, Any]) -> ModelCard:
    """The card that the graph's inputs and outputs tell, with fields set by their paths; ValueError as `card_of`."""
    single = hints(given)
    layout = input_layout(Fields({"layout": single.get("input.layout", graph.layout)}, "input"))
    given_size = single.get("input.size", graph.size(layout))
    if given_size is None:
        raise refusal.doubtful(graph, {"input.size": [256, 192]})
    size = Fields({"size": given_size}, "input").size("size")
    graph.check_input(size, layout)
    graph = graph.resolved(session, size, layout)
    reading = _read(graph, size, single)
    family = {**reading.input, **(GREY_LEVELS if graph.takes_integers else {})}
    data = ModelCard(name, InputSpec(size=size, layout=layout, **family), reading.codec, reading.keypoints).to_dict()
    lay_over(data, given)
    card = ModelCard.from_dict(data)
    logger.info(
        "no model card, read as %s of %d keypoints: %s", card.codec.type, reading.count, refusal.describe(graph)
    )
    return card


def _read(graph: Graph, size: Size, given: Given) -> Reading:
    """The only reading of the graph that agrees with the fields given."""
    outputs = [output for output in graph.outputs if output.type in FLOATS]
    readings = [reading for read in CONTRACTS for reading in read(size, outputs, given) if reading.agrees(given)]
    readings = [reading for reading in readings if reading.named] or readings
    if len(readings) > 1:
        raise refusal.several(graph, readings)
    if not readings and "codec.type" in given:
        kind = Fields({"type": given["codec.type"]}, "codec").choice("type", tuple(CODECS))
        return _default(kind, size, outputs)
    if not readings:
        raise refusal.unknown(graph)
    missing = {path: value for path, value in readings[0].doubts.items() if path not in given}
    if missing:
        raise refusal.doubtful(graph, missing)
    return readings[0]


def _default(kind: str, size: Size, outputs: Outputs) -> Reading:
    """The commonest parameters of a codec, for the caller's fields to be laid over."""
    codec = CODECS[kind]
    parameters = {"size": size} if "size" in codec.__dataclass_fields__ else {}
    channels = [shape[0] for shape in map(lengths, outputs) if shape and 0 < shape[0] <= MOST_KEYPOINTS]
    count = channels[0] if channels and codec is not OneStage else len(COCO17)
    return Reading(codec(**parameters), count, BOTTOM_UP if codec.finds_persons else TOP_DOWN)


def _fields(given: object) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(path, str) for path in given):
        raise TypeError(
            f'card: expected a ModelCard or a mapping of fields, as {{"input.color": "bgr"}}, got {given!r:.80}'
        )
    return given
