"""What all sinks have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ..results import Poses
from ..sources import Frame

_Self = TypeVar("_Self", bound="Sink")


class Sink(ABC):
    """Takes frames with their poses, one by one, and writes them.

    Leaving a ``with`` block finishes the files, after an error or Ctrl-C too: what was written until then is kept. A
    file carries a temporary name until it is finished, so that there is never half a file under its own.
    """

    @abstractmethod
    def write(self, frame: Frame, poses: Poses) -> None:
        """Write one frame. OSError where that fails, ValueError where the frame does not fit those before."""

    def close(self) -> None:  # noqa: B027  # one file per frame leaves nothing to finish
        """Finish what is written; again does nothing. OSError where that fails."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_file(path: Path) -> None:
    """OSError where something other than a file lies at the path, such as a device, which must not be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder; expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise OSError(f"'{path}' is a device or pipe; expected the name of a file to write")


def temporary(path: Path) -> Path:
    """Name of a file while it is written: hidden, in the same folder, with the same suffix."""
    return path.with_name(f".{path.stem}.part{path.suffix}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name complete or not at all; OSError where that fails."""
    require_file(path)
    part = temporary(path)
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class TextSink(Sink):
    """A text file that grows entry by entry.

    Attributes:
        path: where it lies once finished.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        require_file(self.path)
        # Unbuffered, so that what is on disk is known when a disk is full or Ctrl-C comes.
        self._file = open(temporary(self.path), "wb", buffering=0)  # noqa: SIM115  # open from here to close
        self._end = 0

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._file.closed:
            return
        with self._file as file:
            # Of an entry that could not be written as a whole, no part stays.
            file.seek(self._end)
            file.truncate()
            self.append(self.trailer())
        os.replace(temporary(self.path), self.path)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been appended."""
        return self._end == 0

    def append(self, text: str) -> None:
        """Add text that stays in the file even if the next one fails."""
        # File names that are not Unicode hold surrogates, for which "\\udcff" is right in JSON.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[self._file.write(data) :]
        self._end = self._file.tell()

    def trailer(self) -> str:
        """What ends the file."""
        return ""
