"""`open_source`: whatever the caller has becomes frames in order."""

from __future__ import annotations

import glob
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

import cv2
import numpy as np

from ..images import ImageLike
from ..reals import real_number
from .ahead import Ahead
from .frame import Frame
from .reader import Pictures, Reader
from .videos import AVVideo, Camera, OpenCVVideo, is_utf8

Backend: TypeAlias = Literal["cv2", "av"]
SourceLike: TypeAlias = "Source | str | os.PathLike[str] | int | ImageLike | Iterable[ImageLike | Frame]"

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_LAST_CAMERA = 2**31 - 1  # beyond it OpenCV fails
_ACCEPTED = "a video or picture file, a folder, a glob, a camera index or an iterable of pictures"


class Source(Iterator[Frame]):
    """The frames of a video, a folder, a camera or an iterable, each once and in order, read ahead in a thread.

    It is an iterator, to be gone through once. Leaving a ``with`` block, `close` or dropping the object ends the thread
    and releases the file or the camera, at any point. A frame that cannot be read is reported to the logger "leanpose"
    with its number and name, counted in `skipped` and left out; its number is not given to another.
    """

    def __init__(self, reader: Reader, ahead: int) -> None:
        self._reader = reader
        self._frames = Ahead(reader.frames(), reader.release, ahead)

    @property
    def name(self) -> str:
        """Name of the source, for messages."""
        return self._reader.name

    @property
    def fps(self) -> float | None:
        """Frames per second; None where neither the source nor the caller told."""
        return self._reader.fps

    @property
    def length(self) -> int | None:
        """Number of frames, with those that cannot be read, as the source counts them; None where unknown."""
        return self._reader.length

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the frames in pixels; None where unknown or where they may differ."""
        return self._reader.size

    @property
    def skipped(self) -> int:
        """Number of frames so far that could not be read, of those ahead too."""
        return self._reader.skipped

    @property
    def seconds(self) -> float:
        """Seconds that reading took so far, mostly while the caller did something else."""
        return self._frames.seconds

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Ends the thread and releases the file or the camera; there are no more frames."""
        self._frames.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Source({self.name!r}, fps={self.fps}, length={self.length}, size={self.size})"


def open_source(source: SourceLike, *, backend: Backend = "cv2", ahead: int = 4, fps: float | None = None) -> Source:
    """Opens whatever gives frames.

    Args:
        source: path or address (with "://") of a video; path of a picture; a folder, whose pictures come in natural
            order (2 before 10); a glob such as "shots/*.png", in the same order; the index of a camera; a picture; or
            an iterable of pictures as for `load_image`, or of frames. A `Source` is given back as it is.
        backend: what decodes videos: "cv2", or "av" for PyAV (``pip install 'leanpose[av]'``).
        ahead: frames that are read ahead at most, in a thread; 0 reads each when it is asked for, without a thread.
        fps: frames per second of sources that do not tell. Without it their times are those of 25.

    The times of frames are those of the container; where it has none that rise, they follow from the frame rate.

    Raises:
        FileNotFoundError: there is nothing at the path, or a glob finds nothing.
        ValueError: the file is neither a picture nor a video, a folder has no pictures, an argument is out of range.
            From the first frame on: a source of files of which none can be read.
        TypeError: the source is of another kind, or an argument of another type.
        OSError: a camera cannot be opened.
        ImportError: the backend is not installed.
    """
    if backend not in ("cv2", "av"):
        raise ValueError(f"backend: expected 'cv2' or 'av', got {backend!r}")
    _check_ahead(ahead)
    if fps is not None:
        fps = real_number("fps", fps)  # NumPy's numbers would pass into the times, which JSON takes as floats alone
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a positive finite number or None, got {fps:g}")
    return source if isinstance(source, Source) else Source(_reader(source, backend, fps), ahead)


def _check_ahead(ahead: object) -> None:
    if not isinstance(ahead, int) or isinstance(ahead, bool):
        raise TypeError(f"ahead: expected an integer, got {ahead!r}")
    if ahead < 0:
        raise ValueError(f"ahead: expected at least 0, got {ahead}")


def _reader(source: object, backend: Backend, fps: float | None) -> Reader:
    if isinstance(source, bool | bytes) or source is None:
        raise TypeError(f"source: expected {_ACCEPTED}; got {source!r}")
    if isinstance(source, int | np.integer):
        if not 0 <= source <= _LAST_CAMERA:
            raise ValueError(f"source: expected a camera index from 0 to {_LAST_CAMERA}, got {source}")
        return Camera(int(source), fps)
    if isinstance(source, str | os.PathLike):
        return _files(os.fsdecode(source), backend, fps)
    pil = sys.modules.get("PIL.Image")
    if (isinstance(source, np.ndarray) and source.ndim < 4) or (pil is not None and isinstance(source, pil.Image)):
        return Pictures("picture", [source], fps)
    if not isinstance(source, Iterable):
        raise TypeError(f"source: expected {_ACCEPTED}; got {type(source).__name__}")
    return Pictures("frames", source, fps)


def _files(path: str, backend: Backend, fps: float | None) -> Reader:
    if os.path.isdir(path):
        found = [str(entry) for entry in Path(path).iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES]
        if not found:
            raise ValueError(f"source: the folder '{path}' holds no picture ({', '.join(PICTURE_SUFFIXES)})")
        return Pictures(path, natural_order(found), fps)
    address = "://" in path
    if not address and not os.path.lexists(path):
        if not glob.has_magic(path):
            raise FileNotFoundError(f"source: there is no file '{path}'")
        found = [name for name in glob.glob(path, recursive=True) if not os.path.isdir(name)]
        if not found:
            raise FileNotFoundError(f"source: the pattern '{path}' finds no file")
        return Pictures(path, natural_order(found), fps)
    if not address and os.path.getsize(path) == 0:
        raise ValueError(f"source: '{path}' is an empty file")
    if not address and is_picture(path):
        return Pictures(path, [path], fps)
    return (AVVideo if backend == "av" else OpenCVVideo)(path, fps)


def is_picture(path: str) -> bool:
    """Whether a path is that of a picture, by its suffix, else by what the file holds."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in PICTURE_SUFFIXES:
        return True
    # By content. A GIF is a video, and some OpenCV releases crash on a name that is not UTF-8.
    return suffix != ".gif" and is_utf8(path) and bool(cv2.haveImageReader(path))


def natural_order(paths: list[str]) -> list[str]:
    """Paths by name, with the numbers in names by their value."""

    def key(path: str) -> tuple[list[str | int], str]:
        parts = re.split(r"([0-9]+)", path)  # text and numbers alternate, so that they are never compared
        return [int(part) if number % 2 else part.lower() for number, part in enumerate(parts)], path

    return sorted(paths, key=key)
