"""`leanpose quantize MODEL --calibration DIR --mode fp16|int8 -o OUT`: a smaller copy, and what it costs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..boxes import validate_boxes
from ..contracts import parse_fields
from ..images import load_image
from ..model import Model
from ..quantization import MODES, quantize
from ..sources import PICTURE_SUFFIXES, natural_order
from .inputs import add_detector_arguments
from .progress import Progress

Boxes: TypeAlias = list[list[float]]

_MOST = 400  # pictures: more change the ranges little


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("model", metavar="MODEL", help="ONNX file, or the name of a packaged model")
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        type=Path,
        required=True,
        help="pictures, in which persons are found; or annotations.json in COCO's format beside images/, whose boxes "
        "are taken",
    )
    add_detector_arguments(parser.add_mutually_exclusive_group())
    parser.add_argument("--mode", choices=MODES, default="int8", help="(%(default)s)")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="ONNX file to write")
    parser.add_argument(
        "--keep",
        metavar="NAME",
        action="append",
        default=[],
        help="leave operators in fp32 whose names begin so; may be given several times",
    )
    parser.add_argument(
        "--weight-bits", type=int, choices=(7, 8), default=8, help="of int8; 7 for x86 CPUs without VNNI (%(default)s)"
    )
    parser.add_argument("--pictures", metavar="N", type=int, default=_MOST, help="take at most so many (%(default)s)")
    parser.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", default=[], help="fields of the card, see leanpose card"
    )
    parser.add_argument("--provider", default="cpu", help="what the drift is measured with (%(default)s)")
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads of one call")


def run(options: argparse.Namespace) -> int:
    """Convert and report; the exit code is 1 where pictures had to be left out."""
    if options.pictures < 2:
        raise ValueError(
            f"--pictures: expected at least 2, to calibrate on and to measure with, got {options.pictures}"
        )
    card = parse_fields(options.set)
    finds_persons = Model(options.model, "cpu", options.threads, card).card.codec.finds_persons
    found = _find(options.calibration)
    if finds_persons:  # in whole pictures
        found = [(path, None) for path, _ in found]
    chosen = (
        [found[i * len(found) // options.pictures] for i in range(options.pictures)]
        if len(found) > options.pictures
        else found
    )
    pictures = list(_sound(chosen))
    with Progress(len(pictures), "picture") as progress:
        result = quantize(
            *(options.model, options.output, pictures, options.mode),
            keep=options.keep,
            weight_bits=options.weight_bits,
            card=card,
            detector=options.detector,
            providers=options.provider,
            threads=options.threads,
            on_picture=progress.step,
        )
    print(f"{options.output}: {result.size / 1e6:.1f} MB in {options.mode}, from {result.original_size / 1e6:.1f} MB")
    drift = result.drift
    print(
        f"OKS with the original over {len(drift.oks)} persons: mean {drift.mean:.4f}, worst {drift.worst:.4f}"
        if len(drift.oks)
        else "OKS with the original: nobody was found to measure it on"
    )
    return 0 if len(pictures) == len(chosen) else 1


def _sound(pictures: Sequence[tuple[Path, Boxes | None]]) -> Iterator[tuple[Path, Boxes | None]]:
    """Those that can be read, with boxes that lie in them; the others are named and cost no more than themselves."""
    for path, boxes in pictures:
        try:
            image = load_image(path)
            validate_boxes(boxes, image.shape[1], image.shape[0])
        except (TypeError, ValueError, OSError) as error:
            print(f"leanpose quantize: left out: '{path.name}': {error}", file=sys.stderr)
        else:
            yield path, boxes


def _find(folder: Path) -> list[tuple[Path, Boxes | None]]:
    """Pictures with their boxes xyxy, or with None where these are to be found."""
    if not folder.is_dir():
        raise FileNotFoundError(f"--calibration: there is no folder '{folder}'")
    annotations = folder / "annotations.json"
    if annotations.is_file():
        try:
            found = _annotated(folder / "images", json.loads(annotations.read_bytes()))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"--calibration: '{annotations}' is not of COCO's format: {error!r}") from error
        if not found:
            raise ValueError(f"--calibration: '{annotations}' has no box of a person")
        return found
    names = [str(path) for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    if not names:
        raise ValueError(f"--calibration: the folder '{folder}' holds no picture ({', '.join(PICTURE_SUFFIXES)})")
    return [(Path(name), None) for name in natural_order(names)]


def _annotated(images: Path, data: Any) -> list[tuple[Path, Boxes | None]]:
    """The pictures of COCO annotations with somebody in them, whose keypoints are known where any are."""
    boxes: dict[Any, Boxes] = {}
    for annotation in data["annotations"]:
        x, y, width, height = annotation["bbox"]
        if annotation.get("num_keypoints", 1) and not annotation.get("iscrowd", 0):
            boxes.setdefault(annotation["image_id"], []).append([x, y, x + width, y + height])
    return [(images / image["file_name"], boxes[image["id"]]) for image in data["images"] if image["id"] in boxes]
