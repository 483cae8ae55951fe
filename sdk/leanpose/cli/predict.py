"""`leanpose predict IMAGE... -o DIR`: a drawn picture, and on request JSON, per input."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..boxes import validate_boxes
from ..estimator import Estimator
from ..images import load_image
from ..packaged import DEFAULT_MODEL
from ..results import Poses

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="picture, or folder of pictures")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for the results; what lies there under their names is replaced",
    )
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL, help="ONNX file or packaged model (%(default)s)")
    parser.add_argument(
        "--boxes",
        metavar="FILE|x1,y1,x2,y2",
        help="one box for every picture, or a JSON file {picture name: [[x1, y1, x2, y2], ...]}; without it, the whole "
        "picture; a box is one person, or for a model that finds persons a region to find them in; a negative first "
        "number needs --boxes=-5,0,90,200",
    )
    parser.add_argument("--json", action="store_true", help="also write NAME.json")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt or ONNX Runtime's name (best that starts)")
    parser.add_argument("--threads", type=int, help="CPU threads of the model")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirror image's result")
    parser.add_argument("--threshold", type=float, default=0.3, help="least keypoint score to draw (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Predict and write; the exit code is 0 only where all inputs worked."""
    find_boxes = _box_source(options.boxes)
    estimator = Estimator(
        options.model, providers=options.provider, threads=options.threads, flip_test=options.flip_test
    )
    failed: list[Path] = []

    def fail(path: Path, error: Exception) -> None:
        failed.append(path)
        print(f"leanpose predict: {path}: {error}", file=sys.stderr)

    inputs = _expand(options.images, fail)
    names = _output_names(inputs)
    _keep_sources(options, names)
    options.output.mkdir(parents=True, exist_ok=True)
    waiting: deque[Path] = deque()

    def sound() -> Iterator[tuple[npt.NDArray[np.uint8], npt.ArrayLike | None]]:
        for path in _progress(inputs):
            try:
                picture, boxes = load_image(path), find_boxes(path)
                validate_boxes(boxes, picture.shape[1], picture.shape[0])
            except (TypeError, ValueError, OSError) as error:
                fail(path, error)
            else:
                waiting.append(path)
                yield picture, boxes

    for poses in estimator.stream(sound()):
        path = waiting.popleft()
        try:
            _write(options, names[path], path, poses)
        except (OSError, ValueError) as error:
            fail(path, error)
    if failed:
        print(f"leanpose predict: failed: {len(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _expand(paths: Sequence[Path], fail: Callable[[Path, Exception], None]) -> list[Path]:
    """Pictures in the order given, without repetition; a folder stands for the pictures in it."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
        if not pictures:
            fail(path, ValueError(f"the folder holds no picture ({', '.join(_SUFFIXES)})"))
        found.update(dict.fromkeys(pictures))
    return list(found)


def _output_names(inputs: Sequence[Path]) -> dict[Path, str]:
    """A name for each input's results: its stem, or where several share that, its stem and a number."""
    taken: set[str] = set()
    names = {}
    for path in inputs:
        name, number = path.stem, 2
        while name in taken:
            name, number = f"{path.stem}-{number}", number + 1
        taken.add(name)
        names[path] = name
    return names


def _keep_sources(options: argparse.Namespace, names: dict[Path, str]) -> None:
    """ValueError where results would replace a picture or the file of boxes that they are made from."""
    sources = {path.resolve() for path in (*names, *([Path(options.boxes)] if options.boxes else []))}
    for name in names.values():
        for suffix in (".jpg", ".json") if options.json else (".jpg",):
            target = options.output / f"{name}{suffix}"
            if target.resolve() in sources:
                raise ValueError(f"-o {options.output}: '{target}' is an input and would be overwritten")


def _write(options: argparse.Namespace, name: str, source: Path, poses: Poses) -> None:
    if options.json:
        text = json.dumps(poses.to_dict(), ensure_ascii=False)
        (options.output / f"{name}.json").write_text(text, encoding="utf-8")
    # Read again: keeping the pictures of a whole batch would cost gigabytes where they are large.
    encoded, data = cv2.imencode(".jpg", poses.draw(source, threshold=options.threshold))
    if not encoded:
        raise ValueError("OpenCV cannot encode the drawn picture as JPEG")
    (options.output / f"{name}.jpg").write_bytes(data.tobytes())


def _box_source(text: str | None) -> Callable[[Path], npt.ArrayLike | None]:
    """A function from a picture's path to its boxes."""
    if text is None:
        return lambda path: None
    if not Path(text).is_file():
        try:
            x1, y1, x2, y2 = map(float, text.split(","))
        except ValueError:
            raise ValueError(f"--boxes {text}: expected four numbers x1,y1,x2,y2 or a JSON file") from None
        return lambda path: [[x1, y1, x2, y2]]
    try:
        data = json.loads(Path(text).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--boxes {text}: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(
            f"--boxes {text}: expected {{picture name: [[x1, y1, x2, y2], ...]}}, got {type(data).__name__}"
        )

    def find(path: Path) -> npt.ArrayLike:
        for key in (str(path), path.name):
            boxes: npt.ArrayLike | None = data.get(key)
            if boxes is not None:  # null would stand for the whole picture
                return boxes
        raise ValueError(f"{text} has no boxes for '{path.name}'")

    return find


def _progress(inputs: Sequence[Path]) -> Iterable[Path]:
    """A progress bar for many inputs, where tqdm is installed and somebody watches."""
    if len(inputs) < 4:
        return inputs
    try:
        from tqdm import tqdm
    except ImportError:
        return inputs
    bar: Iterable[Path] = tqdm(inputs, unit="picture", disable=None)
    return bar
