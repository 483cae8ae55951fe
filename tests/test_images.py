from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, features

from leanpose.images import load_image

Picture = npt.NDArray[np.uint8]


def picture(height: int = 24, width: int = 40, channels: int = 3) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_picture() -> Picture:
    """A picture that lossy codecs keep almost unchanged, different in every corner."""
    return cv2.resize(picture(2, 3), (48, 32), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def encode(image: Image.Image, codec: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, codec, **options)
    return stream.getvalue()


def from_bytes(data: bytes, tmp_path: Path, name: str = "picture") -> Picture:
    path = tmp_path / name
    path.write_bytes(data)
    return load_image(path)


pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])))


@given(pictures, st.booleans())
def test_arrays_and_pil_images_agree_with_opencv(pixels: Picture, strided: bool) -> None:
    if strided:
        pixels = np.concatenate([pixels[::-1], pixels], axis=2)[::-1, :, : pixels.shape[2]]
    channels = pixels.shape[2]
    to_bgr = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}
    to_pil = {1: None, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    packed = np.ascontiguousarray(pixels)
    expected = cv2.cvtColor(packed, to_bgr[channels]) if channels in to_bgr else packed
    code = to_pil[channels]
    pil = Image.fromarray(packed[..., 0] if code is None else cv2.cvtColor(packed, code))
    for loaded in (load_image(pixels), load_image(pil)):
        assert loaded.dtype == np.uint8
        assert loaded.flags.c_contiguous
        np.testing.assert_array_equal(loaded, expected)
    if channels == 1:
        np.testing.assert_array_equal(load_image(pixels[..., 0]), expected)


def test_a_contiguous_array_is_not_copied() -> None:
    pixels = picture()
    pixels.flags.writeable = False
    assert np.shares_memory(load_image(pixels), pixels)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "wrong extension.jpg", "人物 é 🏃.png"])
def test_lossless_files_round_trip(name: str, tmp_path: Path) -> None:
    codec = {".bmp": "BMP", ".tiff": "TIFF", ".ppm": "PPM"}.get(Path(name).suffix, "PNG")
    pixels = picture()
    path = tmp_path / name
    path.write_bytes(encode(Image.fromarray(pixels[..., ::-1]), codec))
    for given_path in (path, str(path), os.fspath(path)):
        loaded = load_image(given_path)
        assert loaded.flags.c_contiguous
        np.testing.assert_array_equal(loaded, pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_modes_agree_between_path_and_pil(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(picture()).convert(mode)
    data = encode(image, "PNG")
    expected = np.asarray(image.convert("RGBA"))[..., 2::-1]
    np.testing.assert_array_equal(from_bytes(data, tmp_path), expected)
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), expected)


def test_palette_transparency_is_dropped(tmp_path: Path) -> None:
    image = Image.fromarray(picture()).convert("P")
    data = encode(image, "PNG", transparency=bytes(range(256)))
    expected = np.asarray(image.convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), expected)
    np.testing.assert_array_equal(from_bytes(data, tmp_path), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_modes_agree_between_path_and_pil(mode: str, progressive: bool, tmp_path: Path) -> None:
    data = encode(Image.fromarray(smooth_picture()).convert(mode), "JPEG", quality=95, progressive=progressive)
    # Decoders may round the colour conversion differently.
    np.testing.assert_allclose(from_bytes(data, tmp_path).astype(int), load_image(Image.open(io.BytesIO(data))), atol=2)


# Where the row 0, column 0 pixel of the stored array is shown: EXIF 2.3, tag 0x0112.
UPRIGHT: dict[int, Any] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored.transpose(1, 0, 2)[:, ::-1],
    7: lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda stored: stored.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("codec", "options"),
    [("JPEG", {"quality": 95, "subsampling": 0}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
)
def test_exif_orientation_is_applied(orientation: int, codec: str, options: dict[str, Any], tmp_path: Path) -> None:
    stored = smooth_picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(stored[..., ::-1]), codec, exif=exif, **options)
    upright = UPRIGHT[orientation](stored)
    from_path, from_pil = from_bytes(data, tmp_path), load_image(Image.open(io.BytesIO(data)))
    assert from_path.shape == upright.shape
    np.testing.assert_array_equal(from_path, from_pil)
    np.testing.assert_allclose(from_path.astype(int), upright, atol=12 if codec == "JPEG" else 0)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    first = picture()
    frames = [Image.fromarray(frame) for frame in (first, 255 - first)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(from_bytes(data, tmp_path), first[..., ::-1])
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), first[..., ::-1])


