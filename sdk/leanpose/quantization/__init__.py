"""Smaller copies of model files, in fp16 or int8, and how far their keypoints drift; needs the `onnx` package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..card import ModelCard
from ..detection import Detector
from ..estimator import Estimator
from ..images import ImageLike, at_picture
from ..metadata import write_card
from ..model import Model
from ..runtime import Providers
from .calibration import Pictures, Reader
from .conversion import Original
from .drift import Drift, measure

Mode: TypeAlias = Literal["fp16", "int8"]
MODES: tuple[Mode, ...] = ("fp16", "int8")

__all__ = ["MODES", "Drift", "Mode", "Quantized", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """What became of a model.

    Attributes:
        drift: how far the keypoints of the copy lie from the original's.
        size: bytes of the copy.
        original_size: bytes of the original, with weights that lie in files of their own.
    """

    drift: Drift
    size: int
    original_size: int


def quantize(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    pictures: Iterable[ImageLike | tuple[ImageLike, npt.ArrayLike | None]],
    mode: Mode = "int8",
    *,
    keep: Sequence[str] = (),
    weight_bits: int = 8,
    card: ModelCard | Mapping[str, Any] | None = None,
    detector: Detector | str | os.PathLike[str] | None = "default",
    providers: Providers = "cpu",
    threads: int | None = None,
    on_picture: Callable[[], object] | None = None,
) -> Quantized:
    """Writes a smaller copy of a pose model and measures what that costs.

    fp16 stores and computes in half precision; int8 stores and computes convolutions, but for the last tenth of them
    and at most three, in 8 bits with ranges calibrated on pictures; both by ONNX Runtime's own tools. Inputs and
    outputs stay as they are. The copy is one file, with the card of the model but without its accuracy figures: they
    were those of the original.

    Args:
        model: path of an ONNX file, or the name of a packaged model.
        out: the file to write; it appears when all is done.
        pictures: pictures, or pairs of a picture and its boxes, as in `Estimator.predict`. int8 is calibrated on every
            other one, and the drift measured on the rest; a few hundred persons serve well.
        mode: "fp16" or "int8".
        keep: names of operators that stay in fp32, or beginnings of these, as "/head".
        weight_bits: of int8, 8 or 7. x86 CPUs without VNNI add products of 8 bits in 16, where they may saturate, and
            give wrong keypoints without a word; with 7 bits they fit.
        card, detector, threads: as in `Estimator`.
        providers: what the drift is measured with, as in `Estimator`.
        on_picture: called whenever a picture is done.

    Raises:
        FileNotFoundError: there is no such model or picture, or no folder to write into.
        ImportError: there is no ONNX Runtime, or no `onnx`.
        ValueError: a bad model, picture, mode or number of bits, too few pictures, nobody in them for int8, a name in
            `keep` that no operator has, or a model that has been quantised already or that the tools cannot convert.
        TypeError: an argument is of the wrong type.
        RuntimeError: a provider cannot start, or the model fails.
    """
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
    if weight_bits not in (7, 8):
        raise ValueError(f"weight_bits: expected 7 or 8, got {weight_bits!r}")
    if isinstance(keep, str):
        raise TypeError(f"keep: expected a sequence of names, got the text {keep!r}")
    if isinstance(pictures, str | os.PathLike | np.ndarray) or not isinstance(pictures, Iterable):
        raise TypeError(f"pictures: expected several pictures, got one {type(pictures).__name__}")
    items: Pictures = [(number, *_pair(item)) for number, item in enumerate(pictures)]
    least = 2 if mode == "int8" else 1
    if len(items) < least:
        raise ValueError(f"pictures: expected at least {least} to make and to measure {mode}, got {len(items)}")
    step = on_picture or _nothing
    opened = Model(model, "cpu", threads, card)
    _check_target(Path(out), opened.path)
    original = Original(opened.path, keep)
    reference = Estimator(opened.path, card=opened.card, detector=detector, providers=providers, threads=threads)
    items = _with_boxes(items, reference)
    named = replace(opened.card, name=f"{opened.card.name} ({mode})", accuracy=())
    with tempfile.TemporaryDirectory() as folder:
        smaller = Path(folder) / "model.onnx"
        if mode == "fp16":
            original.to_half(smaller)
        else:
            original.to_int8(smaller, Reader(opened, items[0::2], step), weight_bits)
            items = items[1::2]
        estimator = Estimator(smaller, card=named, detector=None, providers=providers, threads=threads)
        drift = measure(reference, estimator, items, step)
        write_card(smaller, named, out)
    return Quantized(drift, Path(out).stat().st_size, original.size)


def _check_target(out: Path, model: Path) -> None:
    """The faults that would otherwise show after minutes of work."""
    if out.is_dir():
        raise ValueError(f"out: '{out}' is a folder; expected the file to write")
    if out.exists() and not out.is_file():
        raise ValueError(f"out: '{out}' is a device or pipe; expected the file to write")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"out: there is no folder '{out.parent}'")
    if out.exists() and out.samefile(model):
        raise ValueError(f"out: '{out}' is the model itself; expected another file, as the original is better kept")


def _pair(item: Any) -> tuple[ImageLike, npt.ArrayLike | None]:
    return item if isinstance(item, tuple) and len(item) == 2 else (item, None)


def _with_boxes(items: Pictures, estimator: Estimator) -> Pictures:
    """The pictures with the boxes that the estimator would find, so that both models get the same persons."""
    found: list[tuple[int, ImageLike, npt.ArrayLike | None]] = []
    for number, image, boxes in items:
        detector = estimator.detector if boxes is None else None
        try:
            found.append((number, image, boxes if detector is None else detector.predict(image).boxes))
        except Exception as error:
            raise at_picture(error, number) from error
    return found


def _nothing() -> None:
    pass
