"""`leanpose card FILE --set FIELD=VALUE ...`: makes a model that people already have describe itself."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..card import ModelCard
from ..codecs import CODECS, SimCC
from ..graph import Graph
from ..keypoints import COCO17
from ..metadata import read_card_json, write_card
from ..runtime import open_session

# The commonest contract of SimCC models; the card still has to fit the graph when the file is opened.
_START: dict[str, Any] = {
    "version": 1,
    "name": "model",
    "input": {
        "size": [256, 192],
        "color": "rgb",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "padding": 1.25,
        "transform": "plain",
    },
    "codec": {"type": SimCC.type, **SimCC().to_dict()},
    "keypoints": COCO17.to_dict(),
    "training_data": [],
    "accuracy": [],
    "license": "unknown",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", type=Path, help="ONNX file")
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field by its path, as input.size=[256,192] or codec.score_rule=mean; values are JSON, else text",
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="write here instead of changing FILE")


def run(options: argparse.Namespace) -> int:
    """Write the card and print it."""
    stored = read_card_json(options.file)
    if stored is None:
        data = {**json.loads(json.dumps(_START)), "name": options.file.stem}
        print("the file has no card: starting from an RTMPose-style SimCC model of COCO-17 keypoints", file=sys.stderr)
    else:
        # Not checked yet: --set may be there to mend it.
        data = json.loads(stored)
        if not isinstance(data, dict):
            raise ValueError(f"model card: expected a JSON object, got {type(data).__name__}")
    for assignment in options.set:
        _assign(data, assignment)
    card = ModelCard.from_dict(data)
    try:
        Graph.of(open_session(options.file, "cpu")).check(card)
    except ImportError:
        print("no ONNX Runtime is installed: the card is not checked against the graph", file=sys.stderr)
    if options.set or options.output or stored is None:
        write_card(options.file, card, options.output)
    print(json.dumps(card.to_dict(), indent=2, ensure_ascii=False))
    return 0


def _assign(data: dict[str, Any], assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"--set {assignment}: expected FIELD=VALUE")
    *parents, name = path.split(".")
    node = data
    for parent in parents:
        node = node.get(parent, None)  # type: ignore[assignment]
        if not isinstance(node, dict):
            raise ValueError(f"--set {assignment}: the card has no object {parent!r}")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if path == "codec.type" and value != node.get(name) and isinstance(value, str) and value in CODECS:
        node.clear()  # the parameters of one codec mean nothing to another
        node.update(CODECS[value]().to_dict())
        if CODECS[value].finds_persons:
            _assign(data, "input.padding=1.0")  # whole pictures come without a margin
    node[name] = value