def jpeg_with_thumbnail() -> bytes:
    """A JPEG whose EXIF segment embeds another, complete JPEG."""
    thumbnail = encode(Image.fromarray(picture(8, 8)), "JPEG")
    return encode(Image.fromarray(picture(64, 64)), "JPEG", exif=b"Exif\0\0" + thumbnail)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_jpegs_cut_anywhere_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    data = encode(Image.fromarray(picture(32, 32)), "JPEG", **options)
    for end in [*range(2, len(data) - 1, 37), len(data) - 2, len(data) - 1]:
        with pytest.raises(ValueError, match=r"cut\.jpg' is a truncated JPEG"):
            from_bytes(data[:end], tmp_path, "cut.jpg")
    with pytest.raises(ValueError, match="truncated JPEG"):  # a download into a file of final size
        from_bytes(data[: len(data) // 2].ljust(len(data), b"\0"), tmp_path)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_jpeg(tmp_path: Path) -> None:
    data = jpeg_with_thumbnail()
    assert from_bytes(data, tmp_path).shape == (64, 64, 3)
    with pytest.raises(ValueError, match="truncated JPEG"):
        from_bytes(data[: -len(data) // 8], tmp_path)


def test_a_long_run_of_fill_bytes_is_refused_in_linear_time(tmp_path: Path) -> None:
    # A quadratic search would need hours for this.
    path = tmp_path / "fill.jpg"
    path.write_bytes(b"\xff\xd8" + b"\xff" * 4_000_000 + b"\x00")
    with pytest.raises(ValueError, match="truncated JPEG"):
        load_image(path)


def test_bytes_after_the_end_of_a_jpeg_are_ignored(tmp_path: Path) -> None:
    data = encode(Image.fromarray(smooth_picture()), "JPEG")
    np.testing.assert_array_equal(from_bytes(data + b"\xff\xe1trailer", tmp_path), from_bytes(data, tmp_path))


@pytest.mark.parametrize("codec", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_truncated_files_are_refused(codec: str, tmp_path: Path) -> None:
    data = encode(Image.fromarray(picture()), codec)
    for fraction in (0.1, 0.5, 0.9):
        with pytest.raises(ValueError, match=r"cut' is not a picture that OpenCV can decode, or it is truncated"):
            from_bytes(data[: int(len(data) * fraction)], tmp_path, "cut")


@pytest.mark.parametrize(
    "data", [b"plain text", b"\0" * 100, b"\xff\xd8", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_files_that_are_no_pictures(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.png'"):
        from_bytes(data, tmp_path, "nothing.png")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_16_bit_files_are_refused(suffix: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    _, data = cv2.imencode(suffix, np.full(shape, 40000, np.uint16))
    with pytest.raises(ValueError, match=r"deep' has uint16 samples, expected 8-bit.*image // 257"):
        from_bytes(data.tobytes(), tmp_path, "deep")


def test_float_files_are_refused(tmp_path: Path) -> None:
    _, data = cv2.imencode(".hdr", np.full((8, 8, 3), 0.5, np.float32))
    with pytest.raises(ValueError, match="has float32 samples"):
        from_bytes(data.tobytes(), tmp_path)


@pytest.mark.skipif(not features.check("avif"), reason="this PIL cannot write AVIF")
def test_rotated_avif_is_refused_and_pil_turns_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(smooth_picture()), "AVIF", exif=exif)
    with pytest.raises(ValueError, match="rotated AVIF"):
        from_bytes(data, tmp_path)
    assert load_image(Image.open(io.BytesIO(data))).shape == (48, 32, 3)


def test_paths_without_a_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file '.*absent\.jpg'"):
        load_image(tmp_path / "absent.jpg")
    with pytest.raises(ValueError, match="is a directory"):
        load_image(str(tmp_path))
    with pytest.raises(ValueError, match="is an empty file"):
        from_bytes(b"", tmp_path)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((4, 4, 3)), TypeError, "expected a uint8 array, got float64; if it holds 0..1"),
        (np.zeros((4, 4, 3), np.float32), TypeError, "(image * 255).round().astype(np.uint8)"),
        (np.zeros((4, 4), np.uint16), TypeError, "got uint16; scale its samples to 8 bits first"),
        (np.zeros((4, 4), np.int64), TypeError, "got int64; if it holds 0..255, pass image.astype(np.uint8)"),
        (np.zeros((4, 4), bool), TypeError, "got bool; pass image.astype(np.uint8) * 255"),
        (np.zeros((4, 4), object), TypeError, "got object"),
        (
            np.zeros((3, 40, 50), np.uint8),
            ValueError,
            "got (3, 40, 50); channels come last: pass image.transpose(1, 2, 0)",
        ),
        (np.zeros((1, 40, 50), np.uint8), ValueError, "channels come last"),
        (np.zeros((2, 40, 50, 3), np.uint8), ValueError, "pass the pictures of a batch one at a time"),
        (np.zeros((40, 50, 2), np.uint8), ValueError, "got (40, 50, 2)"),
        (np.zeros((40,), np.uint8), ValueError, "got (40,)"),
        (np.zeros((), np.uint8), ValueError, "got ()"),
        (np.zeros((0, 50, 3), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((40, 0), np.uint8), ValueError, "at least one pixel"),
    ],
)
def test_bad_arrays(array: npt.NDArray[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        load_image(array)


@pytest.mark.parametrize("thing", [None, [[0, 0], [0, 0]], b"a.png", 3, io.BytesIO()])
def test_other_types_are_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match=rf"expected a path, .*; got {type(thing).__name__}$"):
        load_image(thing)


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_deep_pil_images_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"got mode {mode}"):
        load_image(Image.new(mode, (4, 4)))


def test_broken_pil_images_are_refused() -> None:
    data = encode(Image.fromarray(picture()), "PNG")
    with pytest.raises(ValueError, match="PIL cannot decode"):
        load_image(Image.open(io.BytesIO(data[: len(data) // 2])))
    with pytest.raises(ValueError, match="at least one pixel"):
        load_image(Image.new("RGB", (0, 4)))


def test_pil_is_not_imported() -> None:
    code = (
        "import sys, numpy, leanpose.images as images\n"
        "images.load_image(numpy.zeros((4, 4, 3), numpy.uint8))\n"
        "assert not any(name.split('.')[0] == 'PIL' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
