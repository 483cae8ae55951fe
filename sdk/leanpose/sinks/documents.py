"""JSON documents that are written frame by frame: our own and COCO results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from ..results import Poses
from ..sources import Frame
from .base import TextSink
from .names import picture_stem


class JsonSink(TextSink):
    """One JSON document for all frames, in memory that does not grow with them.

    ``{"names": [...], "skeleton": [...], "frames": [{"index": 0, "time": 0.0, "name": "a.mp4#0", "persons": [...]},
    ...]}``, with names, skeleton and persons as in `Poses.to_dict`. Frames without a person are there too.

    Args:
        path: the file; what lies there is replaced.

    Raises:
        OSError: the file cannot be written.
    """

    def write(self, frame: Frame, poses: Poses) -> None:
        """Add a frame. ValueError where its keypoints are other than those before."""
        content = poses.to_dict()
        head = {"names": content["names"], "skeleton": content["skeleton"]}
        entry = {"index": frame.index, "time": frame.time, "name": frame.name, "persons": content["persons"]}
        line = json.dumps(entry, ensure_ascii=False)
        if self.is_empty:
            self._head = head
            self.append(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "frames": [\n{line}')
        elif head != self._head:
            raise ValueError(f"frame {frame.index}: its keypoints are other than those of the frames before")
        else:
            self.append(f",\n{line}")

    def trailer(self) -> str:
        """What ends the document."""
        return '{"names": [], "skeleton": [], "frames": []}\n' if self.is_empty else "\n]}\n"


def coco_image_id(frame: Frame) -> int | str:
    """The image id of a frame: of a picture file its name without suffix, a number where it is one, as COCO's are.

    Of any other frame, as that of a video, its number.
    """
    stem = picture_stem(frame)
    if stem is None:
        return frame.index
    return int(stem) if stem.isascii() and stem.isdigit() else stem


class CocoSink(TextSink):
    """COCO keypoint results: one JSON list of all persons (see `Poses.to_coco`), in memory that does not grow.

    Args:
        path: the file; what lies there is replaced.
        image_id: the image id of a frame.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], image_id: Callable[[Frame], int | str] = coco_image_id) -> None:
        super().__init__(path)
        self._image_id = image_id

    def write(self, frame: Frame, poses: Poses) -> None:
        """Add the persons of a frame."""
        persons = poses.to_coco(self._image_id(frame))
        if persons:
            start = "[\n" if self.is_empty else ",\n"
            self.append(start + ",\n".join(json.dumps(person, ensure_ascii=False) for person in persons))

    def trailer(self) -> str:
        """What ends the list."""
        return "[]\n" if self.is_empty else "\n]\n"
