"""`leanpose predict SOURCE... -o OUT`: poses of pictures and videos, drawn and as JSON, CSV or COCO results."""

from __future__ import annotations

import argparse
import math
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..boxes import validate_boxes
from ..estimator import Estimator
from ..packaged import DEFAULT_MODEL
from ..pipeline import Pipeline
from ..profiling import Profile
from ..results import Poses
from ..sinks import Sink
from ..sources import Frame, open_source
from ..sources.reader import DEFAULT_FPS
from ..tracking import Smoother, Tracker
from .inputs import Input, add_detector_arguments, add_source_arguments, box_source, find_inputs, read_pictures
from .outputs import Outputs
from .progress import Progress, speed

Results = Generator[tuple[Frame, Poses], None, None]

_NO_IMAGE = np.empty((0, 0, 3), np.uint8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.set_defaults(misuse=parser.error)
    add_source_arguments(parser, results="the results")
    model = parser.add_argument_group("models")
    model.add_argument("-m", "--model", default=DEFAULT_MODEL, help="ONNX file or packaged model (%(default)s)")
    persons = model.add_mutually_exclusive_group()
    add_detector_arguments(persons)
    persons.add_argument(
        "--boxes",
        metavar="FILE|x1,y1,x2,y2",
        help="one box for every picture, or a JSON file {picture name: [[x1, y1, x2, y2], ...]}; a box is one person, "
        "or for a model that finds persons a region to find them in; a negative first number needs "
        "--boxes=-5,0,90,200",
    )
    model.add_argument("--provider", help="cpu, cuda, tensorrt or ONNX Runtime's name (best that starts)")
    model.add_argument("--threads", type=int, help="CPU threads of a model")
    model.add_argument("--flip-test", action="store_true", help="average with the mirror image's result")
    sequence = parser.add_argument_group("videos and sequences of pictures")
    sequence.add_argument("--track", action="store_true", help="follow persons: the same number in every frame")
    sequence.add_argument("--smooth", action="store_true", help="steady the keypoints of followed persons; tracks too")
    sequence.add_argument(
        "--every",
        metavar="N",
        type=int,
        help="detect in every N-th frame and take the boxes from the last poses between (1)",
    )
    output = parser.add_argument_group("results")
    output.add_argument("--no-draw", dest="draw", action="store_false", help="no drawn pictures and videos")
    output.add_argument("--json", action="store_true", help="NAME.json for each picture and video")
    output.add_argument("--csv", action="store_true", help="NAME.csv for each video, results.csv for all pictures")
    output.add_argument("--coco", action="store_true", help="COCO results: NAME.coco.json, results.coco.json likewise")
    output.add_argument("--threshold", type=float, default=0.3, help="least keypoint score to draw (%(default)s)")
    output.add_argument("--draw-boxes", action="store_true", help="draw the boxes of the persons too")
    output.add_argument("--profile", action="store_true", help="print the time that each stage takes")


def run(options: argparse.Namespace) -> int:
    """Predict and write; the exit code is 0 only where all inputs worked."""
    _check(options)
    return _Run(options).run()


def _check(options: argparse.Namespace) -> None:
    """Ends the command with exit code 2 where options contradict each other."""
    sequence = options.track or options.smooth or options.every is not None or options.profile
    for wrong, message in (
        (options.boxes is not None and sequence, "--boxes goes without --track, --smooth, --every and --profile"),
        (options.every is not None and options.every < 1, f"--every: expected at least 1, got {options.every}"),
        (
            not (options.draw or options.json or options.csv or options.coco),
            "--no-draw leaves nothing to write; add --json, --csv or --coco",
        ),
    ):
        if wrong:
            options.misuse(message)
    if math.isnan(options.threshold):
        raise ValueError("--threshold: expected a number, got nan")


class _Run:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._find_boxes = box_source(options.boxes)
        self._estimator = Estimator(
            options.model,
            detector=options.detector,
            providers=options.provider,
            threads=options.threads,
            flip_test=options.flip_test,
        )
        if options.boxes is None:
            detector = self._estimator.detector  # opened before anything is written
            if options.every is not None and detector is None and not self._estimator.card.codec.finds_persons:
                options.misuse("--every needs a detector; give one by -d FILE, or leave --whole out")
        self._follow = options.track or options.smooth
        self._profile = Profile()
        self._failed: list[object] = []
        self._done = 0

    def run(self) -> int:
        """Goes through the inputs; an input that fails does not keep the others from being done."""
        inputs = find_inputs(self._options.sources, self._fail)
        outputs = Outputs(self._options, inputs)
        start, pictures = perf_counter(), 0
        with ExitStack() as stack:
            shared = [stack.enter_context(sink) for sink in outputs.open_shared(inputs)]
            for given in inputs:
                if given.kind == "pictures":
                    self._pictures(given, pictures, outputs, shared)
                    pictures += len(given.files)
                    continue
                try:
                    self._video(given, outputs)
                except (TypeError, ValueError, OSError) as error:
                    self._fail(given.files[0], error)
        if self._done:
            unit = "frame" if any(given.kind == "video" for given in inputs) else "picture"
            print(speed(self._done, unit, perf_counter() - start))
        if self._options.profile and self._profile.frames:
            print(self._profile.table())
        if self._failed:
            print(f"leanpose predict: failed: {len(self._failed)}", file=sys.stderr)
        return 1 if self._failed else 0

    def _fail(self, name: object, error: Exception) -> None:
        self._failed.append(name)
        print(f"leanpose predict: {name}: {error}", file=sys.stderr)

    def _pictures(self, given: Input, first: int, outputs: Outputs, shared: list[Sink]) -> None:
        frames = read_pictures(given.files, first, self._fail)
        alone = not (self._follow or self._options.profile or self._options.every)
        results = self._batches(frames) if alone else self._sequence(frames)
        with ExitStack() as stack, Progress(len(given.files), "picture") as progress, closing(results):
            # What is drawn comes last: it is what fails for single pictures, as for those too wide for JPEG.
            sinks = [*shared, *(stack.enter_context(sink) for sink in outputs.open(given, DEFAULT_FPS))]
            for frame, poses in results:
                try:
                    self._write(sinks, frame, poses)
                except (OSError, ValueError) as error:
                    self._fail(frame.name, error)
                progress.step()

    def _video(self, given: Input, outputs: Outputs) -> None:
        if self._options.boxes is not None:
            raise ValueError("--boxes is for pictures; in videos a detector finds the persons")
        with ExitStack() as stack:
            source = stack.enter_context(open_source(given.source))
            sinks = [stack.enter_context(sink) for sink in outputs.open(given, source.fps or DEFAULT_FPS)]
            progress = stack.enter_context(Progress(source.length, "frame"))
            for frame, poses in stack.enter_context(closing(self._sequence(source))):
                self._write(sinks, frame, poses)
                progress.step()
            if source.skipped:
                raise ValueError(f"frames that could not be read and are left out: {source.skipped}")

    def _write(self, sinks: Iterable[Sink], frame: Frame, poses: Poses) -> None:
        with self._profile.measure("output"):
            for sink in sinks:
                sink.write(frame, poses)
        self._done += 1

    def _sequence(self, frames: Iterable[Frame]) -> Results:
        """Frame by frame, each following from those before."""
        pipeline = Pipeline(
            self._estimator,
            every=self._options.every or 1,
            tracker=Tracker() if self._follow else None,
            smoother=Smoother() if self._options.smooth else None,
        )
        yield from pipeline.run(frames)
        self._profile.frames += pipeline.profile.frames
        for stage, seconds in pipeline.profile.seconds.items():
            self._profile.add(stage, seconds, pipeline.profile.counts[stage])

    def _batches(self, frames: Iterable[Frame]) -> Results:
        """Pictures by themselves, all persons in shared batches."""
        waiting: deque[Frame] = deque()

        def sound() -> Iterator[tuple[npt.NDArray[np.uint8], npt.ArrayLike | None]]:
            for frame in frames:
                try:
                    boxes = self._find_boxes(frame.name)
                    validate_boxes(boxes, frame.image.shape[1], frame.image.shape[0])
                except (TypeError, ValueError) as error:
                    self._fail(frame.name, error)
                else:
                    waiting.append(Frame(_NO_IMAGE, frame.index, frame.time, frame.name))
                    yield frame.image, boxes

        for poses in self._estimator.stream(sound()):
            frame = waiting.popleft()
            if self._options.draw:
                # Read again: keeping the pictures of a whole batch would cost gigabytes where they are large.
                again: Any = list(read_pictures([frame.name], frame.index, self._fail))
                if not again:
                    continue
                (frame,) = again
            yield frame, poses
