"""What `leanpose predict` writes: which file for which input."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..sinks import VIDEO_SUFFIXES, CocoSink, CsvSink, JsonSink, Names, PictureJsonSink, PictureSink, Sink, VideoSink
from ..sources import PICTURE_SUFFIXES, Frame
from .inputs import Input

_RESULTS = "results"


class Outputs:
    """The files of one run of the command.

    A picture gives NAME.jpg and NAME.json, all pictures together results.csv and results.coco.json; a video gives
    NAME.mp4, NAME.json, NAME.csv and NAME.coco.json: each only where the options ask for it. NAME is the stem of the
    input, with a number where several share it. An output that is named like a picture or a video, and is no folder,
    is the drawn file itself, and the others lie beside it.

    Raises:
        ValueError: an output would replace an input, or is one file for several inputs.
    """

    def __init__(self, options: argparse.Namespace, inputs: Sequence[Input]) -> None:
        self._options = options
        self.folder, self._picture_suffix, self._video_suffix = Path(options.output), ".jpg", ".mp4"
        names, files = Names(), [file for given in inputs for file in given.files]
        suffix = self.folder.suffix.lower()
        single = suffix in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) and not self.folder.is_dir()
        if single and len(files) > 1:
            raise ValueError(f"-o {self.folder}: one file for {len(files)} inputs; give a folder")
        self._results = names.unique(_RESULTS) if not single and self._tables else self.folder.stem
        self._names, self._ids = {}, {}
        for given in inputs:
            for file in given.files:
                stem = given.stem if given.kind == "video" else Path(file).stem
                if options.coco and stem.endswith(".coco"):
                    names.unique(stem)  # with .json it is where the COCO results of another input go
                self._ids[file] = stem if single else names.unique(stem)
                self._names[file] = self.folder.stem if single else self._ids[file]
        if single:
            self._picture_suffix = self._video_suffix = self.folder.suffix
            self.folder = self.folder.parent
        self._keep(inputs)

    @property
    def _tables(self) -> bool:
        return bool(self._options.csv or self._options.coco)

    def _paths(self, given: Input) -> list[Path]:
        """All files that an input may give."""
        options, paths = self._options, []
        for file in given.files:
            name = self._names[file]
            drawn = self._picture_suffix if given.kind == "pictures" else self._video_suffix
            paths += [self.folder / f"{name}{drawn}"] if options.draw else []
            paths += [self.folder / f"{name}.json"] if options.json else []
        results = self._results if given.kind == "pictures" else self._names[given.files[0]]
        paths += [self.folder / f"{results}.csv"] if options.csv else []
        paths += [self.folder / f"{results}.coco.json"] if options.coco else []
        return paths

    def _keep(self, inputs: Sequence[Input]) -> None:
        sources = {Path(file).resolve() for given in inputs for file in given.files}
        if self._options.boxes:
            sources.add(Path(self._options.boxes).resolve())
        for given in inputs:
            for path in self._paths(given):
                if path.resolve() in sources:
                    raise ValueError(f"-o {self._options.output}: '{path}' is an input and would be overwritten")

    def open_shared(self, inputs: Sequence[Input]) -> list[Sink]:
        """Sinks of all pictures together."""
        if not any(given.kind == "pictures" for given in inputs):
            return []
        return self._open_tables(self._results)

    def open(self, given: Input, fps: float) -> list[Sink]:
        """Sinks of one input."""
        options = self._options
        style = {"threshold": options.threshold, "boxes": options.draw_boxes}
        sinks: list[Sink] = []
        if given.kind == "pictures":
            if options.json:
                sinks.append(PictureJsonSink(self.folder, names=self._name))
            if options.draw:
                sinks.append(PictureSink(self.folder, suffix=self._picture_suffix, names=self._name, **style))
            return sinks
        name = self._names[given.files[0]]
        if options.json:
            sinks.append(JsonSink(self.folder / f"{name}.json"))
        if options.draw:
            sinks.append(VideoSink(self.folder / f"{name}{self._video_suffix}", fps, **style))
        return sinks + self._open_tables(name)

    def _open_tables(self, name: str) -> list[Sink]:
        sinks: list[Sink] = []
        if self._options.csv:
            sinks.append(CsvSink(self.folder / f"{name}.csv"))
        if self._options.coco:
            sinks.append(CocoSink(self.folder / f"{name}.coco.json", self._image_id))
        return sinks

    def _name(self, frame: Frame) -> str:
        return self._names[frame.name]

    def _image_id(self, frame: Frame) -> int | str:
        """Of a picture, its name, a number where it is one; of a video's frame, its number."""
        name = self._ids.get(frame.name)
        if name is None:
            return frame.index
        return int(name) if name.isascii() and name.isdigit() else name
