"""Fields of a card set by their paths, as `input.color`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from ..codecs import CODECS
from ..keypoints import KeypointSet


def parse_fields(assignments: Iterable[str]) -> dict[str, Any]:
    """The fields of assignments FIELD=VALUE, whose values are JSON, else text; ValueError where one is none."""
    fields: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"card: {assignment!r}: expected FIELD=VALUE")
        try:
            fields[path] = json.loads(text)
        except ValueError:
            fields[path] = text
    return fields


def lay_over(data: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Sets fields in the JSON object of a card; ValueError where the card has no such object.

    Another `codec.type` comes first, whatever its place: it starts from that codec's commonest parameters.
    """
    for path in sorted(given, key=lambda path: path != "codec.type"):
        value = given[path]
        _assign(data, path, value.to_dict() if isinstance(value, KeypointSet) else value)


def hints(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same by the paths of single fields, where whole objects are given."""
    single: dict[str, Any] = {}
    for path, value in given.items():
        inner = value.to_dict() if isinstance(value, KeypointSet) else value
        if "." not in path and isinstance(inner, Mapping):
            single.update({f"{path}.{name}": field for name, field in inner.items()})
        else:
            single[path] = value
    return single


def _assign(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    node: Any = data
    for parent in parents:
        node = node.get(parent)
        if not isinstance(node, dict):
            raise ValueError(f"model card: field {path}: the card has no object {parent!r}")
    if path == "codec.type" and value != node.get(name) and isinstance(value, str) and value in CODECS:
        codec = CODECS[value]
        node.clear()  # the parameters of one codec mean nothing to another
        node.update(codec().to_dict())
        spec = data.get("input")
        if isinstance(spec, dict):
            if "size" in (field.name for field in fields(codec)):
                node["size"] = spec.get("size")
            if codec.finds_persons:
                spec["padding"] = 1.0  # whole pictures come without a margin
    node[name] = value
