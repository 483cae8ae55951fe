from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leanpose.drawing import draw_poses, id_color
from leanpose.images import load_image
from leanpose.keypoints import COCO17, CROWDPOSE14, MPII16, KeypointSet
from leanpose.results import Poses

# A left limb, a right limb, one between the sides and one from the centre to the left.
BODY = KeypointSet(
    ("neck", "left_hip", "left_knee", "right_hip", "right_knee"),
    ((1, 2), (3, 4), (1, 3), (0, 1)),
    ((1, 3), (2, 4)),
    (0.1, 0.1, 0.1, 0.1, 0.1),
)
XY = np.array([[100, 20], [140, 90], [140, 180], [60, 90], [60, 180]], np.float32)
GREY = np.full((200, 200, 3), 128, np.uint8)


def poses_of(
    xy: npt.ArrayLike,
    scores: npt.ArrayLike = 0.9,
    boxes: npt.ArrayLike = (40, 10, 160, 190),
    track_ids: Sequence[int] | None = None,
) -> Poses:
    people = np.asarray(xy, np.float32).reshape(-1, 5, 2)
    count = len(people)
    return Poses(
        people,
        np.broadcast_to(np.asarray(scores, np.float32), (count, 5)),
        np.broadcast_to(np.asarray(boxes, np.float32), (count, 4)),
        np.ones(count, np.float32),
        BODY,
        track_ids=None if track_ids is None else np.array(track_ids),
    )


def changed(drawn: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8] = GREY) -> npt.NDArray[np.bool_]:
    difference: npt.NDArray[np.bool_] = (drawn != image).any(axis=2)
    return difference


def middle(first: int, second: int) -> tuple[int, int]:
    x, y = (XY[first] + XY[second]) / 2
    return int(y), int(x)


def test_the_picture_given_stays_as_it_is() -> None:
    image = GREY.copy()
    drawn = poses_of(XY).draw(image, boxes=True)
    assert np.array_equal(image, GREY)
    assert not np.shares_memory(drawn, image)
    assert (drawn.shape, str(drawn.dtype)) == (GREY.shape, "uint8")
    assert changed(drawn).any()


def test_every_kind_of_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), GREY)
    expected = draw_poses(GREY, poses_of(XY))
    for image in (path, str(path), GREY[..., 0], Image.fromarray(GREY)):
        np.testing.assert_array_equal(draw_poses(image, poses_of(XY)), expected)
    with pytest.raises(FileNotFoundError):
        draw_poses(tmp_path / "absent.png", poses_of(XY))


def test_no_person_no_change() -> None:
    np.testing.assert_array_equal(Poses.empty(BODY).draw(GREY, boxes=True), GREY)


def test_limbs_tell_the_sides_apart() -> None:
    drawn = poses_of(XY).draw(GREY)
    left, right, between, head = (drawn[middle(*limb)].tolist() for limb in BODY.skeleton)
    assert left[0] > left[2]  # bluish
    assert right[2] > right[0]  # reddish
    assert head == left
    assert between not in (left, right)
    assert drawn[180, 140].tolist() == left
    assert drawn[180, 60].tolist() == right


def test_limbs_and_joints_lie_where_the_keypoints_are() -> None:
    distance = np.full(GREY.shape[:2], np.inf)
    rows, columns = np.mgrid[:200, :200]
    for first, second in BODY.skeleton:
        for t in np.linspace(0, 1, 400):
            x, y = XY[first] * (1 - t) + XY[second] * t
            distance = np.minimum(distance, np.hypot(columns - x, rows - y))
    drawn = changed(poses_of(XY).draw(GREY))
    assert drawn[distance < 0.5].all()
    assert not drawn[distance > 8].any()


@pytest.mark.parametrize("size", [1, 2, 4])
def test_strokes_grow_with_the_person(size: int) -> None:
    image = np.full((400, 400, 3), 128, np.uint8)
    x_of_limb = 160 * size // 2
    row = changed(poses_of(np.array([[0, 0], [80, 0], [80, 80], [40, 0], [40, 80]]) * size).draw(image), image)[
        40 * size
    ]
    stroke = np.flatnonzero(row[x_of_limb - 20 * size + 1 :])
    assert len(stroke) >= 2 + size
    assert abs(stroke.mean() + x_of_limb - 20 * size + 1 - 80 * size) < 1


