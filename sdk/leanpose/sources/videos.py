"""Video files, streams and cameras through OpenCV, and video files through PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import monotonic
from typing import Any

import cv2
import numpy as np

from .frame import Frame
from .reader import Clock, Reader, logger, sound_fps

# Frames in a row that cannot be decoded before a video counts as ended: where its length is told, and where not.
_MOST_BROKEN, _MOST_BROKEN_BLIND = 1000, 64
_DAMAGED = "it cannot be decoded"


class _Video(Reader):
    """A video; the frames that decoders refuse keep their numbers."""

    def report_end(self, index: int) -> None:
        """Checks how many frames, with those skipped, came out of a video that has ended."""
        self.refuse_nothing(index - self.skipped)
        if self.length is not None and index < self.length:
            logger.warning("'%s' ended after %d of the %d frames that its header counts", self.name, index, self.length)
            self.skipped += self.length - index

    def frame_name(self, index: int) -> str:
        """The name of a frame."""
        return f"{self.name}#{index}"


class OpenCVVideo(_Video):
    """A video file or an address that OpenCV opens.

    Raises:
        ValueError: OpenCV cannot open it.
    """

    def __init__(self, path: str, fps: float | None) -> None:
        if not is_utf8(path):
            raise ValueError(f"source: the name of {os.fsencode(path)!r} is not UTF-8, which OpenCV needs; rename it")
        self._capture = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            raise ValueError(f"source: '{path}' is no picture and no video that OpenCV can open, or it is damaged")
        told = {name: self._capture.get(getattr(cv2, f"CAP_PROP_{name}")) for name in ("FPS", "FRAME_COUNT")}
        height, width = (int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
        count = told["FRAME_COUNT"]
        super().__init__(
            path,
            sound_fps(told["FPS"]) or fps,
            int(count) if 0 < count < 2**53 else None,
            (height, width) if height > 0 and width > 0 else None,
        )

    def frames(self) -> Iterator[Frame]:
        """The frames; OpenCV fails once for each that is broken, and for ever at the end."""
        clock, index, broken = Clock(self.fps), 0, 0
        while broken < (_MOST_BROKEN_BLIND if self.length is None else min(max(self.length - index, 1), _MOST_BROKEN)):
            done, image = self._capture.read()
            if not done:
                broken += 1
                continue
            for number in range(index, index + broken):
                self.skip(number, self.frame_name(number), _DAMAGED)
            index, broken = index + broken, 0
            time = clock.time(index, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            yield Frame(np.asarray(image, np.uint8), index, time, self.frame_name(index))
            index += 1
        self.report_end(index)

    def release(self) -> None:
        """Closes the video."""
        self._capture.release()


class Camera(Reader):
    """A camera of this machine, by its number; times are the clock's, from the first frame on.

    Frames are taken as they come and none is dropped here: who is slower than the camera makes it wait, and what
    the driver then does with newer frames is up to it.

    Raises:
        OSError: there is no such camera, or it is in use.
    """

    def __init__(self, number: int, fps: float | None) -> None:
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise OSError(f"source: camera {number} cannot be opened; is it there, free, and may this user read it?")
        height, width = (int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
        size = (height, width) if height > 0 and width > 0 else None
        super().__init__(f"camera {number}", sound_fps(self._capture.get(cv2.CAP_PROP_FPS)) or fps, None, size)

    def frames(self) -> Iterator[Frame]:
        """The frames until the camera fails for good."""
        clock, start, broken, index = Clock(self.fps), None, 0, 0
        while broken < _MOST_BROKEN_BLIND:
            done, image = self._capture.read()
            if not done:
                broken += 1
                continue
            broken, now = 0, monotonic()
            start = now if start is None else start
            yield Frame(np.asarray(image, np.uint8), index, clock.time(index, now - start), f"{self.name}#{index}")
            index += 1
        logger.warning("%s gives no more frames", self.name)
        self.refuse_nothing(index)

    def release(self) -> None:
        """Frees the camera."""
        self._capture.release()


def is_utf8(path: str) -> bool:
    """Whether a file name can be told to a library that takes UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


class AVVideo(_Video):
    """A video file or an address that PyAV opens.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: PyAV cannot open it, or it has no video stream of a codec that is known.
    """

    def __init__(self, path: str, fps: float | None) -> None:
        try:
            import av
        except ImportError as error:
            raise ImportError("backend: 'av' needs PyAV; install it with pip install 'leanpose[av]'") from error
        self._errors: type[Exception] = av.FFmpegError
        try:
            self._container = av.open(path)
        except (self._errors, UnicodeError) as error:
            raise ValueError(f"source: '{path}' is no video that PyAV can open: {error}") from error
        if not self._container.streams.video:
            raise ValueError(f"source: '{path}' has no video stream")
        self._stream: Any = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise ValueError(f"source: '{path}' is of a codec that PyAV does not know, or damaged")
        size = (self._stream.height, self._stream.width)
        self._quarter_turns = self._turns(av.open(path))
        super().__init__(
            path,
            sound_fps(float(self._stream.average_rate or 0)) or fps,
            self._stream.frames or None,
            size[::-1] if self._quarter_turns % 2 else size,
        )

    def _turns(self, container: Any) -> int:
        """Quarter turns to the left that set the picture upright, which the first frame tells."""
        with container:
            try:
                return int(round(next(container.decode(video=0)).rotation / 90) % 4)
            except (self._errors, StopIteration):
                return 0

    def frames(self) -> Iterator[Frame]:
        """The frames; a packet that cannot be decoded counts as one."""
        clock, index = Clock(self.fps), 0
        start = (self._stream.start_time or 0) * (self._stream.time_base or 0)
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                decoded = packet.decode()
            except StopIteration:
                break
            except EOFError:  # PyAV's error at the end is one of both kinds
                break
            except self._errors as error:
                self.skip(index, self.frame_name(index), error)
                index += 1
                continue
            for picture in decoded:
                told = None if picture.time is None else float(picture.time - start)
                image = np.rot90(picture.to_ndarray(format="bgr24"), self._quarter_turns)
                yield Frame(np.ascontiguousarray(image), index, clock.time(index, told), self.frame_name(index))
                index += 1
        self.report_end(index)

    def release(self) -> None:
        """Closes the video."""
        self._container.close()
