"""Detector: pictures in, boxes of persons out."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .. import _core
from ..buffers import Buffers
from ..fields import LARGEST_SIDE
from ..images import ImageLike, at_picture, load_image
from ..packaged import DEFAULT_DETECTOR, portable_name
from ..reals import real_number
from ..runtime import Providers
from ..values import of_sound
from .detections import Detections
from .families import FAMILIES, GREY_LEVELS, Family, Resize, Triple, recognised
from .forms import ROUNDING, Form
from .network import Network

logger = logging.getLogger("leanpose")

_ANY_SIZE = (320, 320)  # to recognise graphs whose size is open
_PERSONS = ("person", "pedestrian", "human", "people")


class Detector:
    """Finds the persons in pictures.

    The family of the model is recognised from its inputs and outputs; docs/detectors.md lists the families. What the
    input holds follows from the family, and every keyword below overrides it.

    Args:
        model: path of an ONNX file, or the name of a packaged detector; an existing path wins.
        family: "yolox", "rtmdet", "picodet", "nanodet", "yolov5", "yolov8" (later ones too), "detr", "deformable_detr"
            or "rt_detr"; None recognises it. Where the graph fits several, the file's name may tell.
        input_size: height and width of the input, for graphs that leave them open.
        resize: "letterbox" keeps the aspect ratio, the picture in the upper left corner; "letterbox_center" likewise in
            the middle; "stretch" fills the input. All sample bilinearly without anti-aliasing, as detectors expect.
        color: order of the input's channels, "rgb" or "bgr".
        mean: of each channel of the input, in grey levels 0..255; the input is (pixel - mean) / std.
        std: of each channel of the input, in grey levels.
        pad: grey level around the picture, 0..255.
        person_class: index of the class of persons; None for that of a list of names in the file, else the family's.
        score_threshold: persons with scores above it are found.
        nms_threshold: of two persons whose boxes have an intersection over union above it the better one stays; None
            for the family's, which does nothing for those whose graph removes duplicates itself.
        providers: as for `Estimator`.
        threads: CPU threads of one call; None leaves it to ONNX Runtime.

    A Detector can be pickled (the session is opened anew) and several threads may call it at once.

    Attributes:
        family, input_size, resize, color, mean, std, pad, person_class, score_threshold: as above, as they are used.
        nms_threshold: likewise; 1 where nothing is suppressed.
        providers: ONNX Runtime's names of the providers that run it, in order of preference.

    Raises:
        FileNotFoundError: there is no such file or packaged model.
        ImportError: there is no ONNX Runtime; the message says what to install.
        ValueError: the file is not a sound model; no family, or more than one, fits its graph, in which case the
            message names the outputs and the families that may; a keyword is out of range or does not fit the graph.
        TypeError: an argument is of the wrong type.
        RuntimeError: a provider is not installed or cannot start.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_DETECTOR,
        *,
        family: str | None = None,
        input_size: tuple[int, int] | None = None,
        resize: Resize | None = None,
        color: Literal["rgb", "bgr"] | None = None,
        mean: Triple | None = None,
        std: Triple | None = None,
        pad: float | None = None,
        person_class: int | None = None,
        score_threshold: float = 0.3,
        nms_threshold: float | None = None,
        providers: Providers = None,
        threads: int | None = None,
    ) -> None:
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "model")}
        given: object = family
        if given is not None and (not isinstance(given, str) or given not in FAMILIES):
            raise ValueError(f"family: expected one of {', '.join(FAMILIES)}, got {family!r}")
        self.score_threshold = _share("score_threshold", score_threshold)
        self._network = network = Network(model, providers, threads)
        self.providers = network.providers
        self.family, self._form, self.input_size, self._shapes = _recognise(network, family, _size(input_size))
        known = FAMILIES[self.family]
        self.resize: Resize = known.resize if resize is None else resize
        self.color: Literal["rgb", "bgr"] = known.color if color is None else color
        if network.graph.takes_integers and (mean is not None or std is not None):
            raise network.error("mean, std: the input takes integers, so that the graph has to normalise by itself")
        normalization = GREY_LEVELS if network.graph.takes_integers else known.normalization
        self.mean = normalization[0] if mean is None else mean
        self.std = normalization[1] if std is None else std
        self.pad = known.pad if pad is None else real_number("pad", pad)
        if not 0 <= self.pad <= 255:
            raise ValueError(f"pad: expected a grey level from 0 to 255, got {self.pad:g}")
        for name, word in (("resize", self.resize), ("color", self.color)):
            if not isinstance(word, str):
                raise TypeError(f"{name}: expected a string, got {word!r:.80}")
        self.person_class = _person_class(network, known, self._form, person_class)
        suppression = 1.0 if known.nms is None else known.nms
        self.nms_threshold = suppression if nms_threshold is None else _share("nms_threshold", nms_threshold)
        height, width = self.input_size
        shape = (1, 3, height, width) if network.layout == "nchw" else (1, height, width, 3)
        self._buffers = Buffers(shape, network.dtype)
        self._prepare(np.zeros((1, 1, 3), np.uint8), self._buffers.take())  # which names keywords that are out of range
        logger.info("%s: a detector of the family %s, input %s", network.path.name, self.family, self.input_size)

    def __repr__(self) -> str:
        return (
            f"Detector({os.fspath(self._network.path)!r}, family={self.family!r}, input_size={self.input_size}, "
            f"providers={self.providers})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"model": portable_name(self._network.path), **self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Detector.__init__(self, **state)

    # A str is formally a sequence of str; the first overload takes it.
    @overload
    def predict(self, image: ImageLike) -> Detections: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, image: Sequence[ImageLike]) -> list[Detections]: ...

    def predict(self, image: Any) -> Detections | list[Detections]:
        """The persons in one picture, or in each picture of a list, best first.

        Args:
            image: a path, a uint8 array (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA, a PIL image, or a list or tuple
                of these. EXIF orientation of files and PIL images is applied.

        Returns:
            `Detections` of the picture; for a list, a list of `Detections`. Boxes are clipped to the picture; those of
            which nothing is left, and those that are not finite, are dropped. Where nobody is found they are empty.

        Raises:
            FileNotFoundError: there is no file at a path; another OSError where it cannot be read.
            TypeError, ValueError: a picture is not sound; the message names it. ValueError also where the outputs do
                not hold to their form: another shape, or scores that are not in 0..1.
            RuntimeError: the model itself fails.
        """
        if not isinstance(image, list | tuple):
            return self._find(load_image(image))
        found = []
        for index, picture in enumerate(image):
            try:
                loaded = load_image(picture)
            except Exception as error:
                raise at_picture(error, index) from error
            found.append(self._find(loaded))
        return found

    def _prepare(self, picture: npt.NDArray[np.uint8], out: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Fills the input `out` and gives the transform (2, 3) from its pixels to those of the picture."""
        network, border = self._network, (self.pad, self.pad, self.pad)
        form = (self.input_size, self.mean, self.std, self.color, border)
        _, transform = _core.letterbox(
            picture, *form, resize=self.resize, dtype=network.dtype, layout=network.layout, out=out
        )
        return transform

    def _check(self, shapes: list[tuple[int, ...]]) -> None:
        """ValueError where outputs are not shaped as those that told the family; some may hold any number of rows."""
        same = shapes == self._shapes
        if self._form.any_count:
            same = [shape[1:] for shape in shapes] == [shape[1:] for shape in self._shapes]
            same = same and len({shape[0] for shape in shapes}) == 1
        if not same:
            raise self._network.error(f"outputs of shapes {shapes} (without batch), but for a black one {self._shapes}")

    def _find(self, picture: npt.NDArray[np.uint8]) -> Detections:
        inputs = self._buffers.take()
        transform = self._prepare(picture, inputs)
        outputs = self._network.run(inputs)
        self._buffers.give_back(inputs)
        self._check([output.shape for output in outputs])
        with np.errstate(all="ignore"):  # what overflows is dropped below
            boxes, scores = self._form.persons(outputs, self.person_class, self.score_threshold)
        highest = scores.max(initial=0, where=scores < np.inf)
        if highest > 1 + ROUNDING:
            raise self._network.error(
                f"a score of {highest:g}, expected 0..1, as family {self.family} has it: is it of another family"
            )
        height, width = picture.shape[:2]
        corners, found = _core.detections(boxes, scores, self.nms_threshold, transform, width, height)
        return of_sound(Detections, boxes=corners, scores=np.minimum(found, np.float32(1)))


def _recognise(
    network: Network, family: str | None, input_size: tuple[int, int] | None
) -> tuple[str, Form, tuple[int, int], list[tuple[int, ...]]]:
    """The family, the form of the outputs, the size of the input, the outputs' shapes; ValueError where none fits."""
    size = input_size or network.graph.size(network.layout)
    if size is not None and not all(1 <= side <= LARGEST_SIDE for side in size):
        raise network.error(f"expected height and width of the input from 1 to {LARGEST_SIDE}")
    if size is None:  # whatever the size, the outputs tell the family, which tells the size
        family = family or _recognise(network, None, _ANY_SIZE)[0]
        size = FAMILIES[family].size
    outputs = network.probe(size)
    found = recognised(outputs, size, family, network.path.stem)
    if len(found) == 1:
        return (*found[0], size, [output.shape for output in outputs])
    if family is not None:
        raise network.error(f"family: {family!r} has outputs {FAMILIES[family].outputs}, which these are not")
    if found:
        names = " or ".join(f"family={name!r}" for name, _ in found)
        raise network.error(f"it may be of several families of detectors; say which with {names}")
    known = "; ".join(f"{name}: {entry.outputs}" for name, entry in FAMILIES.items())
    raise network.error(f"its outputs fit no family of detectors that family= could name ({known})")


def _person_class(network: Network, family: Family, form: Form, given: int | None) -> int:
    names = network.class_names()
    if given is None and names:
        persons = [index for index, name in names.items() if name.lower() in _PERSONS]
        if not persons:
            raise network.error(f"person_class: none of the classes {', '.join(names.values())} is a person; name one")
        given = persons[0]
    number: object = family.person if given is None else given
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"person_class: expected an integer or None, got {given!r}")
    if number < 0 or (form.classes is not None and number >= form.classes):
        last = "" if form.classes is None else f" to {form.classes - 1}"
        raise network.error(f"person_class: expected a class from 0{last}, got {number}")
    return number


def _size(given: tuple[int, int] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    sides: Any = given
    if not isinstance(sides, list | tuple) or len(sides) != 2 or any(type(side) is not int for side in sides):
        raise TypeError(f"input_size: expected two integers, height and width, got {given!r}")
    if not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(f"input_size: expected height and width from 1 to {LARGEST_SIDE}, got {given!r}")
    return sides[0], sides[1]


def _share(name: str, given: Any) -> float:
    if not isinstance(given, int | float | np.floating) or isinstance(given, bool):
        raise TypeError(f"{name}: expected a number from 0 to 1, got {given!r}")
    if not 0 <= given <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {given!r}")
    return float(given)
