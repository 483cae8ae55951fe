from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walkers import Walker, see

from leanpose import COCO17, KeypointSet, Poses
from leanpose.tracking import Smoother, Tracker

DOT = KeypointSet(("dot",), (), (), (0.1,))
FloatArray = npt.NDArray[np.float64]


def dots(places: npt.ArrayLike, score: float = 0.9, size: float = 100.0, numbers: Any = None) -> Poses:
    """Persons of one keypoint each, at (N, 2), in boxes of side `size`."""
    xy = np.asarray(places, float).reshape(-1, 1, 2)
    boxes = np.concatenate([xy[:, 0] - size / 2, xy[:, 0] + size / 2], axis=1)
    count = len(xy)
    return Poses(
        xy,
        np.full((count, 1), score),
        np.nan_to_num(boxes),
        np.ones(count),
        DOT,
        track_ids=np.arange(count) if numbers is None else numbers,
    )


def smooth(
    path: Callable[[FloatArray], FloatArray], at: FloatArray, size: float = 100.0, **settings: float
) -> FloatArray:
    """The path (T, 2) of one keypoint, smoothed."""
    smoother = Smoother(**settings)
    return np.array([smoother.update(dots(path(np.array([t])), size=size), t).xy[0, 0] for t in at])


def wave(at: FloatArray) -> FloatArray:
    return np.stack([400 + 60 * np.sin(2 * np.pi * 0.7 * at), 300 + 40 * np.cos(2 * np.pi * 1.1 * at)], axis=1)


@given(
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    st.lists(st.floats(1e-3, 10), min_size=1, max_size=20),
    st.floats(0.01, 100),
    st.floats(0, 1, width=32),
)
def test_a_still_keypoint_stays(place: tuple[float, float], steps: list[float], cutoff: float, score: float) -> None:
    smoother = Smoother(min_cutoff=cutoff)
    given_poses = dots(place, score)
    for time in np.cumsum(steps):
        np.testing.assert_allclose(smoother.update(given_poses, time).xy, given_poses.xy, rtol=1e-6, atol=1e-6)


def test_against_the_published_filter() -> None:
    """At small steps, where its discrete low-pass and the exact one agree, and with raw differences as its speeds."""
    at = np.arange(0, 2, 1 / 2000)
    path = wave(at)
    expected, filtered, speed = [path[0]], path[0], np.zeros(2)

    def gain(cutoff: float, step: float) -> float:
        return 1 / (1 + 1 / (2 * np.pi * cutoff * step))

    for before, now, step in zip(path[:-1], path[1:], np.diff(at), strict=True):
        speed = speed + gain(1.5, step) * ((now - before) / step - speed)
        cutoff = 1.0 + 5.0 * np.hypot(*speed) / 100
        filtered = filtered + gain(cutoff, step) * (now - filtered)
        expected.append(filtered)
    np.testing.assert_allclose(smooth(wave, at, min_cutoff=1.0, beta=5.0, speed_cutoff=1.5), expected, atol=0.5)


