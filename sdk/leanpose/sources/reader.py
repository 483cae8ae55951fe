"""What every kind of source does: give its frames in order, skip those that cannot be read, say what it knows."""

from __future__ import annotations

import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from typing import Any

from ..images import ImageLike, load_image
from .frame import Frame

logger = logging.getLogger("leanpose")

# Where neither the source nor the caller tells the frame rate: that of ffmpeg for numbered pictures.
DEFAULT_FPS = 25.0
_HIGHEST_FPS = 10_000.0  # beyond it, what a header tells is damaged


class Reader(ABC):
    """Reads a source from its first frame to its last.

    Attributes:
        name: of the source, for messages.
        fps: frames per second, or None where unknown.
        length: number of frames, or None where unknown.
        size: height and width in pixels, or None where unknown or where frames differ.
        skipped: frames that could not be read so far.
    """

    def __init__(
        self, name: str, fps: float | None = None, length: int | None = None, size: tuple[int, int] | None = None
    ) -> None:
        self.name, self.fps, self.length, self.size = name, fps, length, size
        self.skipped = 0

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """The frames that can be read, in order."""

    @abstractmethod
    def release(self) -> None:
        """Gives back what the reader holds; again does nothing."""

    def skip(self, index: int, name: str, why: object) -> None:
        """Reports a frame that cannot be read."""
        self.skipped += 1
        logger.warning("skipped frame %d, %s: %s", index, name, why)

    def refuse_nothing(self, given: int, what: str = "frame") -> None:
        """ValueError where not a single frame could be read."""
        if not given:
            raise ValueError(f"source: '{self.name}' holds no {what} that can be read")


class Pictures(Reader):
    """The pictures of an iterable, such as the paths in a folder or a generator of arrays."""

    def __init__(self, name: str, pictures: Iterable[ImageLike | Frame], fps: float | None) -> None:
        length = len(pictures) if isinstance(pictures, Sized) else None
        super().__init__(name, fps, length)
        self._pictures: Any = iter(pictures)

    def frames(self) -> Iterator[Frame]:
        """The pictures; what the iterable or a picture of a wrong type raises is not caught."""
        given, problem = 0, None
        for index, picture in enumerate(self._pictures):
            frame = picture if isinstance(picture, Frame) else None
            name = os.fsdecode(picture) if isinstance(picture, str | os.PathLike) else self.name
            try:
                image = load_image(picture if frame is None else frame.image)
            except TypeError as error:  # the caller's mistake, which every frame to come would repeat
                raise TypeError(f"source: frame {index}: {error}") from error
            except (OSError, ValueError) as error:
                problem = error
                self.skip(index, name if frame is None else frame.name, error)
            else:
                time = index / (self.fps or DEFAULT_FPS)
                yield Frame(image, index, time, name) if frame is None else replace(frame, image=image)
                given += 1
        if problem is not None and not given:
            raise problem

    def release(self) -> None:
        """Closes the iterable where it is a generator."""
        if hasattr(self._pictures, "close"):
            self._pictures.close()


class Clock:
    """Times that always rise: those of the container where they do, else the frame rate's."""

    def __init__(self, fps: float | None) -> None:
        self._period = 1 / (fps or DEFAULT_FPS)
        self._next_index, self._last = 0, -math.inf

    def time(self, index: int, told: float | None) -> float:
        """Seconds of frame `index` (rising), for which the container told so many."""
        if told is None or not (math.isfinite(told) and told >= max(self._last + 1 / _HIGHEST_FPS, 0)):
            told = max(self._last, -self._period) + (index - self._next_index + 1) * self._period
        self._next_index, self._last = index + 1, told
        return told


def sound_fps(fps: float) -> float | None:
    """A frame rate as a header tells it, or None where it cannot be one."""
    return fps if math.isfinite(fps) and 0 < fps <= _HIGHEST_FPS else None
