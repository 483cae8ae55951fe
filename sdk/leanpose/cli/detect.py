"""`leanpose detect SOURCE... --detector D -o OUT`: the boxes of persons in pictures and videos, drawn and as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from ..detection import Detections, Detector
from ..detection.families import FAMILIES
from ..keypoints import COCO17
from ..packaged import DEFAULT_DETECTOR
from ..results import Poses
from ..sinks import PictureSink, Sink, VideoSink
from ..sinks.base import TextSink, write_whole
from ..sources import Frame, open_source
from ..sources.reader import DEFAULT_FPS
from .inputs import Input, add_source_arguments, find_inputs, read_pictures
from .outputs import Outputs
from .progress import Progress, speed

_NOBODY = Poses.empty(COCO17)  # for sinks that draw poses: the boxes are in the picture already


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.set_defaults(json=True, csv=False, coco=False, boxes=None, threshold=0.0, draw_boxes=False)  # for Outputs
    add_source_arguments(parser, results="the results, NAME.jpg or NAME.mp4 and NAME.json")
    parser.add_argument(
        "-d",
        "--detector",
        metavar="FILE",
        default=DEFAULT_DETECTOR,
        help="ONNX file of a detector or packaged detector (%(default)s)",
    )
    parser.add_argument("--family", choices=FAMILIES, help="of the detector, where its graph leaves it open")
    parser.add_argument(
        "--input-size", metavar=("H", "W"), nargs=2, type=int, help="of the detector, where its graph leaves it open"
    )
    parser.add_argument("--score-threshold", type=float, default=0.3, help="least score of a box (%(default)s)")
    parser.add_argument("--nms-threshold", type=float, help="most overlap of two boxes (the family's)")
    parser.add_argument("--provider", help="cpu, cuda, tensorrt or ONNX Runtime's name (best that starts)")
    parser.add_argument("--threads", type=int, help="CPU threads of the detector")
    parser.add_argument("--no-draw", dest="draw", action="store_false", help="no drawn pictures and videos")


def run(options: argparse.Namespace) -> int:
    """Detect and write; the exit code is 0 only where all inputs worked."""
    return _Run(options).run()


class _Outputs(Outputs):
    """The names of `leanpose predict`'s files, and JSON of boxes in them."""

    def drawn(self, given: Input, fps: float) -> list[Sink]:
        """Sinks of pictures or of a video with the boxes drawn already."""
        if not self._options.draw:
            return []
        if given.kind == "pictures":
            return [PictureSink(self.folder, suffix=self._picture_suffix, names=self._name)]
        return [VideoSink(self.folder / f"{self._names[given.files[0]]}{self._video_suffix}", fps)]

    def json(self, file: str) -> Path:
        """Where the boxes of a picture or a video go."""
        return self.folder / f"{self._names[file]}.json"


class _PersonSink(TextSink):
    """One JSON document of the persons in all frames of a video, in memory that does not grow with them."""

    def write(self, frame: Frame, poses: Poses | Detections) -> None:
        """Add a frame."""
        persons = poses.to_dict()["persons"]
        entry = {"index": frame.index, "time": frame.time, "name": frame.name, "persons": persons}
        self.append(('{"frames": [\n' if self.is_empty else ",\n") + json.dumps(entry, ensure_ascii=False))

    def trailer(self) -> str:
        """What ends the document."""
        return '{"frames": []}\n' if self.is_empty else "\n]}\n"


class _Run:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._detector = Detector(
            options.detector,
            family=options.family,
            input_size=None if options.input_size is None else tuple(options.input_size),
            score_threshold=options.score_threshold,
            nms_threshold=options.nms_threshold,
            providers=options.provider,
            threads=options.threads,
        )
        self._failed: list[object] = []
        self._done = 0

    def run(self) -> int:
        """Goes through the inputs; an input that fails does not keep the others from being done."""
        inputs = find_inputs(self._options.sources, self._fail)
        outputs = _Outputs(self._options, inputs)
        start = perf_counter()
        for given in inputs:
            try:
                (self._pictures if given.kind == "pictures" else self._video)(given, outputs)
            except (TypeError, ValueError, OSError) as error:
                self._fail(given.files[0], error)
        if self._done:
            unit = "frame" if any(given.kind == "video" for given in inputs) else "picture"
            print(speed(self._done, unit, perf_counter() - start))
        if self._failed:
            print(f"leanpose detect: failed: {len(self._failed)}", file=sys.stderr)
        return 1 if self._failed else 0

    def _fail(self, name: object, error: Exception) -> None:
        self._failed.append(name)
        print(f"leanpose detect: {name}: {error}", file=sys.stderr)

    def _pictures(self, given: Input, outputs: _Outputs) -> None:
        outputs.folder.mkdir(parents=True, exist_ok=True)
        with Progress(len(given.files), "picture") as progress:
            sinks = outputs.drawn(given, DEFAULT_FPS)
            for frame in read_pictures(given.files, 0, self._fail):
                try:
                    found = self._detector.predict(frame.image)
                    text = json.dumps(found.to_dict(), ensure_ascii=False)
                    write_whole(outputs.json(frame.name), text.encode())
                    self._draw(sinks, frame, found)
                except (OSError, ValueError) as error:
                    self._fail(frame.name, error)
                progress.step()

    def _video(self, given: Input, outputs: _Outputs) -> None:
        with ExitStack() as stack:
            source = stack.enter_context(open_source(given.source))
            outputs.folder.mkdir(parents=True, exist_ok=True)
            persons = stack.enter_context(_PersonSink(outputs.json(given.files[0])))
            sinks = [stack.enter_context(sink) for sink in outputs.drawn(given, source.fps or DEFAULT_FPS)]
            progress = stack.enter_context(Progress(source.length, "frame"))
            for frame in source:
                found = self._detector.predict(frame.image)
                persons.write(frame, found)
                self._draw(sinks, frame, found)
                progress.step()
            if source.skipped:
                raise ValueError(f"frames that could not be read and are left out: {source.skipped}")

    def _draw(self, sinks: Iterable[Sink], frame: Frame, found: Detections) -> None:
        for sink in sinks:
            sink.write(replace(frame, image=found.draw(frame.image)), _NOBODY)
        self._done += 1
