from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from videos import number, numbered

from leanpose import COCO17, KeypointSet, Poses, load_image
from leanpose.evaluation import evaluate_coco
from leanpose.sinks import (
    CSV_COLUMNS,
    CocoSink,
    CsvSink,
    JsonSink,
    Names,
    PictureJsonSink,
    PictureSink,
    Sink,
    VideoSink,
)
from leanpose.sources import Frame, open_source

COUNTS = (2, 0, 1, 3)  # persons in each frame


def poses_of(count: int, seed: int = 0, track_ids: list[int] | None = None) -> Poses:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 20, (count, 2))
    xy = random.uniform(5, 55, (count, 17, 2)).astype(np.float32)
    scores = random.uniform(0, 1, (count, 17)).astype(np.float32)
    if count > 1:
        xy[0, 3], scores[0, 3], scores[1, 5] = np.nan, 0, np.nan
    return Poses(xy, scores, np.concatenate([corners, corners + 40], axis=1), np.ones(count), COCO17, None, track_ids)


def frame_of(index: int, name: str | None = None, size: tuple[int, int] = (48, 64)) -> Frame:
    image = np.full((*size, 3), 40 + 10 * index, np.uint8)
    return Frame(image, index, index / 25, f"walk.mp4#{index}" if name is None else name)


def results() -> Iterator[tuple[Frame, Poses]]:
    for index, count in enumerate(COUNTS):
        yield frame_of(index), poses_of(count, index, list(range(-1, count - 1)) if index % 2 else None)


def fill(sink: Sink, times: int = 1) -> None:
    with sink:
        for _ in range(times):
            for frame, poses in results():
                sink.write(frame, poses)


# JSON


