from __future__ import annotations

import gc
import importlib.util
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from videos import SIZE, chunks, damage, number, numbered, set_rate, write_video

from leanpose.sources import Frame, Source, open_source

THREAD = "leanpose-source"
NO_AV = importlib.util.find_spec("av") is None
BACKENDS: list[Any] = ["cv2", pytest.param("av", marks=pytest.mark.skipif(NO_AV, reason="needs PyAV"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def video(folder: Path) -> Path:
    return write_video(folder / "sound.avi", 20)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    if any(thread.name == THREAD for thread in threading.enumerate()):
        gc.collect()
    assert ended()


def ended() -> bool:
    """Whether the threads of all sources end within seconds."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(10)
    return not any(thread.name == THREAD for thread in threading.enumerate())


def numbers(source: Source) -> list[tuple[int, int]]:
    """What each frame says its number is, and what its picture says."""
    return [(frame.index, number(frame.image)) for frame in source]


def pairs(*indices: int) -> list[tuple[int, int]]:
    return [(index, index) for index in indices]


# Sound sources


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ahead", [0, 1, 4, 100])
def test_every_frame_of_a_video_once_and_in_order(backend: Any, ahead: int, video: Path) -> None:
    with open_source(video, backend=backend, ahead=ahead) as source:
        assert (source.fps, source.length, source.size, source.name) == (25, 20, SIZE, str(video))
        frames = list(source)
    assert [(frame.index, number(frame.image)) for frame in frames] == pairs(*range(20))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(20) / 25, atol=1e-9)
    assert frames[3].name == f"{video}#3"
    assert frames[0].image.dtype == np.uint8
    assert frames[0].image.flags.c_contiguous
    assert source.seconds > 0
    assert source.skipped == 0
    assert list(source) == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fourcc", ["mp4v", "MJPG"])
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_containers(backend: Any, fourcc: str, suffix: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / f"größe ☃{suffix}", 31, 10, fourcc, (64, 96))
    with open_source(str(path), backend=backend) as source:
        assert (source.fps, source.size) == (10, (64, 96))
        frames = list(source)
    assert [number(frame.image) for frame in frames] == list(range(31))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(31) / 10, atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_times_are_those_of_the_container(backend: Any, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    from fractions import Fraction

    path, times = tmp_path / "variable.mkv", [0, 40, 80, 300, 320, 1000, 1001, 5000]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, moment in enumerate(times):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="bgr24")
            picture.pts, picture.time_base = moment, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with open_source(path, backend=backend) as source:
        frames = list(source)
    assert [(frame.index, number(frame.image)) for frame in frames] == pairs(*range(8))
    np.testing.assert_allclose([frame.time for frame in frames], np.array(times) / 1000, atol=2e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_videos_on_their_side_are_set_upright(backend: Any, turn: int, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.set_display_rotation(turn)
        for index in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(index), format="bgr24")))
        container.mux(stream.encode())
    with open_source(path, backend=backend) as source:
        upright = list(source)
        assert source.size == (SIZE if turn == 180 else SIZE[::-1])
    assert [frame.image.shape[:2] for frame in upright] == [source.size] * 5
    assert [number(np.rot90(frame.image, -turn // 90)) for frame in upright] == list(range(5))


def test_a_folder_and_a_glob_in_natural_order(tmp_path: Path) -> None:
    for index, name in enumerate(["Shot1.png", "shot2.PNG", "shot10.png", "shot010.png"]):
        cv2.imwrite(str(tmp_path / name), numbered(index))
    (tmp_path / "notes.txt").write_text("no picture")
    expected = [0, 1, 3, 2]  # 010 and 10 are the same number, and 0 comes before 1
    for given in (tmp_path, str(tmp_path / "*.[pP][nN][gG]"), str(tmp_path / "**/*hot*")):
        with open_source(given, fps=10) as source:
            assert (source.fps, source.length, source.size) == (10, 4, None)
            frames = list(source)
        assert [number(frame.image) for frame in frames] == expected
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        np.testing.assert_allclose([frame.time for frame in frames], [0, 0.1, 0.2, 0.3])
        assert frames[3].name == str(tmp_path / "shot10.png")


def test_one_picture_in_any_form(tmp_path: Path) -> None:
    picture = numbered(77)
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), picture)
    bare = path.rename(tmp_path / "no suffix [1]")
    for given in (bare, str(bare), picture, picture[..., 0], Image.fromarray(picture)):
        with open_source(given) as source:
            assert source.length == 1
            assert numbers(source) == [(0, 77)]


def test_iterables_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), numbered(2))
    pictures = [numbered(0), Image.fromarray(numbered(1)), path, str(path), Frame(numbered(9), 40, 1.5, "mine")]
    with open_source(iter(pictures)) as source:
        assert source.length is None
        frames = list(source)
    assert [(frame.index, number(frame.image)) for frame in frames] == [(0, 0), (1, 1), (2, 2), (3, 2), (40, 9)]
    assert [frame.name for frame in frames] == ["frames", "frames", str(path), str(path), "mine"]
    assert [frame.time for frame in frames] == [0, 1 / 25, 2 / 25, 3 / 25, 1.5]
    assert numbers(open_source(np.stack([numbered(0), numbered(1)]))) == pairs(0, 1)
    assert list(open_source([])) == []


def test_frames_of_an_iterable_are_read_as_pictures_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), numbered(7))
    pictures: list[Any] = [path, np.zeros((6, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), numbered(2)]
    frames = [Frame(picture, 10 + place, 0.5 * place, f"n{place}") for place, picture in enumerate(pictures)]
    with open_source(frames) as source:
        found = list(source)
        assert source.skipped == 1
    places = [(frame.index, frame.time, frame.name) for frame in found]
    assert places == [(10, 0, "n0"), (11, 0.5, "n1"), (13, 1.5, "n3")]
    assert number(found[0].image) == 7
    assert found[1].image.shape == (6, 4, 3)
    assert "n2: image: expected at least one pixel" in caplog.text
    with pytest.raises(TypeError, match=r"source: frame 0: image: expected a path, .* got NoneType"):
        list(open_source([Frame(None, 0, 0.0, "n")]))  # type: ignore[arg-type]


def test_times_are_plain_numbers_whatever_the_rate_is() -> None:
    with open_source([numbered(0), numbered(1)], fps=np.float32(3)) as source:  # type: ignore[arg-type]
        assert [type(frame.time) for frame in source] == [float, float]


def test_a_source_is_given_back_as_it_is(video: Path) -> None:
    with open_source(video) as source:
        assert open_source(source) is source
        assert next(source).index == 0
        assert [frame.index for frame in source] == list(range(1, 20))


def test_frames_of_any_size_and_depth_that_is_8_bit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes: dict[str, Any] = {
        "0.png": np.full((30, 40), 9, np.uint8),
        "1.png": np.full((30, 40, 4), 9, np.uint8),
        "2.png": np.full((30, 40, 3), 900, np.uint16),
        "3.png": np.full((1, 1, 3), 9, np.uint8),
        "4.jpg": np.full((70, 50, 3), 9, np.uint8),
    }
    for name, picture in shapes.items():
        cv2.imwrite(str(tmp_path / name), picture)
    with open_source(tmp_path) as source:
        frames = list(source)
    assert [(f.index, f.image.shape) for f in frames] == [
        (0, (30, 40, 3)),
        (1, (30, 40, 3)),
        (3, (1, 1, 3)),
        (4, (70, 50, 3)),
    ]
    assert source.skipped == 1
    assert re.search(r"skipped frame 2, .*2\.png: .*uint16 samples", caplog.text)


# Broken frames


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("part", [1.0, 0.5])
@pytest.mark.parametrize("broken", [(7,), (0,), (0, 1, 2), (5, 6, 7, 12), (19,), (17, 18, 19)])
def test_a_broken_frame_is_reported_and_the_others_keep_their_numbers(
    backend: Any, part: float, broken: tuple[int, ...], video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = damage(video, tmp_path / "damaged.avi", broken, part=part)
    with open_source(path, backend=backend) as source:
        frames = list(source)
    kept = [index for index in range(20) if index not in broken]
    assert [(frame.index, number(frame.image)) for frame in frames] == pairs(*kept)
    np.testing.assert_allclose([frame.time for frame in frames], np.array(kept) / 25, atol=1e-9)
    assert source.skipped == len(broken)
    reported = [int(found) for found in re.findall(rf"skipped frame (\d+), {re.escape(str(path))}#\1: ", caplog.text)]
    at_the_end = re.findall(r"ended after (\d+) of the 20 frames", caplog.text)
    assert (*reported, *range(int(at_the_end[0]) if at_the_end else 20, 20)) == broken


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_truncated_video_gives_what_is_there(
    backend: Any, video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = video.read_bytes()
    start, length = chunks(data)[12]
    path = tmp_path / "truncated.avi"
    path.write_bytes(data[: start + length // 3])
    with open_source(path, backend=backend) as source:
        assert numbers(source) == pairs(*range(12))
    assert source.skipped == 8
    assert "of the 20 frames that its header counts" in caplog.text


def test_a_broken_picture_is_reported_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), numbered(index))
    data = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "3.jpeg").symlink_to("gone.jpeg")
    with open_source(tmp_path) as source:
        assert [(frame.index, number(frame.image)) for frame in source] == [(0, 0), (4, 3)]
    assert source.skipped == 3
    for message in (r"frame 1, .*1\.jpg: .* empty file", r"frame 2, .*truncated JPEG", r"frame 3, .*there is no file"):
        assert re.search(message, caplog.text)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("scale", "rate"), [(0, 0), (1, 0), (0, 1), (1, 2**31), (1, 2**32 - 1)])
def test_absurd_frame_rates(backend: Any, scale: int, rate: int, video: Path, tmp_path: Path) -> None:
    path = set_rate(video, tmp_path / "rate.avi", scale, rate)
    with open_source(path, backend=backend) as source:
        assert source.fps in (25, None)
        frames = list(source)
    assert [(frame.index, number(frame.image)) for frame in frames] == pairs(*range(20))
    np.testing.assert_allclose(np.diff([frame.time for frame in frames]), 1 / 25, atol=1e-6)


class _Capture:
    """A stand-in for a camera and for the metadata of strange files."""

    fps: float = 30.0
    count: float = 0.0
    plan = "xx.x..x"  # x: fails

    def __init__(self, source: object) -> None:
        self.plays, self.released = iter(self.plan), False

    def isOpened(self) -> bool:
        return self.plan != ""

    def get(self, what: int) -> float:
        values = {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_FRAME_COUNT: self.count}
        return values.get(what, float("nan") if what == cv2.CAP_PROP_POS_MSEC else 48.0)

    def read(self) -> tuple[bool, Any]:
        done = next(self.plays, "x") == "."
        return done, numbered(3) if done else None

    def release(self) -> None:
        self.released = True


def test_a_camera(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _Capture)
    with open_source(0) as source:
        assert (source.name, source.fps, source.length) == ("camera 0", 30, None)
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].time == 0
    assert frames[0].time < frames[1].time < frames[2].time
    assert "camera 0 gives no more frames" in caplog.text


def test_a_camera_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Capture, "plan", "")
    monkeypatch.setattr(cv2, "VideoCapture", _Capture)
    with pytest.raises(OSError, match="camera 3 cannot be opened"):
        open_source(3)


@pytest.mark.parametrize("count", [0.0, -1.0, float("nan"), float("inf"), -9.2e18, 1e300])
@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_metadata_that_cannot_be(count: float, fps: float, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _Capture)
    monkeypatch.setattr(_Capture, "count", count)
    monkeypatch.setattr(_Capture, "fps", fps)
    with open_source(video, fps=10) as source:
        assert (source.fps, source.length) == (10, None)
        frames = list(source)
    assert [frame.index for frame in frames] == [2, 4, 5]
    np.testing.assert_allclose([frame.time for frame in frames], [0.2, 0.4, 0.5])


# Sources that are refused


def _make(folder: Path, video: Path) -> dict[str, Any]:
    def file(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    (folder / "bare").mkdir(exist_ok=True)
    (folder / "ruined").mkdir(exist_ok=True)
    file("ruined/1.png", b"nothing")
    return {
        "missing": folder / "missing.avi",
        "bare folder": folder / "bare",
        "ruined folder": folder / "ruined",
        "empty": file("empty.mp4", b""),
        "text": file("text.mp4", b"Dear reader, " * 99),
        "text as a picture": file("text.jpg", b"Dear reader, " * 99),
        "picture, cut": file("cut.jpg", cv2.imencode(".jpg", numbered(0))[1].tobytes()[:300]),
        "zeros": file("zeros.avi", bytes(5000)),
        "header alone": file("header.avi", video.read_bytes()[:5000]),
        "no frames": write_video(folder / "none.avi", 0),
        "all broken": damage(video, folder / "all.avi", range(20)),
        "codec": file("codec.avi", video.read_bytes().replace(b"MJPG", b"zzzz")),
        "not UTF-8": file(os.fsdecode(b"caf\xe9.mp4"), b"Dear reader, " * 99),
        "glob": str(folder / "*.tga"),
        "void glob": str(folder / "bare" / "**" / "*.png"),
        "nul": "a\0b.mp4",
        "camera": -1,
        "late camera": 2**31,
        "none": None,
        "true": True,
        "float": 0.5,
        "bytes": b"video.avi",
        "object": object(),
        "nonsense": "",
        "fifo of shapes": np.zeros((2, 3, 4, 5), np.uint8),
        "floats": [np.zeros((4, 4, 3))],
        "numbers": [1, 2, 3],
        "address": "file:///nowhere/at/all.mp4",
    }


REFUSED: list[tuple[str, type[Exception], str]] = [
    ("missing", FileNotFoundError, "source: there is no file '.*missing.avi'"),
    ("bare folder", ValueError, "source: the folder '.*bare' holds no picture"),
    ("ruined folder", ValueError, "1.png' is not a picture"),
    ("empty", ValueError, "source: '.*empty.mp4' is an empty file"),
    ("text", ValueError, "text.mp4' is no"),
    ("text as a picture", ValueError, "text.jpg' is not a picture"),
    ("picture, cut", ValueError, "cut.jpg' is a truncated JPEG"),
    ("zeros", ValueError, "zeros.avi' is no"),
    ("header alone", ValueError, "header.avi' (is no|holds no frame)"),
    ("no frames", ValueError, "source: '.*none.avi' holds no frame that can be read"),
    ("all broken", ValueError, "source: '.*all.avi' holds no frame that can be read"),
    ("codec", ValueError, r"codec.avi' (is no picture and no video|is of a codec that PyAV does not know)"),
    ("not UTF-8", ValueError, r"(caf.*mp4|not UTF-8)"),
    ("glob", FileNotFoundError, r"source: the pattern '.*\*.tga' finds no file"),
    ("void glob", FileNotFoundError, "finds no file"),
    ("nul", FileNotFoundError, "source: there is no file"),
    ("camera", ValueError, "source: expected a camera index from 0 to 2147483647, got -1"),
    ("late camera", ValueError, "source: expected a camera index from 0 to 2147483647, got 2147483648"),
    ("none", TypeError, "source: expected a video or picture file, .*; got None"),
    ("true", TypeError, "got True"),
    ("float", TypeError, "got float"),
    ("bytes", TypeError, "got b'video.avi'"),
    ("object", TypeError, "got object"),
    ("nonsense", FileNotFoundError, "source: there is no file ''"),
    ("fifo of shapes", ValueError, r"expected shape \(H, W\), .*got \(3, 4, 5\)"),
    ("floats", TypeError, "source: frame 0: image: expected a uint8 array, got float64"),
    ("numbers", TypeError, "source: frame 0: image: expected a path, .* got int"),
    ("address", ValueError, "file:///nowhere/at/all.mp4"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "error", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_opened_or_gives_nothing(
    kind: str, error: type[Exception], message: str, backend: Any, folder: Path, video: Path
) -> None:
    given = _make(folder, video)[kind]
    with pytest.raises(error, match=message):  # noqa: SIM117
        with open_source(given, backend=backend) as source:
            list(source)


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ({"backend": "gst"}, ValueError, "backend: expected 'cv2' or 'av', got 'gst'"),
        ({"ahead": -1}, ValueError, "ahead: expected at least 0, got -1"),
        ({"ahead": 1.5}, TypeError, "ahead: expected an integer, got 1.5"),
        ({"ahead": True}, TypeError, "ahead: expected an integer, got True"),
        ({"fps": 0}, ValueError, "fps: expected a positive finite number or None, got 0"),
        ({"fps": float("nan")}, ValueError, "fps: expected a positive finite number"),
        ({"fps": 10**400}, ValueError, "fps: expected a positive finite number or None, got inf"),
        ({"fps": "25"}, TypeError, "fps: expected a number, got '25'"),
        ({"fps": np.array([25, 30])}, TypeError, "fps: expected a number, got array([25, 30])"),
    ],
)
def test_bad_arguments(argument: dict[str, Any], error: type[Exception], message: str, video: Path) -> None:
    with pytest.raises(error, match=re.escape(message)):
        open_source(video, **argument)


def test_without_pyav_the_error_says_what_to_install(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'leanpose[av]'")):
        open_source(video, backend="av")


# The thread


def endless(seen: list[int]) -> Iterator[Any]:
    try:
        for index in range(10**9):
            seen.append(index)
            yield numbered(index % 65536)
    finally:
        seen.append(-1)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_reading_runs_ahead_but_not_far(ahead: int) -> None:
    seen: list[int] = []
    with open_source(endless(seen), ahead=ahead) as source:
        assert seen == []
        assert next(source).index == 0
        most = 1 + ahead + (1 if ahead else 0)  # one delivered, those in the queue, one in the reader's hand
        wait_for(lambda: len(seen) == most)
        time.sleep(0.02)
        assert len(seen) == most
        assert [frame.index for frame, _ in zip(source, range(50), strict=False)] == list(range(1, 51))
    wait_for(lambda: seen[-1] == -1)
    assert list(source) == []


def test_the_thread_ends_however_the_source_is_left(video: Path) -> None:
    seen: list[int] = []

    def leave(error: type[BaseException]) -> None:
        with open_source(endless(seen)) as source:
            next(source)
            raise error

    for error in (ValueError, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(error):
            leave(error)
        assert ended()
    dropped = open_source(endless(seen))
    next(dropped)
    del dropped
    gc.collect()
    assert ended()
    assert seen.count(-1) == 4
    source = open_source(video)
    next(source)
    source.close()
    source.close()
    assert ended()
    open_source(video).close()
    assert next(open_source(video), None) is not None


@pytest.mark.parametrize("ahead", [0, 4])
def test_an_error_of_the_iterable_comes_after_the_frames_before_it(ahead: int) -> None:
    def failing() -> Iterator[Any]:
        yield numbered(0)
        yield numbered(1)
        raise ZeroDivisionError("mine")

    taken: list[int] = []
    source = open_source(failing(), ahead=ahead)
    with pytest.raises(ZeroDivisionError, match="mine"):
        taken.extend(frame.index for frame in source)
    assert taken == [0, 1]
    assert list(source) == []


def test_a_source_without_a_thread_may_be_closed_while_it_reads() -> None:
    ended = []

    def pictures() -> Iterator[Any]:
        try:
            yield numbered(0)
            closer = threading.Thread(target=source.close)
            closer.start()
            closer.join()
            yield numbered(1)
        finally:
            ended.append(True)

    source = open_source(pictures(), ahead=0)
    assert [frame.index for frame in source] == [0]
    source.close()
    assert ended == [True]
    assert list(source) == []


def test_a_slow_taker_and_a_slow_giver_lose_nothing() -> None:
    def slow() -> Iterator[Any]:
        for index in range(60):
            time.sleep(0.001 * (index % 3 == 0))
            yield numbered(index)

    with open_source(slow(), ahead=2) as source:
        taken = []
        for frame in source:
            time.sleep(0.001 * (frame.index % 4 == 0))
            taken.append((frame.index, number(frame.image)))
    assert taken == pairs(*range(60))


def test_closing_does_not_wait_for_ever_on_a_source_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("leanpose.sources.ahead._PATIENCE", 0.01)
    gate = threading.Event()

    def hanging() -> Iterator[Any]:
        yield numbered(0)
        gate.wait(10)

    source = open_source(hanging())
    assert next(source).index == 0
    with caplog.at_level(logging.WARNING, "leanpose"):
        source.close()
    assert "still waits for its next frame" in caplog.text
    gate.set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_real_video(backend: Any) -> None:
    shared = os.environ.get("LEANPOSE_SHARED")
    if not shared:
        pytest.skip("needs LEANPOSE_SHARED")
    with open_source(Path(shared) / "video" / "vtest.avi", backend=backend) as source:
        assert (source.fps, source.length, source.size) == (10, 795, (576, 768))
        sums = []
        for index, frame in enumerate(source):
            assert frame.index == index
            assert frame.time == pytest.approx(index / 10)
            sums.append(int(frame.image.sum()))
    assert len(sums) == 795
    assert len(set(sums)) > 780  # hardly a frame is the same as another
