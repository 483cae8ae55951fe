"""Video encoders: H.264 through PyAV, everything that OpenCV can write through OpenCV."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

H264 = "h264"
# FourCC of the codec that every build of OpenCV can write; its wheels come without H.264.
_FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "XVID"}
VIDEO_SUFFIXES = tuple(_FOURCC)


class Encoder(ABC):
    """Writes frames of one size into a file."""

    @abstractmethod
    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Add a uint8 (H, W, 3) BGR picture with even sides."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left and end the file."""


def open_encoder(path: Path, codec: str, fps: float, height: int, width: int) -> Encoder:
    """An encoder for a file. OSError where it cannot be written."""
    kind = AVEncoder if codec == H264 else OpenCVEncoder
    return kind(path, codec, fps, height, width)


def choose_codec(suffix: str, codec: str | None) -> str:
    """The codec for a file: the one that is asked for, else H.264 where PyAV is there to write it, else MPEG-4.

    Raises:
        ValueError: an unknown suffix, or a codec that is neither "h264" nor a FourCC.
        ImportError: "h264" is asked for and PyAV is not installed.
    """
    if suffix not in _FOURCC:
        raise ValueError(f"path: expected the name of a video, ending in {', '.join(VIDEO_SUFFIXES)}; got '{suffix}'")
    installed = find_spec("av") is not None
    if codec is None:
        return H264 if installed else _FOURCC[suffix]
    if codec == H264 and not installed:
        raise ImportError("codec: 'h264' needs PyAV; install it with pip install 'leanpose[av]'")
    if codec != H264 and (len(codec) != 4 or not codec.isascii()):
        raise ValueError(f"codec: expected 'h264' or the four characters of a FourCC, as 'mp4v', got {codec!r}")
    return codec


class OpenCVEncoder(Encoder):
    """What OpenCV can write, by FourCC."""

    def __init__(self, path: Path, codec: str, fps: float, height: int, width: int) -> None:
        self._path, self._count = path, 0
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (width, height))
        if not self._writer.isOpened():
            raise OSError(
                f"OpenCV cannot write a video of {width}x{height} at {fps:g} frames per second with the codec {codec}; "
                "is the folder writable, and does this build of OpenCV have the codec?"
            )

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Add a picture."""
        self._writer.write(image)
        self._count += 1

    def close(self) -> None:
        """End the file. OSError where it cannot be read again: OpenCV does not tell when a disk is full."""
        self._writer.release()
        capture = cv2.VideoCapture(str(self._path))
        readable = capture.isOpened() and (self._count == 0 or capture.read()[0])
        capture.release()
        if not readable:
            raise OSError("OpenCV has not written the video as it should; is the disk full?")


class AVEncoder(Encoder):
    """H.264 through PyAV, in the form that browsers and phones play too."""

    def __init__(self, path: Path, codec: str, fps: float, height: int, width: int) -> None:
        import av

        self._av: Any = av
        rate = Fraction(fps).limit_denominator(1001)
        # From .m4v ffmpeg would make a raw stream.
        name = "mp4" if path.suffix.lower() == ".m4v" else None
        options = {"movflags": "+faststart"} if path.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
        try:
            self._container: Any = av.open(str(path), "w", format=name, options=options)
            self._stream: Any = self._container.add_stream("libx264", rate=max(rate, Fraction(1, 1000)))
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.options = {"preset": "veryfast", "crf": "20"}
        except (av.FFmpegError, ValueError) as error:
            raise OSError(
                f"PyAV cannot write a video of {width}x{height} at {fps:g} frames per second: {error}"
            ) from error

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Add a picture."""
        self._mux(self._av.VideoFrame.from_ndarray(image, format="bgr24"))

    def close(self) -> None:
        """End the file."""
        try:
            self._mux(None)
        finally:
            self._container.close()

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except self._av.FFmpegError as error:
            raise OSError(f"PyAV cannot write the video: {error}") from error