@pytest.mark.parametrize("fps", [15, 30, 60, 240])
def test_the_frame_rate_hardly_matters(fps: int) -> None:
    reference = smooth(wave, np.arange(0, 4, 1 / 960))[:: 960 // 15]
    found = smooth(wave, np.arange(0, 4, 1 / fps))[:: fps // 15]
    lag = np.linalg.norm(reference - wave(np.arange(0, 4, 1 / 15)), axis=1).max()
    assert lag < 8  # of a path 120 pixels wide, of a person of 100 pixels
    assert np.linalg.norm(found - reference, axis=1).max() < {15: 5, 30: 2.5, 60: 1.2, 240: 0.4}[fps]


def test_resolution_does_not_matter() -> None:
    at = np.arange(0, 3, 1 / 30)
    plain = smooth(wave, at)
    np.testing.assert_allclose(smooth(lambda t: 7 * wave(t), at, 700) / 7, plain, rtol=1e-4)


def test_directions_do_not_matter() -> None:
    at, turn = np.arange(0, 3, 1 / 30), np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(smooth(lambda t: wave(t) @ turn, at), smooth(wave, at) @ turn, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_it_trembles_less_and_is_nearer_to_the_truth(fps: int) -> None:
    walkers = [Walker((100, 400), (0.6, 0), 200), Walker((500, 300), (0, 0), 120)]
    at = np.arange(0, 5, 1 / fps).tolist()
    tracker, smoother = Tracker(), Smoother()
    truth, raw, found = [], [], []
    for time, poses, _ in see(walkers, at, 0.01):
        tracked = tracker.update(poses, time)
        truth.append([walker.keypoints(time) for walker in walkers])
        raw.append(tracked.xy)
        found.append(smoother.update(tracked, time).xy)
    error = [np.sqrt(np.mean(np.square(np.array(each) - truth), axis=(0, 2, 3))) for each in (raw, found)]
    tremble = [
        np.sqrt(np.mean(np.square(np.diff(np.array(each) - truth, axis=0)), axis=(0, 2, 3))) for each in (raw, found)
    ]
    assert (tremble[1] < [0.9, 0.6] * tremble[0]).all()
    assert error[1][1] < 0.75 * error[0][1]  # at rest
    assert error[1][0] < 1.15 * error[0][0]  # in motion, where some lag is the price


@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_persons_does_not_matter(seed: int, random: Any) -> None:
    plain, mixed = Smoother(), Smoother()
    walkers = [Walker((100.0 * index, 300), (0.5, 0)) for index in range(4)]
    for time, poses, who in see(walkers, np.arange(0, 1, 0.1).tolist(), 0.05, seed):
        tracked = replace(poses, track_ids=who)
        order = list(range(len(poses)))
        random.shuffle(order)
        assert mixed.update(tracked[order], time) == plain.update(tracked, time)[order]


def test_missing_keypoints_stay_missing_and_come_back() -> None:
    smoother = Smoother()
    for index in range(10):
        smoother.update(dots([100, 100]), index / 30)
    gone = dots([np.nan, 5])
    assert np.isnan(smoother.update(gone, 10 / 30).xy).all()
    near = smoother.update(dots([110, 100]), 11 / 30).xy[0, 0, 0]
    assert 100 < near < 110
    smoother.update(gone, 12 / 30)
    assert smoother.update(dots([200, 100]), 5.0).xy[0, 0, 0] == pytest.approx(200, abs=3)  # long ago, so no matter
    late = Smoother()
    late.update(gone, 0)
    assert late.update(dots([7, 8]), 1).xy.tolist() == [[[7, 8]]]


def test_doubtful_keypoints_move_less() -> None:
    moved = []
    for score in (0.9, 0.3, 0.15, 0.0, np.nan):
        smoother = Smoother()
        smoother.update(dots([100, 100]), 0)
        moved.append(float(smoother.update(dots([110, 100], score), 1 / 30).xy[0, 0, 0]))
    assert moved[0] == moved[1] > moved[2] > moved[3] == moved[4] > 100


def test_persons_without_a_track_are_left_alone_and_scores_and_boxes_too() -> None:
    smoother = Smoother()
    for index in range(5):
        poses = dots([[10 * index, 0], [10 * index, 50], [10 * index, 90]], numbers=[-1, 4, -1])
        result = smoother.update(poses, index / 30)
        assert replace(result, xy=poses.xy) == poses
        assert result[[0, 2]] == poses[[0, 2]]
    assert result != poses


def test_a_number_that_returns_after_long_starts_anew_and_memory_is_bounded() -> None:
    smoother = Smoother()
    for index in range(1000):
        smoother.update(dots([index, 0], numbers=[index]), index * 0.1)
    assert len(smoother._filters) < 110
    smoother.reset()
    assert smoother.update(dots([3, 4]), 0).xy.tolist() == [[[3, 4]]]


def test_equal_times_change_nothing() -> None:
    smoother = Smoother()
    smoother.update(dots([100, 100]), 1)
    assert smoother.update(dots([150, 100]), 1).xy.tolist() == [[[100, 100]]]


def test_bad_input() -> None:
    smoother = Smoother()
    with pytest.raises(ValueError, match="poses: expected track ids, got None; let a Tracker give them first"):
        smoother.update(replace(dots([1, 2]), track_ids=None), 0)
    with pytest.raises(ValueError, match=re.escape("poses: expected each track once, got track ids [3, 3]")):
        smoother.update(dots([[1, 2], [3, 4]], numbers=[3, 3]), 0)
    smoother.update(dots([1, 2]), 5)
    with pytest.raises(ValueError, match="time: expected finite seconds from 5"):
        smoother.update(dots([1, 2]), 4)
    for name in ("min_cutoff", "beta", "speed_cutoff"):
        for value in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"{name}: expected a positive finite number"):
                Smoother(**{name: value})
    with pytest.raises(ValueError, match="min_cutoff"):
        Smoother(min_cutoff=0)
    Smoother(beta=0)
    with pytest.raises(TypeError, match="beta: expected a number, got None"):
        Smoother(beta=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="poses: expected the Poses of one frame, got NoneType"):
        smoother.update(None, 6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="poses: expected 1 keypoints, as in the frame before, got 17; call reset"):
        smoother.update(replace(Poses.empty(COCO17), track_ids=[]), 6)


def test_an_infinite_score_counts_in_full() -> None:
    known = Smoother(), Smoother()
    for time, place in enumerate(([100, 100], [150, 100])):
        found = [smoother.update(dots(place, score), time) for smoother, score in zip(known, (np.inf, 1), strict=True)]
        assert found[0].xy.tolist() == found[1].xy.tolist()
