from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walkers import Walker, see

from leanpose import COCO17, Poses
from leanpose.keypoints import CROWDPOSE14
from leanpose.tracking import Tracker

RATES = [5, 10, 15, 30, 60]


def times(seconds: float, fps: float) -> npt.NDArray[np.float64]:
    return np.arange(0, seconds, 1 / fps)


def ids(poses: Poses) -> list[int]:
    assert poses.track_ids is not None
    return poses.track_ids.tolist()


def tracks(walkers: list[Walker], at: npt.ArrayLike, noise: float = 0.01, seed: int = 0, **settings: Any) -> list[Any]:
    """The numbers that each walker bore, in order, without repetition."""
    tracker = Tracker(**settings)
    borne: list[list[int]] = [[] for _ in walkers]
    for time, poses, who in see(walkers, np.asarray(at).tolist(), noise, seed):
        tracked = tracker.update(poses, time)
        assert replace(tracked, track_ids=None) == poses
        assert len(set(ids(tracked))) == len(poses)
        for walker, number in zip(who, ids(tracked), strict=True):
            if borne[walker][-1:] != [number]:
                borne[walker].append(number)
    return borne


def crowd(seed: int, away: bool = True) -> list[Walker]:
    """Six persons of various sizes on various ways, each out of sight once."""
    random = np.random.default_rng(seed)
    walkers = []
    for _ in range(6):
        first = random.uniform(0.5, 4)
        walkers.append(
            Walker(
                (random.uniform(0, 1000), random.uniform(300, 500)),
                (random.uniform(-1.2, 1.2), random.uniform(-0.2, 0.2)),
                random.uniform(60, 200),
                ((first, first + random.uniform(0.1, 1.0)),) if away else (),
                random.uniform(0, 6),
            )
        )
    return walkers


@pytest.mark.parametrize("fps", RATES)
def test_persons_who_cross_keep_their_numbers(fps: float) -> None:
    walkers = [Walker((100, 300), (1, 0)), Walker((600, 305), (-1, 0), phase=2), Walker((350, 290), (0, 0), 110)]
    assert tracks(walkers, times(5, fps)) == [[1], [3], [2]]  # begun in the order of their boxes


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.0, 1.8])
def test_a_person_comes_back_after_an_occlusion(seconds: float, fps: float) -> None:
    walkers = [Walker((100, 300), (0.8, 0), away=((1, 1 + seconds),)), Walker((420, 300), (-0.3, 0.05), 130)]
    assert tracks(walkers, times(4, fps)) == [[1], [2]]


@pytest.mark.parametrize("fps", RATES)
def test_a_person_who_was_away_too_long_or_comes_elsewhere_is_new(fps: float) -> None:
    walkers = [Walker((100, 300), (0, 0), away=((1, 3.6),)), Walker((500, 300), (0, 0))]
    assert tracks(walkers, times(5, fps)) == [[1, 3], [2]]
    assert tracks(walkers, times(5, fps), lost_seconds=3) == [[1], [2]]
    leaver, newcomer = Walker((100, 300), (0, 0), away=((1, 9),)), Walker((420, 300), (0, 0), away=((0, 1.2),))
    assert tracks([leaver, newcomer], times(3, fps)) == [[1], [2]]


@pytest.mark.parametrize("fps", RATES)
def test_crowds(fps: float) -> None:
    for seed in range(4):
        assert [len(numbers) for numbers in tracks(crowd(seed), times(5, fps), 0.01, seed)] == [1] * 6


def test_a_frame_rate_that_changes() -> None:
    random = np.random.default_rng(0)
    at = np.cumsum(random.choice([1 / 60, 1 / 25, 0.1, 0.25], 80))
    for seed in range(4):
        assert [len(numbers) for numbers in tracks(crowd(seed), at)] == [1] * 6


def test_resolution_does_not_matter() -> None:
    walkers = crowd(0)
    for scale in (0.2, 5):
        scaled = [replace(w, start=(w.start[0] * scale, w.start[1] * scale), height=w.height * scale) for w in walkers]
        assert tracks(scaled, times(5, 15)) == tracks(walkers, times(5, 15))


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_persons_does_not_matter(seed: int, random: Any) -> None:
    plain, mixed = Tracker(), Tracker()
    for time, poses, _ in see(crowd(seed), times(1.5, 8).tolist(), 0.05, seed):
        order = list(range(len(poses)))
        random.shuffle(order)
        assert mixed.update(poses[order], time) == plain.update(poses, time)[order]


def test_assignment_is_optimal_not_greedy() -> None:
    # Three in a row, each moved half a gap to the right: the middle one resembles two tracks.
    places = [100, 125, 150]
    tracker = Tracker()
    ((_, first, _),) = see([Walker((x, 300), (0, 0)) for x in places], [0])
    ((_, second, _),) = see([Walker((x + 12.0, 300), (0, 0)) for x in places], [0])
    assert ids(tracker.update(first, 0)) == [1, 2, 3]
    assert ids(tracker.update(second, 0.1)) == [1, 2, 3]


