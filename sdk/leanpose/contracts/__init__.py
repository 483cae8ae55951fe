"""Contracts of pose models: the card of a file that has none, read from its graph. One module per family."""

from __future__ import annotations

from .inference import CONTRACTS, card_of, edited_card, infer_card
from .overlay import parse_fields

__all__ = ["CONTRACTS", "card_of", "edited_card", "infer_card", "parse_fields"]