def test_thresholds_apply_to_limbs_at_both_ends() -> None:
    one_low = poses_of(XY, [0.9, 0.9, 0.1, 0.9, 0.9])
    drawn = changed(one_low.draw(GREY))
    assert not drawn[middle(1, 2)]
    assert not drawn[180, 140]
    assert drawn[90, 140]
    assert drawn[middle(3, 4)]
    assert changed(one_low.draw(GREY, threshold=0.05))[middle(1, 2)]
    assert not changed(one_low.draw(GREY, threshold=0.95)).any()
    assert not changed(poses_of(XY, 0.5).draw(GREY, threshold=0.5)).any()


@pytest.mark.parametrize("background", [0, 128, 255])
def test_overlays_stand_out_from_any_background(background: int) -> None:
    image = np.full((200, 200, 3), background, np.uint8)
    contrast = np.abs(poses_of(XY).draw(image).astype(int) - image).max(axis=2)
    for limb in BODY.skeleton:
        y, x = middle(*limb)  # where the limb is as bright as the background its outline is not
        assert contrast[y - 3 : y + 4, x - 3 : x + 4].max() > 60


def test_higher_scores_lie_on_top() -> None:
    swapped = XY[[0, 3, 4, 1, 2]]  # the same places with sides exchanged
    strong, weak = [0.9] * 5, [0.5] * 5
    for order in ([strong, weak], [weak, strong]):
        drawn = poses_of([XY, swapped] if order[0] is strong else [swapped, XY], order).draw(GREY)
        np.testing.assert_array_equal(drawn, poses_of([swapped, XY], [weak, strong]).draw(GREY))
        assert drawn[middle(1, 2)][0] > drawn[middle(1, 2)][2]


def test_boxes_are_drawn_on_request_and_kept_in_sight() -> None:
    hidden = poses_of(XY, 0.0, (-50, 30, 500, 150))
    assert not changed(hidden.draw(GREY)).any()
    drawn = changed(hidden.draw(GREY, boxes=True))
    assert drawn[30:151, [0, 199]].all()
    assert drawn[[30, 150], :].all()
    assert not drawn[40:140, 10:190].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, 1e5])
def test_wild_coordinates_are_left_out(bad: float) -> None:
    xy = XY.copy()
    xy[2, 1] = bad
    np.testing.assert_array_equal(poses_of(xy).draw(GREY), poses_of(XY, [0.9, 0.9, 0.0, 0.9, 0.9]).draw(GREY))


def test_limbs_that_leave_the_picture_reach_its_edge() -> None:
    xy = XY.copy()
    xy[2] = 140, 350
    assert changed(poses_of(xy).draw(GREY))[90:, 140].all()


