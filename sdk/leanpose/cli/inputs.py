"""What commands are given: files, folders, globs, cameras, boxes and what finds them."""

from __future__ import annotations

import argparse
import glob
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy.typing as npt

from ..images import load_image
from ..sources import PICTURE_SUFFIXES, Frame, is_picture, natural_order

Fail = Callable[[object, Exception], None]


def add_source_arguments(parser: argparse.ArgumentParser, *, results: str) -> None:
    """SOURCE... and -o OUT; `results` is what OUT receives."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="picture, folder of pictures, video, pattern such as 'shots/*.png', address of a stream or number of a "
        "camera",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help=f"folder for {results}; what lies there under their names is replaced; for a single picture or video "
        "also the drawn file itself, as out.jpg or out.mp4",
    )


def add_detector_arguments(choices: argparse._MutuallyExclusiveGroup) -> None:
    """--detector and --whole, which set `detector` as `Estimator` takes it."""
    choices.add_argument(
        "-d",
        "--detector",
        metavar="FILE",
        default="default",
        help="ONNX file of a detector, which finds the persons (the packaged one, for models of a person's body)",
    )
    choices.add_argument(
        "--whole",
        dest="detector",
        action="store_const",
        const=None,
        help="the whole picture is one person's box, or region for a model that finds persons",
    )


@dataclass(frozen=True)
class Input:
    """Pictures that belong together, or one video, address or camera.

    Attributes:
        kind: what it is.
        files: the pictures, or the one video.
    """

    kind: Literal["pictures", "video"]
    files: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Name for the results of a video."""
        text = self.files[0]
        if text.isdecimal() and not Path(text).exists():
            return f"camera-{text}"
        return Path(text.partition("?")[0].rstrip("/")).stem or "video"

    @property
    def source(self) -> str | int:
        """The video as `leanpose.sources.open_source` takes it."""
        text = self.files[0]
        return int(text) if text.isdecimal() and not Path(text).exists() else text


def find_inputs(sources: Iterable[str], fail: Fail) -> list[Input]:
    """Inputs in the order given, each file once; those that follow each other and are pictures go together.

    A folder stands for the pictures in it and a pattern for the files that it finds, in natural order (2 before 10);
    those of one folder or pattern go together by themselves, so that they can be followed as a sequence.
    """
    inputs: list[Input] = []
    taken: set[str] = set()
    loose: list[str] = []

    def add(files: Sequence[str], together: bool) -> None:
        new = [file for file in dict.fromkeys(files) if file not in taken]
        taken.update(new)
        pictures = tuple(file for file in new if _is_picture(file))
        if together and pictures:
            flush()
            inputs.append(Input("pictures", pictures))
        for file in new:
            if file not in pictures:
                flush()
                inputs.append(Input("video", (file,)))
            elif not together:
                loose.append(file)

    def flush() -> None:
        if loose:
            inputs.append(Input("pictures", tuple(loose)))
            loose.clear()

    def find(source: str) -> None:
        path = Path(source)
        if not source:  # an empty variable of a shell, which as a path would be the current folder
            fail("''", FileNotFoundError("expected a picture, folder, video, pattern, address or camera, got nothing"))
        elif path.is_dir():
            files = [str(entry) for entry in path.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES]
            if not files:
                fail(source, ValueError(f"the folder holds no picture ({', '.join(PICTURE_SUFFIXES)})"))
            add(natural_order(files), together=True)
        elif glob.has_magic(source) and "://" not in source and not path.exists():
            files = [name for name in glob.glob(source, recursive=True) if not Path(name).is_dir()]
            if not files:
                fail(source, FileNotFoundError("the pattern finds no file"))
            add(natural_order(files), together=True)
        else:
            add([source], together=False)

    for source in sources:
        try:
            find(source)
        except OSError as error:  # a folder that may not be read, or a name that is too long
            fail(source, error)
    flush()
    return inputs


def _is_picture(file: str) -> bool:
    # What is not there can only be told by its name.
    return is_picture(file) if Path(file).is_file() else Path(file).suffix.lower() in PICTURE_SUFFIXES


def read_pictures(files: Iterable[str], first: int, fail: Fail) -> Iterator[Frame]:
    """The pictures that can be read, numbered from `first` on with those that cannot; `fail` takes the latter."""
    for index, file in enumerate(files, first):
        try:
            image = load_image(file)
        except (TypeError, ValueError, OSError) as error:
            fail(file, error)
        else:
            yield Frame(image, index, index / 25, file)


def box_source(text: str | None) -> Callable[[str], npt.ArrayLike | None]:
    """A function from a picture's path to its boxes, for the option ``--boxes``."""
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

    def find(path: str) -> npt.ArrayLike:
        for key in (path, Path(path).name):
            boxes: npt.ArrayLike | None = data.get(key)
            if boxes is not None:  # null would stand for no boxes at all
                return boxes
        raise ValueError(f"{text} has no boxes for '{Path(path).name}'")

    return find
