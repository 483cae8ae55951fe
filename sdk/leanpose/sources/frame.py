"""Frame: one picture of a source, with its place in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video, a folder, a camera or any other source.

    Attributes:
        image: uint8 (H, W, 3) BGR.
        index: its number in the source, from 0. Frames that cannot be read are skipped and keep their numbers.
        time: seconds since the start of the source.
        name: where it comes from, for messages and file names: the file of a picture, else the source and the number.
    """

    image: npt.NDArray[np.uint8]
    index: int
    time: float
    name: str
