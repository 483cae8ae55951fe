"""`leanpose card FILE --set FIELD=VALUE ...`: makes a model that people already have describe itself."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..contracts import card_of, edited_card, parse_fields
from ..metadata import read_card_json, write_card
from ..runtime import open_session


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
    given = parse_fields(options.set)
    try:
        session = open_session(options.file, "cpu")
    except ImportError:
        if stored is None:
            raise
        print("no ONNX Runtime is installed: the card is not checked against the graph", file=sys.stderr)
        card = edited_card(stored, given)
    else:
        card = card_of(session, options.file.stem, given)
    if stored is None:
        print(f"the file has no card: read from its graph as {card.codec.type}", file=sys.stderr)
    if options.set or options.output or stored is None:
        write_card(options.file, card, options.output)
    print(json.dumps(card.to_dict(), indent=2, ensure_ascii=False))
    return 0
