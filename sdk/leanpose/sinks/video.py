"""Annotated videos."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..results import Poses
from ..sources import Frame
from .base import Sink, temporary

# FourCC of the codec that OpenCV's wheels can write and most players show, by suffix; they come without H.264.
VIDEO_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "XVID"}


class VideoSink(Sink):
    """A video with the poses drawn into every frame.

    All frames have the size of the first one; odd sides grow by a repeated row or column, as codecs take even ones.
    Without a single frame no file is made.

    Args:
        path: the file, whose suffix decides the container: .mp4, .m4v, .mov, .mkv or .avi; what lies there is replaced.
        fps: frames per second, those of the source.
        codec: FourCC for OpenCV, as "avc1" for H.264 where the installed OpenCV has it; None takes MPEG-4, which all
            builds of OpenCV have and most players show (browsers mostly do not).
        threshold, boxes, ids: as for `leanpose.drawing.draw_poses`.

    Raises:
        ValueError: an unknown suffix, a codec that is not four characters, fps that is not positive.
        OSError: the folder cannot be made; on the first frame, OpenCV cannot open the file for writing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        *,
        codec: str | None = None,
        threshold: float = 0.3,
        boxes: bool = False,
        ids: bool = True,
    ) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in VIDEO_CODECS:
            raise ValueError(f"path: expected a video name ending in {', '.join(VIDEO_CODECS)}; got '{self.path}'")
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a positive finite number, got {fps!r}")
        self._codec = VIDEO_CODECS[suffix] if codec is None else codec
        if len(self._codec) != 4 or not self._codec.isascii():
            raise ValueError(f"codec: expected the four characters of a FourCC, as 'mp4v', got {codec!r}")
        if self.path.is_dir():
            raise IsADirectoryError(f"'{self.path}' is a folder; expected the name of a video to write")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fps, self._threshold, self._boxes, self._ids = fps, threshold, boxes, ids
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: Frame, poses: Poses) -> None:
        """Draw and add one frame. ValueError where its size is another than that of the first."""
        height, width = frame.image.shape[:2]
        if self._writer is None:
            self._writer, self._size = self._open(height, width), (height, width)
        if (height, width) != self._size:
            expected = f"{self._size[1]}x{self._size[0]}"
            raise ValueError(f"frame {frame.index} is {width}x{height}, the frames of '{self.path}' are {expected}")
        drawn = poses.draw(frame.image, threshold=self._threshold, boxes=self._boxes, ids=self._ids)
        self._writer.write(_even(drawn))

    def _open(self, height: int, width: int) -> cv2.VideoWriter:
        part = temporary(self.path)
        size = (width + width % 2, height + height % 2)
        writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*self._codec), self._fps, size)
        if not writer.isOpened():
            part.unlink(missing_ok=True)
            raise OSError(
                f"OpenCV cannot write '{self.path}' ({self._codec}, {size[0]}x{size[1]}, {self._fps:g} frames per "
                "second); is the folder writable, and does this build of OpenCV have the codec?"
            )
        return writer

    def close(self) -> None:
        """Finish the video and give it its name."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        os.replace(temporary(self.path), self.path)


def _even(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
