"""Names of the files that frames get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..sources import Frame

NameOf: TypeAlias = Callable[[Frame], str]


def picture_stem(frame: Frame) -> str | None:
    """Name without suffix of a frame's picture file; None where the frame is of a video, a camera or an iterable."""
    path = Path(frame.name)
    return path.stem if path.suffix and not frame.name.endswith(f"#{frame.index}") else None


class Names:
    """Gives each frame a name without suffix: the stem of its picture, or that of its source and its number.

    Where several pictures share a stem, the later ones get a number: a, a-2, a-3.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: Counter[str] = Counter()

    def __call__(self, frame: Frame) -> str:
        """The name of a frame; each call gives another one."""
        stem = picture_stem(frame)
        if stem is None:
            source = frame.name.removesuffix(f"#{frame.index}")
            stem = f"{Path(source).stem or 'frame'}-{frame.index:06}"
        return self.unique(stem)

    def unique(self, stem: str) -> str:
        """A name that no other call has been given, made from this one."""
        name = stem
        while name in self._taken:
            self._numbers[stem] += 1
            name = f"{stem}-{self._numbers[stem] + 1}"
        self._taken.add(name)
        return name
