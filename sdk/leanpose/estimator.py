"""Estimator: pictures and boxes in, poses out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from threading import Lock
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .batching import Batcher, batch_buffers
from .boxes import validate_boxes
from .card import ModelCard
from .detection import Detector
from .images import ImageLike, at_picture, load_image
from .model import Model
from .packaged import DEFAULT_DETECTOR, DEFAULT_MODEL, portable_name
from .profiling import Profile
from .results import Poses
from .runtime import Providers
from .sources import Frame, Source, open_source


class Estimator:
    """Finds the keypoints of persons in pictures.

    Most models see one person: the one in a box. Those whose codec finds persons (`card.codec.finds_persons`) see a
    picture, or a region of it, and find any number of persons there.

    Args:
        model: path of an ONNX file, or the name of a packaged model; an existing path wins.
        card: None for the card that the file carries, or where it has none for one inferred from the graph; a mapping
            of fields to set in that card by their paths, as in `leanpose card --set`: {"input.color": "bgr"}; or a
            whole card in its place.
        detector: finds the boxes of the persons in pictures that come without boxes: a `Detector`, or the path of one,
            which then runs with the same providers and threads; not for models that find persons themselves. "default"
            is the packaged one (DEFAULT_DETECTOR), opened for the first such picture, where the keypoints are those of
            a person's body (`card.keypoints.is_body`), and none elsewhere. With None such a picture is one person's
            box.
        providers: "cpu", "cuda", "tensorrt", ONNX Runtime's name of a provider, (name, options), or several of these.
            What is asked for runs, or an error says why not. None takes CUDA where it starts, else the CPU, and logs
            which to the logger "leanpose".
        threads: CPU threads of one call; None leaves it to ONNX Runtime.
        flip_test: also run the mirror image of each input and average both: slower and a little more accurate.

    An Estimator can be pickled (the session is opened anew) and several threads may call it at once.

    Raises:
        FileNotFoundError: there is no such file or packaged model.
        ImportError: there is no ONNX Runtime; the message says what to install.
        ValueError: the file is not a sound model, its card does not fit its graph, or it has none and the graph alone
            does not tell what is needed, in which case the message names the fields to set; an unknown provider; a
            flip test of a model for which none is defined; a detector for a model that finds persons itself.
        TypeError: an argument is of the wrong type.
        RuntimeError: a provider is not installed or cannot start.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        card: ModelCard | Mapping[str, Any] | None = None,
        detector: Detector | str | os.PathLike[str] | None = "default",
        providers: Providers = None,
        threads: int | None = None,
        flip_test: bool = False,
    ) -> None:
        given: object = flip_test
        if not isinstance(given, bool):
            raise TypeError(f"flip_test: expected True or False, got {flip_test!r}")
        self._model = Model(model, providers, threads, card)
        if flip_test:
            self.card.check_flip_test()
        self._arguments: dict[str, Any] = {
            "card": None if card is None else self.card,
            "providers": providers,
            "threads": threads,
            "flip_test": flip_test,
        }
        self._opening = Lock()
        self._detector = self._chosen(detector)
        self._flip_test = flip_test
        self._buffers = batch_buffers(self._model, flip_test)

    @property
    def card(self) -> ModelCard:
        """The model's card: keypoints, input, codec, training data, accuracy, licence."""
        return self._model.card

    @property
    def detector(self) -> Detector | None:
        """What finds the persons in pictures that come without boxes; None where nothing does.

        The packaged one is opened when it is first asked for.
        """
        with self._opening:
            if self._detector == "default":
                self._detector = self._open(DEFAULT_DETECTOR)
            return self._detector

    def _chosen(self, detector: Detector | str | os.PathLike[str] | None) -> Detector | Literal["default"] | None:
        """What the argument stands for: a detector, "default" for the packaged one that is to be opened, or None."""
        finds_persons = self.card.codec.finds_persons
        if isinstance(detector, str) and detector == "default":
            return "default" if self.card.keypoints.is_body and not finds_persons else None
        if detector is not None and finds_persons:
            raise ValueError(
                f"detector: model '{self._model.path}' finds persons in whole pictures itself; leave the detector out"
            )
        return detector if detector is None or isinstance(detector, Detector) else self._open(detector)

    def _open(self, path: str | os.PathLike[str]) -> Detector:
        return Detector(path, providers=self._arguments["providers"], threads=self._arguments["threads"])

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's names of the providers that run the model, in order of preference."""
        return self._model.providers

    @property
    def flip_test(self) -> bool:
        """Whether mirror images are averaged in."""
        return self._flip_test

    def __repr__(self) -> str:
        return f"Estimator({os.fspath(self._model.path)!r}, providers={self.providers}, flip_test={self.flip_test})"

    def __getstate__(self) -> dict[str, Any]:
        return {"model": portable_name(self._model.path), "detector": self._detector, **self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Estimator.__init__(self, **state)

    # A str is formally a sequence of str; the first overload takes it.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, image: ImageLike, boxes: npt.ArrayLike | None = None
    ) -> Poses: ...

    @overload
    def predict(
        self, image: Sequence[ImageLike], boxes: Sequence[npt.ArrayLike | None] | None = None
    ) -> list[Poses]: ...

    def predict(self, image: Any, boxes: Any = None) -> Poses | list[Poses]:
        """Keypoints of the persons in one picture, or in each picture of a list.

        Args:
            image: a path, a uint8 array (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA, a PIL image, or a list or tuple
                of these. EXIF orientation of files and PIL images is applied.
            boxes: (N, 4) x1, y1, x2, y2 in pixels of the picture, optionally with a score as fifth column, or
                `Detections`; for a list of pictures, a list of these. Without boxes they are the detector's, or where
                there is none (`Estimator.detector`) one around the whole picture. An empty list of boxes, or a picture
                in which the detector finds nobody, gives an empty result.

        Returns:
            `Poses` of the picture; for a list, a list of `Poses`. All boxes of all pictures share batches.

            Each box gives one person, in the order of the boxes: those of a detector come best first, with their
            scores. Without boxes and a detector the whole picture is taken as one person's box.

            A model that finds persons takes each box as a region, grown to the aspect ratio of its input, and gives all
            persons found in it, best first: those of the first box, then of the next. Regions that overlap may give a
            person twice (see `leanpose.oks.oks_nms`), so that one around the whole picture mostly serves best. The box
            of such a person is the one around its keypoints that the model gives, clipped to the picture, its person
            score that of the model times the score of the region, and its box score that clipped
            to 0..1. Missing keypoints are NaN with score 0.

        Raises:
            FileNotFoundError: there is no file at a path; another OSError where it cannot be read.
            TypeError, ValueError: a picture or a box is not sound; the message names it. With many pictures, `stream`
                delivers what came before the bad one.
            RuntimeError: the model itself fails.
        """
        if not isinstance(image, list | tuple):
            return next(self._stream(iter([(image, boxes)]), numbered=False))
        if boxes is not None and not isinstance(boxes, list | tuple):
            raise TypeError(f"boxes: expected a list with one entry per picture, got {type(boxes).__name__}")
        if boxes is not None and len(boxes) != len(image):
            raise ValueError(f"boxes: expected one entry per picture, got {len(boxes)} for {len(image)} pictures")
        return list(self._stream(zip(image, boxes or [None] * len(image), strict=True), numbered=True))

    def stream(
        self, pictures: str | os.PathLike[str] | int | Iterable[ImageLike | Frame | tuple[ImageLike, Any]]
    ) -> Iterator[Poses]:
        """The `Poses` of each picture, in order, while pictures are taken one by one in bounded memory.

        Each item is a picture or a pair (picture, boxes), as in `predict`, or a frame of a source. Results arrive when
        a batch of inputs is full. An error is raised after the results of all pictures before the bad one; its message
        counts them from 0.

        Args:
            pictures: an iterable; or a video, folder, glob or camera index, as for `leanpose.sources.open_source`,
                whose broken frames are reported to the logger "leanpose" and skipped.

        Raises:
            TypeError, ValueError, OSError, RuntimeError: as `predict` and, for a source, as `open_source`; TypeError
                also where `pictures` is one picture.
        """
        if isinstance(pictures, str | os.PathLike | int):
            return self._stream(_opened(open_source(pictures)), numbered=True)
        if isinstance(pictures, np.ndarray) or not isinstance(pictures, Iterable):
            raise TypeError(f"pictures: expected several pictures, got one {type(pictures).__name__}; call predict")
        return self._stream(map(_pair, pictures), numbered=True)

    def batcher(self, profile: Profile) -> Batcher:
        """What runs this estimator's network on the boxes of one picture after another; for `leanpose.pipeline`."""
        return Batcher(self._model, self._flip_test, profile, self._buffers)

    def _stream(self, pairs: Iterator[tuple[ImageLike, npt.ArrayLike | None]], numbered: bool) -> Iterator[Poses]:
        batcher = self.batcher(Profile())
        error: Exception | None = None
        for index in count():
            try:
                image, boxes = next(pairs)
                detector = self.detector if boxes is None else None
            except StopIteration:
                break
            except Exception as problem:  # what the caller's iterator raises must not cost finished results
                error = problem
                break
            try:
                picture = load_image(image)
                if detector is not None:
                    found = detector.predict(picture)
                    corners, scores = found.boxes.astype(np.float64), found.scores
                else:
                    corners, scores = validate_boxes(boxes, picture.shape[1], picture.shape[0])
            except Exception as problem:
                error = at_picture(problem, index) if numbered else problem
                break
            yield from batcher.add(picture, corners, scores)
        yield from batcher.finish()
        if error is not None:
            raise error


def _pair(item: Any) -> tuple[ImageLike, npt.ArrayLike | None]:
    if isinstance(item, Frame):
        return item.image, None
    return item if isinstance(item, tuple) and len(item) == 2 else (item, None)


def _opened(source: Source) -> Iterator[tuple[ImageLike, None]]:
    with source:
        for frame in source:
            yield frame.image, None
