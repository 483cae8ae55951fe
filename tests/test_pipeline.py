from __future__ import annotations

import gc
import multiprocessing
import resource
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from leanpose import Estimator, KeypointSet, Poses
from leanpose.detection import Detections
from leanpose.pipeline import Pipeline, boxes_to_follow
from leanpose.profiling import Profile
from leanpose.sources import open_source
from leanpose.tracking import Smoother, Tracker
from models import DOTS, crowd_model, dot_model, dots_picture

HEIGHT, WIDTH = 120, 200
TRIANGLE = np.array([[0, -18], [-12, 14], [12, 14]])  # red, green, blue of a person
STATM = Path("/proc/self/statm")
Picture = npt.NDArray[np.uint8]


class Finder:
    """A detector that knows persons by their light, and counts in which frames it is asked."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.now = -1

    def predict(self, image: Picture) -> Detections:
        self.calls.append(self.now)
        light = cv2.dilate(image.max(axis=2), np.ones((25, 25), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats((light > 0).astype(np.uint8))
        boxes = [(x + 8, y + 8, x + w - 8, y + h - 8) for x, y, w, h, _ in stats[1:count] if min(w, h) > 16]
        return Detections(np.array(boxes).reshape(-1, 4), np.full(len(boxes), 0.9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def estimator(folder: Path) -> Estimator:
    return estimator_in(folder)


def estimator_in(folder: Path) -> Estimator:
    # std 255 makes scores of 0..1
    estimator = Estimator(dot_model(folder, "dots.onnx"), card={"input.std": [255.0] * 3}, threads=1)
    estimator._detector = Finder()  # type: ignore[assignment]
    return estimator


def finder(estimator: Estimator) -> Finder:
    assert isinstance(estimator.detector, Finder)
    return estimator.detector


def picture(*centers: tuple[float, float], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Picture:
    image = np.zeros((*size, 3), np.uint8)
    for center in centers:
        image = np.maximum(image, dots_picture(*size, np.add(TRIANGLE, center), radius=7))
    return image


def film(estimator: Estimator, frames: Sequence[Picture]) -> Iterator[Picture]:
    """The frames, read without a thread so that the finder knows which one it sees."""
    for index, frame in enumerate(frames):
        finder(estimator).now = index
        yield frame


def run(estimator: Estimator, frames: Sequence[Picture], **settings: Any) -> list[Poses]:
    results = list(Pipeline(estimator, **settings).run(open_source(film(estimator, frames), ahead=0)))
    assert [frame.index for frame, _ in results] == list(range(len(frames)))
    for (frame, _), given in zip(results, frames, strict=True):
        np.testing.assert_array_equal(frame.image, given)
    return [poses for _, poses in results]


WALK = [picture((40 + 2 * index, 50 + index)) for index in range(20)]


def assert_on_walk(poses: Poses, index: int) -> None:
    assert len(poses) == 1
    assert np.abs(poses.xy[0] - np.add(TRIANGLE, (40 + 2 * index, 50 + index))).max() < 2


def test_a_search_in_every_frame_equals_predict(estimator: Estimator) -> None:
    expected = [estimator.predict(frame) for frame in WALK]
    finder(estimator).calls.clear()
    assert run(estimator, WALK) == expected
    assert finder(estimator).calls == list(range(20))


@pytest.mark.parametrize("every", [2, 3, 7, 100])
def test_persons_are_followed_between_searches(every: int, estimator: Estimator) -> None:
    for index, poses in enumerate(run(estimator, WALK, every=every)):
        assert_on_walk(poses, index)
        assert poses.box_scores == np.float32(0.9)
    assert finder(estimator).calls == list(range(0, 20, every))


def test_where_everybody_is_lost_persons_are_searched_for_at_once(estimator: Estimator) -> None:
    dark = [np.zeros_like(WALK[0])] * 3
    frames = [*WALK[:5], *dark, *WALK[8:]]
    results = run(estimator, frames, every=100)
    assert [len(poses) for poses in results] == [1] * 5 + [0] * 3 + [1] * 12
    for index in (*range(5), *range(8, 20)):
        assert_on_walk(results[index], index)
    assert finder(estimator).calls == [0, 5, 6, 7, 8]


def test_one_of_two_may_be_lost_until_the_next_search(estimator: Estimator) -> None:
    alone, both = picture((40, 60)), picture((40, 60), (150, 60))
    results = run(estimator, [both, alone, both, both, both], every=4)
    assert [len(poses) for poses in results] == [2, 2, 1, 1, 2]  # found in the dark once, but without score
    assert results[1].scores.min() == 0
    assert finder(estimator).calls == [0, 4]


def test_persons_who_become_one_are_counted_once(estimator: Estimator) -> None:
    frames = [picture((60 + step, 60), (140 - step, 60)) for step in range(0, 41, 4)]
    results = run(estimator, frames, every=100)
    assert [len(results[0]), len(results[-1])] == [2, 1]


def test_a_person_who_leaves_the_picture(estimator: Estimator) -> None:
    frames = [picture((150 + 6 * step, 60)) for step in range(20)]
    results = run(estimator, frames, every=3)
    assert len(results[0]) == 1
    assert len(results[-1]) == 0


def test_frames_of_another_size_are_searched_at_once(estimator: Estimator) -> None:
    frames = [
        picture((40, 60)),
        picture((40, 60)),
        picture((90, 70), size=(140, 150)),
        picture((90, 70), size=(140, 150)),
    ]
    results = run(estimator, frames, every=100)
    assert finder(estimator).calls == [0, 2]
    assert np.abs(results[3].xy[0] - np.add(TRIANGLE, (90, 70))).max() < 2


def test_without_a_detector_the_whole_picture_is_searched(folder: Path) -> None:
    estimator = Estimator(dot_model(folder, "dots.onnx"), card={"input.std": [255.0] * 3}, threads=1)
    frames = [picture((30 + step, 28), size=(60, 70)) for step in range(6)]
    results = [poses for _, poses in Pipeline(estimator, every=3).run(frames)]
    assert [poses.boxes[0].tolist() == [0, 0, 70, 60] for poses in results] == [True, False, False] * 2
    assert [poses for _, poses in Pipeline(estimator).run(frames)] == list(estimator.stream(frames))


def test_tracks_and_smoothing(estimator: Estimator) -> None:
    frames = [picture((40 + 2 * step, 60), (160 - 2 * step, 62)) for step in range(8)]
    plain = run(estimator, frames)
    tracker, smoother = Tracker(), Smoother()
    expected = [smoother.update(tracker.update(poses, index / 25), index / 25) for index, poses in enumerate(plain)]
    pipeline = Pipeline(estimator, tracker=Tracker(), smoother=Smoother())
    for _ in range(2):  # each run starts anew
        assert [poses for _, poses in pipeline.run(frames)] == expected
    assert expected[-1].track_ids is not None
    assert sorted(expected[-1].track_ids.tolist()) == [1, 2]


def test_the_profile(estimator: Estimator) -> None:
    pipeline = Pipeline(estimator, every=4, tracker=Tracker(), smoother=Smoother())
    assert pipeline.profile.frames == 0
    results = pipeline.run(WALK)
    next(results)
    assert (pipeline.profile.frames, pipeline.profile.counts["pose"]) == (1, 1)
    list(results)
    profile = pipeline.profile
    assert profile.frames == 20
    assert profile.counts == {
        "decode": 20,
        "detect": 5,
        **dict.fromkeys(("crop", "pose", "keypoints", "track", "smooth"), 20),
    }
    assert all(seconds > 0 for seconds in profile.seconds.values())
    lines = profile.table().splitlines()
    assert [line.split()[0] for line in lines] == [
        *("stage", "decode", "detect", "crop", "pose", "keypoints", "track", "smooth", "sum"),
    ]
    total = sum(seconds for stage, seconds in profile.seconds.items() if stage != "decode")
    assert float(lines[-1].split()[3]) == pytest.approx(total * 1e3 / 20, abs=1e-3)
    assert float(lines[2].split()[2]) == pytest.approx(profile.seconds["detect"] * 1e3 / 5, abs=1e-3)
    list(pipeline.run(WALK[:3]))
    assert pipeline.profile.frames == 3
    assert Profile().table().splitlines()[-1].startswith("sum")


def threads() -> list[threading.Thread]:
    gc.collect()
    return [thread for thread in threading.enumerate() if thread.name == "leanpose-source"]


def test_however_a_run_is_left_its_thread_ends(estimator: Estimator) -> None:
    def endless() -> Iterator[Picture]:
        while True:
            yield WALK[0]

    results = Pipeline(estimator).run(endless())
    next(results)
    assert len(threads()) == 1
    results.close()  # type: ignore[attr-defined]
    assert threads() == []

    class Failing(Finder):
        def predict(self, image: Picture) -> Detections:
            raise RuntimeError("the detector fails")

    estimator._detector = Failing()  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="the detector fails"):
        list(Pipeline(estimator).run(endless()))
    assert threads() == []


def test_an_open_source_stays_open(estimator: Estimator) -> None:
    with open_source(WALK) as source:
        results = Pipeline(estimator).run(source)
        assert [next(results)[0].index, next(results)[0].index] == [0, 1]
        results.close()  # type: ignore[attr-defined]
        assert [frame.index for frame in source] == list(range(2, 20))


def test_what_the_source_raises_comes_through(estimator: Estimator) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Pipeline(estimator).run("none.mp4")
    with pytest.raises(TypeError, match="frame 1: image: expected a uint8 array"):
        list(Pipeline(estimator).run([WALK[0], WALK[1].astype(float)]))


def test_bad_settings(estimator: Estimator, folder: Path) -> None:
    with pytest.raises(ValueError, match="every: expected at least 1, got 0"):
        Pipeline(estimator, every=0)
    for every in (1.5, True, "2"):
        with pytest.raises(TypeError, match="every: expected an integer, got"):
            Pipeline(estimator, every=every)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="smoother: expected a tracker too"):
        Pipeline(estimator, smoother=Smoother())
    for parts, message in (
        ({"estimator": "pose.onnx"}, "estimator: expected an instance of leanpose.Estimator, got 'pose.onnx'"),
        ({"estimator": None}, "estimator: expected an instance of leanpose.Estimator, got None"),
        ({"tracker": True}, "tracker: expected an instance of leanpose.Tracker, got True"),
        ({"tracker": Smoother()}, "tracker: expected an instance of leanpose.Tracker, got <"),
        ({"tracker": Tracker(), "smoother": Tracker()}, "smoother: expected an instance of leanpose.Smoother, got <"),
    ):
        with pytest.raises(TypeError, match=message):
            Pipeline(**{"estimator": estimator, **parts})  # type: ignore[arg-type]
    crowd = Estimator(crowd_model(folder), threads=1)
    with pytest.raises(ValueError, match="every: expected 1 with a model that finds persons itself, got 2"):
        Pipeline(crowd, every=2)


def memory_of_a_long_stream(folder: Path) -> list[int]:
    """Bytes held after each 500 of 3000 frames of persons who come and go, with everything switched on."""
    pool = [picture((40 + 2 * step, 60), (160 - step, 62)) for step in range(12)] + [np.zeros_like(WALK[0])]

    def frames() -> Iterator[Picture]:
        for index in range(3000):
            yield pool[index // 3 % len(pool)].copy()

    pipeline = Pipeline(estimator_in(folder), every=5, tracker=Tracker(), smoother=Smoother())
    held = []
    for count, (frame, _) in enumerate(pipeline.run(frames())):
        assert frame.index == count
        if count % 500 == 499:
            gc.collect()
            held.append(int(STATM.read_text().split()[1]) * resource.getpagesize())
    return held


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc to tell the memory")
def test_memory_of_a_long_stream_is_flat(folder: Path) -> None:
    # In a process of its own: what other tests left in the allocator of this one comes and goes in steps.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        held = processes.submit(memory_of_a_long_stream, folder).result()
    assert len(held) == 6
    assert held[-1] - held[0] < 50 * WALK[0].nbytes  # keeping each frame would take 2500


# Boxes to follow


def poses_of(xy: npt.ArrayLike, scores: npt.ArrayLike) -> Poses:
    keypoints = KeypointSet(("a", "b", "c", "d"), (), (), (0.1,) * 4)
    xy = np.asarray(xy, float).reshape(-1, 4, 2)
    return Poses(xy, np.asarray(scores, float).reshape(-1, 4), np.ones((len(xy), 4)), np.full(len(xy), 0.5), keypoints)


SQUARE = [[10, 20], [50, 20], [50, 100], [10, 100]]


@pytest.mark.parametrize(
    ("xy", "scores", "box"),
    [
        (SQUARE, [0.9] * 4, [2, 12, 58, 108]),
        (SQUARE, [0.9, 0.9, 0.9, 0.1], [2, 12, 58, 108]),
        ([*SQUARE[:3], [900, 900]], [0.9, 0.9, 0.9, 0.1], [2, 12, 58, 108]),
        ([*SQUARE[:3], [np.nan, np.inf]], [0.9] * 4, [2, 12, 58, 108]),
        (SQUARE, [0.9, 0.9, 0.1, 0.1], None),
        (SQUARE, [np.nan] * 4, None),
        ([[np.nan, 1]] * 4, [0.9] * 4, None),
        ([[5, 5]] * 4, [0.9] * 4, [4, 4, 6, 6]),
        (np.add(SQUARE, [300, 0]), [0.9] * 4, None),
        (np.subtract(SQUARE, [0, 100]), [0.9] * 4, None),
        (np.subtract(SQUARE, [0, 99]), [0.9] * 4, [2, -87, 58, 9]),
    ],
)
def test_boxes_to_follow(xy: npt.ArrayLike, scores: npt.ArrayLike, box: list[float] | None) -> None:
    expected = np.empty((0, 5)) if box is None else [[*box, 0.5]]
    np.testing.assert_allclose(boxes_to_follow(poses_of(xy, scores), (200, 300, 3)), expected)


def test_nobody_to_follow() -> None:
    assert boxes_to_follow(Poses.empty(DOTS), (200, 300, 3)).shape == (0, 5)
