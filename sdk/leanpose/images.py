"""Reading pictures: whatever the caller has becomes one 8-bit BGR array."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import PIL.Image

ImageLike: TypeAlias = "str | os.PathLike[str] | npt.NDArray[np.uint8] | PIL.Image.Image"

_ACCEPTED = "a path, a uint8 numpy array (H, W), (H, W, 3) BGR or (H, W, 4) BGRA, or a PIL image"
_TO_8_BIT = "scale its samples to 8 bits first, for full-range uint16: (image // 257).astype(np.uint8)"
_PIL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
# The last of any 0xFF fill bytes, then the marker code; an 0xFF of compressed data is followed by 0x00.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])")


def load_image(image: ImageLike) -> npt.NDArray[np.uint8]:
    """Read a picture into a C-contiguous uint8 (H, W, 3) BGR array.

    Grey pictures get three equal channels, alpha is dropped without blending, EXIF orientation of files and PIL images
    is applied, and of an animation the first frame (of a PIL image, its current frame) is read.

    Args:
        image: path of a file that OpenCV decodes; uint8 array (H, W), (H, W, 1), (H, W, 3) in BGR or (H, W, 4) in BGRA
            order; or PIL image. A contiguous BGR array is returned as it is, without a copy.

    Raises:
        FileNotFoundError: there is no file at the path.
        TypeError: not one of the kinds above, or an array of another dtype.
        ValueError: the file is not a picture, truncated or not 8-bit; or the array or PIL image has a wrong layout.
    """
    if isinstance(image, (str, os.PathLike)):
        return _from_file(Path(os.fsdecode(image)))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    # A PIL image can only exist where PIL is loaded, so that this never imports an optional package.
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        return _from_pil(image)
    raise TypeError(f"image: expected {_ACCEPTED}; got {type(image).__name__}")


def _from_file(path: Path) -> npt.NDArray[np.uint8]:
    name = f"'{path}'"
    if path.is_dir():
        raise ValueError(f"image: {name} is a directory; expected the path of a picture")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"image: there is no file {name}") from None
    if not data:
        raise ValueError(f"image: {name} is an empty file")
    # Some OpenCV releases fill the missing part of a JPEG with grey and report success.
    if data.startswith(b"\xff\xd8") and not _jpeg_is_complete(data):
        raise ValueError(f"image: {name} is a truncated JPEG: its end-of-image marker is missing; fetch the file again")
    if _avif_is_rotated(data):
        raise ValueError(f"image: {name} is a rotated AVIF, which OpenCV does not turn upright; open it with PIL")
    try:
        # The decoder reads bytes rather than the path because OpenCV mangles non-ASCII paths on Windows.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise ValueError(f"image: OpenCV cannot decode {name}: {error}") from error
    if picture is None:
        raise ValueError(f"image: {name} is not a picture that OpenCV can decode, or it is truncated or damaged")
    if picture.dtype != np.uint8:
        raise ValueError(f"image: {name} has {picture.dtype} samples, expected 8-bit ones; {_TO_8_BIT}")
    return np.ascontiguousarray(picture, dtype=np.uint8)


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether the JPEG's own end-of-image marker, not that of an embedded thumbnail, is there (ITU-T T.81, annex B)."""
    position = 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == 0xD9:
            return True
        # Restart, start-of-image and TEM markers stand alone; every other one heads a segment that tells its length.
        if not (0xD0 <= marker <= 0xD8 or marker == 0x01):
            position += int.from_bytes(data[position : position + 2], "big")
    return False


def _avif_is_rotated(data: bytes) -> bool:
    """Whether an AVIF or HEIF file asks to be rotated or mirrored for display (ISO/IEC 23008-12, 6.5.10 and 6.5.12)."""
    if data[4:8] != b"ftyp":
        return False
    header = data.partition(b"mdat")[0]
    return b"irot" in header or b"imir" in header


def _from_array(array: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8:
        hint = ""
        if array.dtype.kind == "f":
            hint = "; if it holds 0..1, pass (image * 255).round().astype(np.uint8)"
        elif array.dtype == np.bool_:
            hint = "; pass image.astype(np.uint8) * 255"
        elif array.dtype.kind in "iu":
            hint = f"; {_TO_8_BIT}" if array.dtype == np.uint16 else "; if it holds 0..255, pass image.astype(np.uint8)"
        raise TypeError(f"image: expected a uint8 array, got {array.dtype}{hint}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "; channels come last: pass image.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = "; pass the pictures of a batch one at a time"
        raise ValueError(f"image: expected shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}{hint}")
    if array.size == 0:
        raise ValueError(f"image: expected at least one pixel, got shape {array.shape}")
    height, width = array.shape[:2]
    if array.ndim == 2 or array.shape[2] == 1:
        array = np.broadcast_to(array.reshape(height, width, 1), (height, width, 3))
    return np.ascontiguousarray(array[..., :3], dtype=np.uint8)


def _from_pil(image: PIL.Image.Image) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    if image.mode not in _PIL_MODES:
        modes = ", ".join(_PIL_MODES)
        raise ValueError(f"image: expected an 8-bit PIL image ({modes}), got mode {image.mode}; {_TO_8_BIT}")
    if 0 in image.size:
        raise ValueError(f"image: expected at least one pixel, got a PIL image of size {image.size}")
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("P", "PA"):  # a direct conversion would warn about, not apply, palette transparency
            upright = upright.convert("RGBA")
        rgb = np.asarray(upright.convert("RGB"))
    except (OSError, SyntaxError) as error:  # PIL decodes lazily and raises either for damaged files
        raise ValueError(f"image: PIL cannot decode the image: {error}") from error
    return np.ascontiguousarray(rgb[..., ::-1])


def at_picture(error: Exception, index: int) -> Exception:
    """The error about a picture among several, counted from 0, with its number in front."""
    # A subclass may need other arguments than a message, as UnicodeEncodeError does.
    for kind in (FileNotFoundError, OSError, TypeError, ValueError):
        if isinstance(error, kind):
            return kind(f"picture {index}: {error}")
    return error
