"""`leanpose info MODEL`: card, or family of a detector, inputs, outputs, size, other metadata."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress

from ..card import METADATA_KEY, ModelCard
from ..contracts import card_of
from ..detection import Detector
from ..graph import Graph, Tensor
from ..packaged import find_model
from ..runtime import open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("model", metavar="MODEL", help="ONNX file or name of a packaged model")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what the model says of itself; without a card, its tensors at least."""
    path = find_model(options.model)
    session = open_session(path, "cpu")
    graph, size = Graph.of(session), path.stat().st_size
    metadata = dict(sorted(session.get_modelmeta().custom_metadata_map.items()))
    text = metadata.pop(METADATA_KEY, None)
    card, detector, problem = None, None, ""
    try:
        card = card_of(session, path.stem)
    except ValueError as error:
        problem = str(error)
    if card is None and text is None:
        with suppress(ValueError):
            detector = Detector(path, providers="cpu")
    if options.json:
        described = {
            "path": str(path),
            "bytes": size,
            "inputs": _shapes(graph.inputs),
            "outputs": _shapes(graph.outputs),
            "card": card.to_dict() if card else None,
            "metadata": metadata,
        }
        if detector is not None:
            described["detector"] = dict(_describe_detector(detector))
        elif card is None:
            described["problem"] = problem
        elif text is None:
            described["card_is_inferred"] = True
        print(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        rows = [
            ("file", f"{path} ({size / 1e6:.1f} MB)"),
            ("inputs", "; ".join(map(str, graph.inputs))),
            ("outputs", "; ".join(map(str, graph.outputs))),
            *([("card", "none: what follows is read from the graph")] if card and text is None else []),
            *(_describe(card) if card else _describe_detector(detector) if detector else [("card", problem)]),
            *(("metadata", f"{key}: {' '.join(value.split())}") for key, value in metadata.items()),
        ]
        for name, value in rows:
            print(f"{name:<11} {value}")
    return 1 if text is not None and card is None else 0


def _describe(card: ModelCard) -> list[tuple[str, str]]:
    height, width = card.input.size
    spec = f"{height} x {width} (height x width), {card.input.color}, padding {card.input.padding:g}"
    return [
        ("name", card.name),
        ("input", f"{spec}, {card.input.transform} transform"),
        ("mean, std", f"{_numbers(card.input.mean)}; {_numbers(card.input.std)}"),
        ("codec", ", ".join([card.codec.type, *(f"{k} {v}" for k, v in card.codec.to_dict().items())])),
        ("persons", "found in pictures or regions of them" if card.codec.finds_persons else "one per box"),
        ("keypoints", f"{len(card.keypoints)}: {', '.join(card.keypoints.names)}"),
        *(("accuracy", f"{a.metric} {a.value:.4f} on {a.dataset}") for a in card.accuracy),
        *(("trained on", source) for source in card.training_data),
        ("licence", card.license),
    ]


def _describe_detector(detector: Detector) -> list[tuple[str, str]]:
    height, width = detector.input_size
    return [
        ("detector", f"of the family {detector.family}"),
        ("input", f"{height} x {width} (height x width), {detector.color}, {detector.resize}, border {detector.pad:g}"),
        ("mean, std", f"{_numbers(detector.mean)}; {_numbers(detector.std)}"),
        ("thresholds", f"score {detector.score_threshold:g}, suppression {detector.nms_threshold:g}"),
    ]


def _shapes(tensors: tuple[Tensor, ...]) -> dict[str, list[int | str | None]]:
    return {tensor.name: list(tensor.shape) for tensor in tensors}


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
