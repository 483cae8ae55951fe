"""Strict reading of JSON objects: every field is asked for once, and an error names the one that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LARGEST_SIDE = 4096  # of an input; beyond any pose network, and a batch of them still fits into memory


class Fields:
    """The fields of one JSON object inside a model card; `where` is its path, "" for the card itself.

    `younger` holds fields that came later than the first cards, with what they mean where an older card lacks them.
    """

    def __init__(self, data: Mapping[str, Any], where: str, younger: Mapping[str, Any] | None = None) -> None:
        self._where = where
        if not isinstance(data, Mapping):
            raise ValueError(f"model card: {where or 'card'}: expected an object, got {type(data).__name__}")
        self._data, self._left = {**(younger or {}), **data}, set(data)

    def _path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _fail(self, name: str, expected: str, value: Any) -> ValueError:
        return ValueError(f"model card: field {self._path(name)}: expected {expected}, got {value!r:.80}")

    def take(self, name: str) -> Any:
        """The value of a field; ValueError where the object lacks it."""
        if name not in self._data:
            raise ValueError(f"model card: field {self._path(name)} is missing")
        self._left.discard(name)
        return self._data[name]

    def text(self, name: str) -> str:
        """A string that is not empty."""
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise self._fail(name, "a string", value)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the given strings."""
        value = self.take(name)
        if value not in choices or not isinstance(value, str):
            raise self._fail(name, "one of " + ", ".join(choices), value)
        return value

    def number(
        self,
        name: str,
        *,
        above: float = -math.inf,
        least: float = -math.inf,
        most: float = math.inf,
        integer: bool = False,
    ) -> float:
        """A finite number greater than `above`, at least `least` and at most `most`."""
        value = self.take(name)
        if not _is_number(value, integer) or not (value > above and least <= value <= most):
            kind = "an integer" if integer else "a finite number"
            bound = f" above {above:g}" if above > -math.inf else ""
            bound += f" from {least:g}" if least > -math.inf else ""
            bound += f" up to {most:g}" if most < math.inf else ""
            raise self._fail(name, kind + bound, value)
        return float(value)

    def optional_number(
        self, name: str, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
    ) -> float | None:
        """As `number`, or null."""
        return None if self.take(name) is None else self.number(name, above=above, least=least, most=most)

    def optional_text(self, name: str) -> str | None:
        """A string that is not empty, or null."""
        return None if self.take(name) is None else self.text(name)

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of an input in pixels."""
        height, width = self.numbers(name, 2, least=2, most=LARGEST_SIDE, integers=True)
        return int(height), int(width)

    def flag(self, name: str) -> bool:
        """True or False."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self._fail(name, "true or false", value)
        return value

    def numbers(
        self,
        name: str,
        count: int,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        above: float = -math.inf,
        integers: bool = False,
    ) -> tuple[float, ...]:
        """So many finite numbers, each from `least` to `most` and greater than `above`."""
        value = self.take(name)
        sound = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == count
        if not sound or not all(_is_number(v, integers) and least <= v <= most and v > above for v in value):
            kind = "integers" if integers else "finite numbers"
            bound = f" from {least:g} to {most:g}" if least > -math.inf else ""
            bound += f" above {above:g}" if above > -math.inf else ""
            raise self._fail(name, f"{count} {kind}{bound}", value)
        return tuple(float(v) for v in value)

    def optional_indices(self, name: str) -> tuple[int, ...] | None:
        """The numbers from 0 on, each once, in any order; or null."""
        value = self.take(name)
        if value is None:
            return None
        integers = isinstance(value, list | tuple) and all(_is_number(v, integer=True) for v in value)
        if not integers or sorted(value) != list(range(len(value))):
            raise self._fail(name, "the numbers of all keypoints from 0, each once, or null", value)
        return tuple(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.take(name)
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self._fail(name, "a list of strings", value)
        return tuple(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object."""
        value = self.take(name)
        if not isinstance(value, Mapping):
            raise self._fail(name, "an object", value)
        return value

    def mappings(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """A list of objects."""
        value = self.take(name)
        if not isinstance(value, list | tuple) or not all(isinstance(v, Mapping) for v in value):
            raise self._fail(name, "a list of objects", value)
        return tuple(value)

    def done(self) -> None:
        """ValueError where a field was never asked for: it is misspelt or of another version."""
        if self._left:
            raise ValueError(
                f"model card: {self._where or 'card'}: unknown field {', '.join(sorted(map(str, self._left)))}"
            )


def _is_number(value: Any, integer: bool) -> bool:
    kinds = int if integer else (int, float)
    # Beyond 1e9 no field means anything, and products of sizes would overflow; NaN compares false.
    return isinstance(value, kinds) and not isinstance(value, bool) and -1e9 <= value <= 1e9