@given(
    xy=hnp.arrays(np.float32, (2, 5, 2), elements=st.floats(width=32)),
    scores=hnp.arrays(np.float32, (2, 5), elements=st.floats(width=32)),
    boxes=hnp.arrays(np.float32, (2, 4), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
    shape=st.sampled_from([(1, 1), (1, 50), (30, 2), (17, 23)]),
    threshold=st.floats(width=32, allow_nan=False),
    track_ids=st.lists(st.integers(-1, 2**63 - 1), min_size=2, max_size=2),
)
def test_nothing_crashes(
    xy: Any, scores: Any, boxes: Any, shape: tuple[int, int], threshold: float, track_ids: list[int]
) -> None:
    image = np.zeros(shape, np.uint8)
    drawn = poses_of(xy, scores, boxes, track_ids).draw(image, threshold=threshold, boxes=True)
    assert drawn.shape == load_image(image).shape


FACES = KeypointSet([f"face_{index}" for index in range(133)], (), (), [0.02] * 133)


@pytest.mark.parametrize("keypoints", [CROWDPOSE14, MPII16, COCO17, FACES], ids=len)
def test_any_number_of_keypoints(keypoints: KeypointSet) -> None:
    count = len(keypoints)
    xy = np.random.default_rng(count).uniform(60, 140, (1, count, 2))
    drawn = changed(Poses(xy, np.ones((1, count)), [[0, 0, 200, 200]], [1], keypoints).draw(GREY))
    x, y = np.rint(xy[0]).astype(int).T
    assert drawn[y, x].all()
    assert not drawn[:50].any()
    assert not drawn[:, :50].any()
    assert not drawn[150:].any()
    assert not drawn[:, 150:].any()


def test_close_keypoints_get_finer_dots() -> None:
    def area(sigma: float) -> int:
        pair = KeypointSet(("a", "b"), (), (), (sigma, sigma))
        ends = [[[10, 100], [190, 100]]]
        return int(changed(Poses(ends, [[1, 1]], [[0, 0, 200, 200]], [1], pair).draw(GREY)).sum())

    assert area(0.01) < area(0.04) < area(0.1) == area(1.0)


# a body with a head, low enough in the picture that its label fits above
HEADED = KeypointSet(("nose", "left_hip", "left_knee", "right_hip", "right_knee"), BODY.skeleton, (), BODY.sigmas)
LOWER = XY + np.float32([0, 15])


def headed(track_ids: Sequence[int] | None) -> Poses:
    return Poses(LOWER[None], np.full((1, 5), 0.9), [[40, 10, 160, 190]], [1], HEADED, track_ids=track_ids)


def test_track_ids_are_labels_above_the_head() -> None:
    plain = headed(None).draw(GREY)
    label = changed(headed([7]).draw(GREY), plain)
    rows, columns = np.nonzero(label)
    assert 8 <= np.ptp(rows) <= 24
    assert 8 <= np.ptp(columns) <= 24
    assert rows.max() < LOWER[0, 1]
    assert abs(columns.mean() - LOWER[0, 0]) < 2
    np.testing.assert_array_equal(headed([7]).draw(GREY, ids=False), plain)
    np.testing.assert_array_equal(headed([-1]).draw(GREY), plain)
    wider = changed(headed([1234567]).draw(GREY), plain)
    assert np.ptp(np.nonzero(wider)[1]) > 2 * np.ptp(columns)


def test_labels_differ_by_number_and_keep_their_colour() -> None:
    drawn = headed([3]).draw(GREY)
    assert (drawn == id_color(3)).all(axis=2).sum() > 30
    assert not np.array_equal(headed([15]).draw(GREY), drawn)
    colors = [id_color(track_id) for track_id in range(12)]
    assert len(set(colors)) == 12
    assert colors == [id_color(track_id) for track_id in range(12)]
    assert id_color(-1) not in colors


def test_labels_of_persons_at_the_edge_stay_in_the_picture() -> None:
    for shift in ((0, -60), (-170, 0), (170, 0), (0, 300)):
        poses = Poses(LOWER[None] + shift, np.ones((1, 5)), [[0, 0, 9, 9]], [1], HEADED, track_ids=[5])
        without = poses.draw(GREY, ids=False)
        label = changed(poses.draw(GREY), without)
        assert (poses.draw(GREY) == id_color(5)).all(axis=2).sum() > 30
        assert not label[[0, -1]].any()
        assert not label[:, [0, -1]].any()


def test_persons_without_visible_keypoints_have_labels_only_beside_their_boxes() -> None:
    hidden = poses_of(XY, 0.0, (60, 80, 140, 190), [4])
    assert not changed(hidden.draw(GREY)).any()
    drawn = hidden.draw(GREY, boxes=True)
    assert (drawn[50:80] == id_color(4)).all(axis=2).sum() > 30
    grey = poses_of(XY, 0.0, (60, 80, 140, 190), [-1]).draw(GREY, boxes=True)
    edges = np.abs(drawn[90:180, [60, 140]].astype(int) - id_color(4)).sum(axis=2)
    assert (edges < np.abs(grey[90:180, [60, 140]].astype(int) - id_color(4)).sum(axis=2)).all()


def test_labels_lie_above_all_persons() -> None:
    covering = LOWER - [0, 40]
    both = poses_of([LOWER, covering], [[0.5] * 5, [0.9] * 5], track_ids=[3, -1])
    assert (both.draw(GREY) == id_color(3)).all(axis=2).sum() > 30


def test_bad_threshold() -> None:
    with pytest.raises(ValueError, match="threshold: expected a number, got nan"):
        poses_of(XY).draw(GREY, threshold=float("nan"))
