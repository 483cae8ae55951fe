"""One file per frame: drawn pictures and JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2

from ..results import Poses
from ..sources import Frame
from .base import Sink, write_whole
from .names import NameOf, Names


class PictureSink(Sink):
    """A drawn picture per frame in a folder.

    Args:
        folder: made where it is not there; pictures of the same name in it are replaced.
        suffix: what OpenCV takes the format from, as ".jpg" or ".png".
        names: name of a frame's file without suffix, by default one of `Names`.
        threshold, boxes, ids: as for `leanpose.drawing.draw_poses`.

    Raises:
        ValueError: OpenCV cannot write such pictures.
        OSError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        suffix: str = ".jpg",
        names: NameOf | None = None,
        threshold: float = 0.3,
        boxes: bool = False,
        ids: bool = True,
    ) -> None:
        if not (suffix.startswith(".") and cv2.haveImageWriter(suffix)):
            raise ValueError(f"suffix: OpenCV cannot write pictures with the suffix {suffix!r}; .jpg and .png it can")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._suffix, self._name = suffix, names or Names()
        self._threshold, self._boxes, self._ids = threshold, boxes, ids

    def write(self, frame: Frame, poses: Poses) -> None:
        """Draw and write one picture."""
        drawn = poses.draw(frame.image, threshold=self._threshold, boxes=self._boxes, ids=self._ids)
        path = self.folder / f"{self._name(frame)}{self._suffix}"
        try:
            encoded, data = cv2.imencode(self._suffix, drawn)
        except cv2.error:  # older releases raise it, newer ones return False
            encoded = False
        if not encoded:
            sides = f"{drawn.shape[1]}x{drawn.shape[0]}"
            raise ValueError(
                f"OpenCV cannot encode '{path}' of {sides} pixels; JPEG takes sides up to 65535, WebP up to 16383, PNG "
                "longer ones"
            )
        write_whole(path, data.tobytes())


class PictureJsonSink(Sink):
    """A JSON file per frame in a folder, each what `Poses.to_dict` gives.

    Args:
        folder: made where it is not there; files of the same name in it are replaced.
        names: name of a frame's file without suffix, by default one of `Names`.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str], *, names: NameOf | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._name = names or Names()

    def write(self, frame: Frame, poses: Poses) -> None:
        """Write one file."""
        text = json.dumps(poses.to_dict(), ensure_ascii=False)
        write_whole(self.folder / f"{self._name(frame)}.json", text.encode("utf-8", "backslashreplace"))
