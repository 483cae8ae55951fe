"""Videos made in the tests, whose frames tell their numbers, and ways to damage them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

SIZE = (48, 64)  # height, width


def numbered(index: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A picture that tells its number, up to 65535, after JPEG compression too: 16 upright bars, one for each bit."""
    bits = np.unpackbits(np.array([index >> 8 & 255, index & 255], np.uint8)).repeat(size[1] // 16)
    return np.broadcast_to(np.where(bits, 225, 30).astype(np.uint8)[None, :, None], (*size, 3)).copy()


def number(image: npt.NDArray[np.uint8]) -> int:
    """The number that a picture tells."""
    bits = image.mean(axis=(0, 2)).reshape(16, -1).mean(axis=1) > 128
    high, low = np.packbits(bits)
    return int(high) << 8 | int(low)


def write_video(path: Path, frames: int, fps: float = 25, fourcc: str = "MJPG", size: tuple[int, int] = SIZE) -> Path:
    """A video of numbered frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, size[::-1])
    assert writer.isOpened()
    for index in range(frames):
        writer.write(numbered(index, size))
    writer.release()
    return path


def chunks(data: bytes) -> list[tuple[int, int]]:
    """Where the frames of an AVI lie: first byte and length of each."""
    found, position = [], data.find(b"movi") + 4
    while data[position : position + 4] in (b"00dc", b"JUNK"):
        (length,) = struct.unpack_from("<I", data, position + 4)
        if data[position : position + 4] == b"00dc":
            found.append((position + 8, length))
        position += 8 + length + length % 2
    return found


def damage(source: Path, target: Path, frames: Iterable[int], *, part: float = 1.0) -> Path:
    """A copy of an MJPEG AVI with the end of some frames, or all of them, set to zero."""
    data = bytearray(source.read_bytes())
    places = chunks(bytes(data))
    for frame in frames:
        start, length = places[frame]
        kept = round(length * (1 - part))
        data[start + kept : start + length] = bytes(length - kept)
    target.write_bytes(data)
    return target


def set_rate(source: Path, target: Path, scale: int, rate: int) -> Path:
    """A copy of an AVI whose header tells a frame rate of rate / scale."""
    data = bytearray(source.read_bytes())
    struct.pack_into("<II", data, data.find(b"strh") + 8 + 20, scale, rate)
    target.write_bytes(data)
    return target
