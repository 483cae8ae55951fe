"""Annotated videos."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..reals import real_number
from ..results import Poses
from ..sources import Frame
from .base import Sink, require_file, temporary
from .encoders import Encoder, choose_codec, open_encoder


class VideoSink(Sink):
    """A video with the poses drawn into every frame.

    All frames have the size of the first one; odd sides grow by a repeated row or column, as codecs take even ones.
    Without a single frame no file is made.

    Args:
        path: the file, whose suffix decides the container: .mp4, .m4v, .mov, .mkv or .avi; what lies there is replaced.
        fps: frames per second, those of the source.
        codec: "h264", which everything plays and PyAV writes (``pip install 'leanpose[av]'``); a FourCC for OpenCV, as
            "mp4v" or "MJPG"; None takes H.264 where PyAV is installed, else MPEG-4 through OpenCV, which most players
            show but browsers do not.
        threshold, boxes, ids: as for `leanpose.drawing.draw_poses`.

    Raises:
        ValueError: an unknown suffix or codec, or fps that is not positive.
        TypeError: fps is no number.
        ImportError: "h264" without PyAV.
        OSError: the folder cannot be made; from the first frame on, the file cannot be written.
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
        self._codec = choose_codec(self.path.suffix.lower(), codec)
        fps = real_number("fps", fps)
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a positive finite number, got {fps:g}")
        require_file(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fps, self._threshold, self._boxes, self._ids = fps, threshold, boxes, ids
        self._encoder: Encoder | None = None
        self._size = (0, 0)

    def write(self, frame: Frame, poses: Poses) -> None:
        """Draw and add one frame. ValueError where its size is another than that of the first."""
        height, width = frame.image.shape[:2]
        if self._encoder is None:
            self._encoder, self._size = self._open(height, width), (height, width)
        if (height, width) != self._size:
            expected = f"{self._size[1]}x{self._size[0]}"
            raise ValueError(f"frame {frame.index} is {width}x{height}, the frames of '{self.path}' are {expected}")
        drawn = poses.draw(frame.image, threshold=self._threshold, boxes=self._boxes, ids=self._ids)
        self._encoder.write(_even(drawn))

    def _open(self, height: int, width: int) -> Encoder:
        part = temporary(self.path)
        try:
            return open_encoder(part, self._codec, self._fps, height + height % 2, width + width % 2)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OSError(f"'{self.path}': {error}") from error

    def close(self) -> None:
        """Finish the video and give it its name. OSError where that fails."""
        if self._encoder is None:
            return
        encoder, self._encoder = self._encoder, None
        try:
            encoder.close()
        except OSError as error:
            temporary(self.path).unlink(missing_ok=True)
            raise OSError(f"'{self.path}': {error}") from error
        os.replace(temporary(self.path), self.path)


def _even(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