def test_json_holds_every_frame(tmp_path: Path) -> None:
    fill(JsonSink(tmp_path / "deep" / "r.json"))
    data = json.loads((tmp_path / "deep" / "r.json").read_text(encoding="utf-8"))
    assert list(data) == ["names", "skeleton", "frames"]
    assert data["names"] == list(COCO17.names)
    assert data["skeleton"] == [list(pair) for pair in COCO17.skeleton]
    for entry, (frame, poses) in zip(data["frames"], results(), strict=True):
        assert (entry["index"], entry["time"], entry["name"]) == (frame.index, frame.time, frame.name)
        assert entry["persons"] == poses.to_dict()["persons"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["r.json"]


def test_json_of_no_frames(tmp_path: Path) -> None:
    JsonSink(tmp_path / "r.json").close()
    assert json.loads((tmp_path / "r.json").read_text()) == {"names": [], "skeleton": [], "frames": []}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", [JsonSink, CocoSink, CsvSink])
def test_files_are_sound_after_an_error(
    kind: Callable[[Path], Sink], error: type[BaseException], tmp_path: Path
) -> None:
    def broken() -> None:
        with kind(tmp_path / "r") as sink:
            for index, (frame, poses) in enumerate(results()):
                if index == 3:
                    raise error
                sink.write(frame, poses)

    with pytest.raises(error):
        broken()
    with kind(tmp_path / "expected") as sink:
        for frame, poses in list(results())[:3]:
            sink.write(frame, poses)
    assert (tmp_path / "r").read_bytes() == (tmp_path / "expected").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", [JsonSink, CocoSink, CsvSink])
def test_an_interrupt_in_the_middle_of_an_entry_leaves_no_part_of_it(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = kind(tmp_path / "r")
    entries = list(results())
    sink.write(*entries[0])

    class Interrupted:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            self.file.write(data[: len(data) // 2])
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sink, "_file", Interrupted(sink._file))
        with pytest.raises(KeyboardInterrupt):
            sink.write(*entries[3])
    sink.close()
    with kind(tmp_path / "expected") as other:
        other.write(*entries[0])
    assert (tmp_path / "r").read_bytes() == (tmp_path / "expected").read_bytes()


def test_nothing_has_its_name_before_it_is_finished(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("before")
    sink = JsonSink(tmp_path / "r.json")
    sink.write(*next(results()))
    assert (tmp_path / "r.json").read_text() == "before"
    sink.close()
    sink.close()
    assert len(json.loads((tmp_path / "r.json").read_text())["frames"]) == 1


def test_json_refuses_other_keypoints(tmp_path: Path) -> None:
    with JsonSink(tmp_path / "r.json") as sink:
        sink.write(frame_of(0), poses_of(1))
        with pytest.raises(ValueError, match="frame 1: its keypoints are other than those"):
            sink.write(frame_of(1), Poses.empty(KeypointSet(("a",), (), (), (1,))))
        sink.write(frame_of(2), poses_of(0))
    assert [entry["index"] for entry in json.loads((tmp_path / "r.json").read_text())["frames"]] == [0, 2]


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    with JsonSink(tmp_path / "r.json") as documents, CsvSink(tmp_path / "r.csv") as rows:
        for sink in (documents, rows):
            sink.write(frame_of(0, "gr\u00fcn\udcff.png"), poses_of(1))
    (entry,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["frames"]
    assert entry["name"] == "gr\u00fcn\udcff.png"
    assert "gr\u00fcn\\udcff.png" in (tmp_path / "r.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [JsonSink, CocoSink, CsvSink])
def test_places_that_cannot_be_written(kind: Callable[[Path], Sink], tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="expected the name of a file"):
        kind(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        kind(tmp_path / "file" / "r")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
@pytest.mark.parametrize("kind", [JsonSink, CocoSink, CsvSink, lambda path: VideoSink(path, 25)])
def test_a_pipe_is_not_replaced(kind: Callable[[Path], Sink], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"pipe.mp4' is a device or pipe; expected the name of a file"):
        kind(pipe)
    pictures = PictureSink(tmp_path, suffix=".png", names=lambda frame: "pipe")
    pipe.rename(tmp_path / "pipe.png")
    with pytest.raises(OSError, match=r"pipe.png' is a device or pipe"):
        pictures.write(frame_of(0), poses_of(0))
    assert [entry.is_fifo() for entry in tmp_path.iterdir()] == [True]


# CSV


def test_csv_read_back(tmp_path: Path) -> None:
    fill(CsvSink(tmp_path / "r.csv"))
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(COUNTS) * 17
    assert tuple(rows[0]) == CSV_COLUMNS
    position = iter(rows)
    for frame, poses in results():
        for person in range(len(poses)):
            for point, name in enumerate(poses.names):
                row = next(position)
                assert (row["frame"], row["name"], row["person"]) == (str(frame.index), frame.name, str(person))
                assert (float(row["time"]), row["keypoint"]) == (frame.time, name)
                values = [float(row[column] or "nan") for column in ("x", "y", "score")]
                expected = [*poses.xy[person, point], poses.keypoint_scores[person, point]]
                np.testing.assert_array_equal(np.float32(values), expected)
                assert np.float32(row["person_score"]) == poses.scores[person]
                track_id = -1 if poses.track_ids is None else poses.track_ids[person]
                assert row["track_id"] == ("" if track_id < 0 else str(track_id))


def test_csv_read_back_by_pandas(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas", reason="the package pandas is not installed")
    fill(CsvSink(tmp_path / "r.csv"))
    table = pd.read_csv(tmp_path / "r.csv", dtype={"track_id": "Int64"})
    expected = pd.concat([poses.to_dataframe(frame=frame.index) for frame, poses in results()], ignore_index=True)
    assert set(table.columns) == {*expected.columns, "time", "name"}
    for column in ("frame", "person", "track_id"):
        assert table[column].equals(expected[column].astype(table[column].dtype))
    assert table["keypoint"].tolist() == expected["keypoint"].tolist()
    for column in ("x", "y", "score", "person_score"):
        np.testing.assert_array_equal(table[column].astype(np.float32), expected[column])


def test_csv_of_no_persons_has_its_head(tmp_path: Path) -> None:
    with CsvSink(tmp_path / "r.csv") as sink:
        sink.write(frame_of(0), poses_of(0))
    assert (tmp_path / "r.csv").read_text() == ",".join(CSV_COLUMNS) + "\n"


def test_csv_quotes_what_needs_it(tmp_path: Path) -> None:
    with CsvSink(tmp_path / "r.csv") as sink:
        sink.write(frame_of(0, 'a, "b"\n.png'), poses_of(1))
    with open(tmp_path / "r.csv", newline="") as file:
        assert {row["name"] for row in csv.DictReader(file)} == {'a, "b"\n.png'}


# COCO results


def test_coco_results_can_be_evaluated(tmp_path: Path) -> None:
    pictures = [frame_of(index, f"/data/{name}") for index, name in enumerate(("000000000042.jpg", "7.png"))]
    poses = [poses_of(1, seed) for seed in (1, 2)]
    with CocoSink(tmp_path / "r.json") as sink:
        for frame, found in zip(pictures, poses, strict=True):
            sink.write(frame, found)
    results_ = json.loads((tmp_path / "r.json").read_text())
    assert results_ == poses[0].to_coco(42) + poses[1].to_coco(7)
    truth = {
        "images": [{"id": 42}, {"id": 7}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": number,
                "image_id": person["image_id"],
                "category_id": 1,
                "keypoints": [value for x, y, _ in np.reshape(person["keypoints"], (17, 3)) for value in (x, y, 2)],
                "num_keypoints": 17,
                "bbox": person["bbox"],
                "area": 1600,
                "iscrowd": 0,
            }
            for number, person in enumerate(results_, 1)
        ],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    assert evaluate_coco(tmp_path / "gt.json", tmp_path / "r.json").statistics["AP"] == pytest.approx(1)


def test_coco_image_ids(tmp_path: Path) -> None:
    names = ("walk.mp4#0", "a/b.png", "12.jpg", "\u0663.png", "camera 0#4", "frames", "x#y.png")
    with CocoSink(tmp_path / "r.json") as sink:
        for index, name in enumerate(names):
            sink.write(frame_of(index, name), poses_of(1))
    ids = [person["image_id"] for person in json.loads((tmp_path / "r.json").read_text())]
    assert ids == [0, "b", 12, "\u0663", 4, 5, "x#y"]
    with CocoSink(tmp_path / "r.json", image_id=lambda frame: frame.index + 100) as sink:
        sink.write(frame_of(1), poses_of(1))
    assert json.loads((tmp_path / "r.json").read_text())[0]["image_id"] == 101
    CocoSink(tmp_path / "r.json").close()
    assert json.loads((tmp_path / "r.json").read_text()) == []


# pictures


def test_pictures_are_drawn(tmp_path: Path) -> None:
    fill(PictureSink(tmp_path / "out", suffix=".png", boxes=True, threshold=0.5))
    names = [f"walk-{index:06}.png" for index in range(4)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for name, (frame, poses) in zip(names, results(), strict=True):
        expected = poses.draw(frame.image, threshold=0.5, boxes=True)
        np.testing.assert_array_equal(load_image(tmp_path / "out" / name), expected)


def test_a_json_file_per_picture_has_the_same_name(tmp_path: Path) -> None:
    names = ("one/a.jpg", "two/a.jpg", "a-2.jpg", "three/a.png")
    with PictureSink(tmp_path) as pictures, PictureJsonSink(tmp_path) as documents:
        for index, name in enumerate(names):
            for sink in (pictures, documents):
                sink.write(frame_of(index, name), poses_of(1, index))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.{suffix}" for name in ("a", "a-2", "a-2-2", "a-3") for suffix in ("jpg", "json")
    )
    for index, name in enumerate(("a", "a-2", "a-2-2", "a-3")):
        assert json.loads((tmp_path / f"{name}.json").read_text()) == poses_of(1, index).to_dict()


def test_names() -> None:
    names = Names()
    given = ["a.jpg", "b/a.png", "v.mp4#2", "frames", "frames", "a.jpg", "camera 0#6", "x#y.png"]
    made = [names(frame_of(index, name)) for index, name in enumerate(given)]
    assert made == ["a", "a-2", "v-000002", "frames-000003", "frames-000004", "a-3", "camera 0-000006", "x#y"]


@pytest.mark.parametrize("suffix", ["jpg", ".nothing", ""])
def test_picture_formats_that_opencv_cannot_write(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="suffix: OpenCV cannot write"):
        PictureSink(tmp_path, suffix=suffix)


# videos


@pytest.mark.parametrize("codec", ["h264", "opencv"])
@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".avi", ".mkv", ".MOV"])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_videos_keep_frames_size_and_rate(
    codec: str, suffix: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"out{suffix}"
    if codec == "h264":
        pytest.importorskip("av", reason="PyAV is not installed")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    with VideoSink(path, 12.5) as sink:
        for index in range(8):
            frame = frame_of(index, size=size)
            sink.write(replace(frame, image=numbered(index)[: size[0], : size[1]]), poses_of(0))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with open_source(path) as source:
        assert source.fps == pytest.approx(12.5)
        frames = list(source)
    assert [number(frame.image) for frame in frames] == list(range(8))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


def test_h264_is_what_browsers_play(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with VideoSink(tmp_path / "out.mp4", 30000 / 1001, codec="h264") as sink:
        for index in range(3):
            sink.write(frame_of(index), poses_of(1))
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == Fraction(30000, 1001)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # so that it plays before it is loaded


def test_h264_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"'h264' needs PyAV; .* pip install 'leanpose\[av\]'"):
        VideoSink(tmp_path / "out.mp4", 25, codec="h264")


def test_videos_show_the_poses(tmp_path: Path) -> None:
    poses = poses_of(2, 5)
    with VideoSink(tmp_path / "out.avi", 25, codec="MJPG") as sink:
        sink.write(frame_of(0), poses)
    ((drawn,),) = [[frame.image for frame in open_source(tmp_path / "out.avi")]]
    assert np.abs(drawn.astype(int) - poses.draw(frame_of(0).image)).mean() < 12
    assert np.abs(drawn.astype(int) - frame_of(0).image).mean() > 20


def test_videos_are_finished_after_an_error(tmp_path: Path) -> None:
    def broken() -> None:
        with VideoSink(tmp_path / "out.mp4", 25) as sink:
            for index in range(5):
                sink.write(frame_of(index), poses_of(0))
                assert not (tmp_path / "out.mp4").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert len(list(open_source(tmp_path / "out.mp4"))) == 5


def test_videos_refuse_frames_of_another_size(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "out.mp4", 25) as sink:
        sink.write(frame_of(0), poses_of(0))
        with pytest.raises(ValueError, match=r"frame 1 is 80x40, the frames of '.*out\.mp4' are 64x48"):
            sink.write(frame_of(1, size=(40, 80)), poses_of(0))
        sink.write(frame_of(2), poses_of(0))
    assert len(list(open_source(tmp_path / "out.mp4"))) == 2


def test_videos_without_frames_are_not_made(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "out.mp4", 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fps", "codec", "message"),
    [
        ("out.gif", 25, None, "path: expected the name of a video, ending in .mp4"),
        ("out", 25, None, "path: expected the name of a video"),
        ("out.mp4", 0, None, "fps: expected a positive finite number, got 0"),
        ("out.mp4", float("nan"), None, "fps: expected"),
        ("out.mp4", 25, "h264x", "codec: expected 'h264' or the four characters"),
    ],
)
def test_videos_that_cannot_be(name: str, fps: float, codec: str | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        VideoSink(tmp_path / name, fps, codec=codec)


def test_a_rate_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="fps: expected a number, got '25'"):
        VideoSink(tmp_path / "out.mp4", "25")  # type: ignore[arg-type]


def test_videos_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        VideoSink(tmp_path / "out.mp4", 25)
    sink = VideoSink(tmp_path / "x.mp4", 25, codec="zzzz")
    with pytest.raises(OSError, match=r"x\.mp4': OpenCV cannot write a video of 64x48 at 25 .* the codec zzzz"):
        sink.write(frame_of(0), poses_of(0))
    sink.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_pictures_are_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        PictureSink(tmp_path).write(frame_of(0), poses_of(0))
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
sys.path[:0] = [{tests!r}]
from leanpose.sinks import CocoSink, CsvSink, JsonSink, VideoSink
from test_sinks import results
sink = {sink}
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
entries, done = list(results()), 0
try:
    with sink:
        while done < 10_000:
            sink.write(*entries[done % 4])
            done += 1
except OSError as error:
    print(done, error)
"""


def fill_the_disk(sink: str) -> tuple[int, str]:
    """Frames that were written until a file grew too large, and the error."""
    pytest.importorskip("resource", reason="this system limits no file sizes")
    code = FULL_DISK.format(tests=str(Path(__file__).parent), sink=sink)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, error = done.stdout.split(maxsplit=1)
    return int(count), error


@pytest.mark.parametrize("kind", ["JsonSink", "CocoSink", "CsvSink"])
def test_a_full_disk_costs_no_entry_before(kind: str, tmp_path: Path) -> None:
    count, error = fill_the_disk(f"{kind}({str(tmp_path / 'r')!r})")
    assert "File too large" in error
    (path,) = tmp_path.iterdir()
    text = path.read_text()
    persons = sum(COUNTS[index % 4] for index in range(count))
    if kind == "JsonSink":
        assert len(json.loads(text)["frames"]) == count > 3
    elif kind == "CocoSink":
        assert len(json.loads(text)) == persons > 3
    else:
        assert len(list(csv.DictReader(text.splitlines()))) == 17 * persons > 50


@pytest.mark.parametrize("codec", ["h264", "mp4v"])
def test_a_full_disk_leaves_no_broken_video(codec: str, tmp_path: Path) -> None:
    if codec == "h264":
        pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    _, error = fill_the_disk(f"VideoSink({str(path)!r}, 25, codec={codec!r})")
    assert "out.mp4" in error
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_memory_stays_flat(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    sinks: list[Sink] = [JsonSink(tmp_path / "a"), CocoSink(tmp_path / "b"), CsvSink(tmp_path / "c")]
    entries = list(results())

    def write(times: int) -> None:
        for _ in range(times):
            for frame, poses in entries:
                for sink in sinks:
                    sink.write(frame, poses)

    write(10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    write(200)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for sink in sinks:
        sink.close()
    assert (tmp_path / "a").stat().st_size > 500_000
    assert grown < 100_000