def test_only_confident_persons_begin_tracks_and_others_continue_them() -> None:
    ((_, poses, _),) = see([Walker((100, 300), (0, 0)), Walker((500, 300), (0, 0))], [0])
    faint = replace(poses, box_scores=np.array([0.1, 0.9]))
    tracker = Tracker(new_score=0.3)
    assert ids(tracker.update(faint, 0.0)) == [-1, 1]
    assert ids(tracker.update(poses, 0.1)) == [2, 1]
    assert ids(tracker.update(faint, 0.2)) == [2, 1]
    assert ids(tracker.update(poses[:0], 0.3)) == []
    assert ids(tracker.update(faint, 0.4)) == [2, 1]
    twice = Poses.concatenate([faint, replace(poses, xy=poses.xy + 3)])
    assert ids(tracker.update(twice, 0.5)) == [-1, 1, 2, -1]  # confident persons choose first


def test_a_second_sight_of_a_person_begins_no_track() -> None:
    ((_, poses, _),) = see([Walker((100, 300), (0, 0)), Walker((110, 300), (0, 0), 60)], [0])
    twice = Poses.concatenate([poses, replace(poses, xy=poses.xy + 1, boxes=poses.boxes + 2)])
    twice = replace(twice, box_scores=np.array([0.8, 0.8, 0.9, 0.9]))
    tracker = Tracker()
    assert ids(tracker.update(twice, 0)) == [-1, -1, 1, 2]  # the better of each pair
    for time in (0.1, 0.2):
        again = ids(tracker.update(twice, time))
        assert sorted(again) == [-1, -1, 1, 2]


def test_reset_and_default_times() -> None:
    tracker = Tracker(lost_seconds=1)
    ((_, poses, _),) = see([Walker((100, 300), (0, 0))], [0])
    assert ids(tracker.update(poses)) == [1]
    for _ in range(23):
        tracker.update(poses[:0])
    assert ids(tracker.update(poses)) == [1]  # after 24 frames of 1/25 s
    for _ in range(25):
        tracker.update(poses[:0])
    assert ids(tracker.update(poses)) == [2]
    tracker.reset()
    assert ids(tracker.update(poses, -5.0)) == [1]


def odd_poses() -> list[Poses]:
    ((_, two, _),) = see([Walker((100, 300), (0, 0)), Walker((110, 300), (0, 0))], [0])
    missing = np.full((2, 17, 2), np.nan)
    return [
        Poses.empty(COCO17),
        two,
        replace(two, xy=missing, keypoint_scores=np.zeros((2, 17))),
        replace(two, xy=missing),
        replace(two, xy=np.full((2, 17, 2), np.inf)),
        replace(two, keypoint_scores=np.full((2, 17), np.nan)),
        replace(two, boxes=np.zeros((2, 4))),
        replace(two, boxes=np.array([[9, 9, 1, 1], [5, 5, 5, 9]])),
        replace(two, xy=two.xy * 1e30, boxes=two.boxes * 1e30),
        two[[0, 0, 0, 1]],
        replace(two, person_scores=np.array([-3, 7])),
    ]


@given(st.lists(st.integers(0, 10), max_size=8), st.lists(st.sampled_from([0, 1e-9, 0.04, 1, 1e9]), min_size=8))
def test_odd_poses_never_fail(which: list[int], steps: list[float]) -> None:
    tracker, time, pool = Tracker(), 0.0, odd_poses()
    for index, step in zip(which, steps, strict=False):
        time += step
        tracked = tracker.update(pool[index], time)
        assert replace(tracked, track_ids=None) == pool[index]
        numbers = [number for number in ids(tracked) if number >= 0]
        assert len(set(numbers)) == len(numbers)


def test_memory_is_bounded() -> None:
    tracker = Tracker(lost_seconds=1)
    random = np.random.default_rng(0)
    for index in range(300):
        ((_, poses, _),) = see([Walker(tuple(random.uniform(0, 1e5, 2)), (0, 0)) for _ in range(3)], [0])
        tracker.update(poses, index * 0.1)
    assert len(tracker._tracks) <= 3 * 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"new_score": -1}, "new_score: expected a number in 0..inf, got -1"),
        ({"similarity": 1.5}, "similarity: expected a number in 0..1, got 1.5"),
        ({"lost_seconds": float("nan")}, "lost_seconds: expected a number in 0..inf, got nan"),
    ],
)
def test_bad_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Tracker(**settings)


def test_what_is_no_number() -> None:
    with pytest.raises(TypeError, match=r"new_score: expected a number, got '0\.3'"):
        Tracker(new_score="0.3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="time: expected a number, got '1'"):
        Tracker().update(Poses.empty(COCO17), "1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time: expected finite seconds from None on"):
        Tracker().update(Poses.empty(COCO17), 10**400)


def test_poses_of_one_model_at_a_time() -> None:
    tracker = Tracker()
    tracker.update(Poses.empty(COCO17), 1.0)
    with pytest.raises(ValueError, match="poses: expected 17 keypoints, as in the frame before, got 14; call reset"):
        tracker.update(Poses.empty(CROWDPOSE14), 2.0)
    with pytest.raises(TypeError, match="poses: expected the Poses of one frame, got list"):
        tracker.update([Poses.empty(COCO17)], 2.0)  # type: ignore[arg-type]
    tracker.reset()
    tracker.update(Poses.empty(CROWDPOSE14), 0.0)


@pytest.mark.parametrize("time", [-1.0, 0.9, float("nan"), float("inf")])
def test_time_must_not_run_backwards(time: float) -> None:
    tracker = Tracker()
    tracker.update(Poses.empty(COCO17), 1.0)
    with pytest.raises(
        ValueError, match=re.escape(f"time: expected finite seconds from 1.0 on, the last frame's, got {time}")
    ):
        tracker.update(Poses.empty(COCO17), time)
