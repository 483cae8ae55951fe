from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose.keypoints import COCO17, KeypointSet
from leanpose.results import Poses

TRIO = KeypointSet(("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)), ((1, 2),), (0.1, 0.2, 0.2))


@st.composite
def some_poses(draw: st.DrawFn, *, finite: bool = False) -> Poses:
    persons = draw(st.integers(0, 5))
    anything = st.floats(width=32, allow_nan=not finite, allow_infinity=not finite)
    bounded = st.floats(-(2.0**20), 2.0**20, width=32)
    return Poses(
        draw(hnp.arrays(np.float32, (persons, 3, 2), elements=anything)),
        draw(hnp.arrays(np.float32, (persons, 3), elements=anything if not finite else st.floats(0, 1, width=32))),
        draw(hnp.arrays(np.float32, (persons, 4), elements=bounded)),
        draw(hnp.arrays(np.float32, (persons,), elements=st.floats(0, 1, width=32))),
        TRIO,
    )


def sample(persons: int = 4, keypoints: KeypointSet = TRIO) -> Poses:
    rng = np.random.default_rng(0)
    count = len(keypoints)
    corner = rng.random((persons, 2)) * 50
    return Poses(
        (rng.random((persons, count, 2)) * 100).astype(np.float32),
        rng.random((persons, count)).astype(np.float32),
        np.concatenate([corner, corner + 40], axis=1).astype(np.float32),
        rng.random(persons).astype(np.float32),
        keypoints,
    )


def arrays(poses: Poses) -> dict[str, npt.NDArray[np.float32]]:
    return {field: getattr(poses, field) for field in ("xy", "keypoint_scores", "boxes", "box_scores")}


def test_fields() -> None:
    poses = sample()
    shapes = {field: array.shape for field, array in arrays(poses).items()}
    assert shapes == {"xy": (4, 3, 2), "keypoint_scores": (4, 3), "boxes": (4, 4), "box_scores": (4,)}
    assert {array.dtype for array in arrays(poses).values()} == {np.dtype(np.float32)}
    assert poses.names == TRIO.names
    assert poses.skeleton == TRIO.skeleton


def test_empty() -> None:
    poses = Poses.empty(COCO17)
    assert len(poses) == 0
    assert poses.xy.shape == (0, 17, 2)
    assert poses.keypoint_scores.shape == (0, 17)
    assert poses.boxes.shape == (0, 4)
    assert poses.scores.shape == (0,)
    assert list(poses) == []
    assert poses.to_coco(1) == []
    assert poses.to_dict()["persons"] == []
    assert poses[:] == poses[[]] == poses


def test_arrays_are_read_only_copies() -> None:
    xy = np.zeros((1, 3, 2), np.float32)
    poses = Poses(xy, np.zeros((1, 3), np.float32), np.ones((1, 4), np.float32), np.ones(1, np.float32), TRIO)
    xy[:] = 7
    assert not poses.xy.any()
    for array in arrays(poses).values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(FrozenInstanceError):
        poses.xy = xy  # type: ignore[misc]


@given(some_poses())
def test_copies_are_equal_and_read_only(poses: Poses) -> None:
    for twin in (pickle.loads(pickle.dumps(poses)), copy.deepcopy(poses), copy.copy(poses)):  # noqa: S301
        assert twin == poses
        assert not any(array.flags.writeable for array in arrays(twin).values())


def test_equality_sees_every_field() -> None:
    poses = sample()
    assert poses == sample()
    assert poses != sample(3)
    assert poses != "poses"
    for field, array in arrays(poses).items():
        changed = array.copy()
        changed.flat[-1] /= 2
        assert Poses(**{**arrays(poses), field: changed, "keypoints": TRIO}) != poses  # type: ignore[arg-type]
    other = KeypointSet(TRIO.names, (), TRIO.flip_pairs, TRIO.sigmas)
    assert Poses(**arrays(poses), keypoints=other) != poses
    with pytest.raises(TypeError, match="unhashable"):
        hash(poses)


@given(some_poses())
def test_scores_against_a_plain_loop(poses: Poses) -> None:
    expected = []
    for person in range(len(poses)):
        counted = [float(s) for s in poses.keypoint_scores[person] if np.float32(0.2) < s < np.inf]
        mean = sum(counted) / len(counted) if counted else 0.0
        expected.append(float(poses.box_scores[person]) * mean)
    assert poses.scores.dtype == np.float32
    np.testing.assert_allclose(poses.scores, expected, rtol=1e-6)


def test_scores_of_the_model_go_first_and_stay_with_their_persons() -> None:
    plain = sample()
    given = np.array([0.3, 1.25, -0.5, 0.0], np.float32)
    poses = replace(plain, person_scores=given)
    np.testing.assert_array_equal(poses.scores, given)
    assert poses != plain
    for twin in (pickle.loads(pickle.dumps(poses)), copy.deepcopy(poses), poses[:]):  # noqa: S301
        assert twin == poses
        assert twin.person_scores is not None
        assert not twin.person_scores.flags.writeable
    np.testing.assert_array_equal(poses[[2, 0]].scores, given[[2, 0]])
    assert [entry["score"] for entry in poses.to_coco(1)] == given.tolist()
    assert [person["score"] for person in poses.to_dict()["persons"]] == given.tolist()
    assert Poses.concatenate([poses[:1], poses[1:]]) == poses
    np.testing.assert_array_equal(Poses.concatenate([plain, poses]).scores, [*plain.scores, *given])


def test_track_ids_stay_with_their_persons() -> None:
    plain = sample()
    poses = replace(plain, track_ids=[7, -1, 0, 2**40])
    assert poses.track_ids is not None
    assert poses.track_ids.dtype == np.int64
    assert plain.track_ids is None
    assert poses != plain
    assert plain != poses
    assert poses != replace(poses, track_ids=[7, -1, 1, 2**40])
    assert "track_ids=array([" in repr(poses)
    for twin in (pickle.loads(pickle.dumps(poses)), copy.deepcopy(poses), poses[:]):  # noqa: S301
        assert twin == poses
        assert twin.track_ids is not None
        assert not twin.track_ids.flags.writeable
    assert poses[[3, 0]].track_ids.tolist() == [2**40, 7]  # type: ignore[union-attr]
    assert [person.track_ids.tolist() for person in poses] == [[7], [-1], [0], [2**40]]  # type: ignore[union-attr]
    assert Poses.concatenate([poses[:1], poses[1:]]) == poses
    both = Poses.concatenate([plain[:2], Poses.empty(TRIO), poses])
    assert both.track_ids is not None
    assert both.track_ids.tolist() == [-1, -1, 7, -1, 0, 2**40]
    expected = [7, None, 0, 2**40]
    for export in (poses.to_coco(1), poses.to_dict()["persons"]):
        assert [person["track_id"] for person in export] == expected
        assert json.loads(json.dumps(export)) == export
    assert "track_id" not in plain.to_coco(1)[0]
    assert "track_id" not in plain.to_dict()["persons"][0]
    assert replace(Poses.empty(TRIO), track_ids=[]).track_ids is not None


@pytest.mark.parametrize(
    ("keypoint_scores", "score"),
    [
        ([0.9, 0.5, 0.1], 0.5 * 0.7),
        ([0.9, np.nan, np.inf], 0.5 * 0.9),
        ([0.2, 0.1, 0.0], 0.0),
        ([np.nan, np.nan, np.nan], 0.0),
        ([-np.inf, 0.4, 0.4], 0.5 * 0.4),
    ],
)
def test_scores(keypoint_scores: list[float], score: float) -> None:
    poses = Poses(
        np.zeros((1, 3, 2), np.float32),
        np.array([keypoint_scores], np.float32),
        np.ones((1, 4), np.float32),
        np.array([0.5], np.float32),
        TRIO,
    )
    assert poses.scores.tolist() == pytest.approx([score])


INDICES: list[Any] = [
    slice(1, 3),
    slice(None, None, -1),
    slice(9, None),
    [3, 0, 0],
    (),
    ...,
    np.array([-1, 2]),
    [True, False, True, False],
    np.array([False, True, False, False]),
    np.zeros(4, bool),
]


@pytest.mark.parametrize("index", INDICES)
def test_indexing_is_numpy_indexing(index: Any) -> None:
    poses = sample()
    for field, array in arrays(poses[index]).items():
        np.testing.assert_array_equal(array, getattr(poses, field)[index])
    assert poses[index].keypoints is TRIO


@pytest.mark.parametrize("index", [0, 2, -1, np.int64(1)])
def test_an_integer_gives_one_person(index: Any) -> None:
    poses = sample()
    assert len(poses[index]) == 1
    for field, array in arrays(poses[index]).items():
        np.testing.assert_array_equal(array[0], getattr(poses, field)[index])


def test_iteration_gives_each_person() -> None:
    poses = sample()
    persons = list(poses)
    assert [len(person) for person in persons] == [1, 1, 1, 1]
    assert Poses.concatenate(persons) == poses


def test_selecting_by_score() -> None:
    poses = sample()
    best = poses[poses.scores >= np.median(poses.scores)]
    assert len(best) == 2
    assert best.scores.min() >= np.median(poses.scores)


@pytest.mark.parametrize("index", [4, -5, [4], [True, False], 1.0, "xy", None, True, (0, 1), [[0, 1]], [0.5]])
def test_bad_indices(index: Any) -> None:
    with pytest.raises(IndexError):
        sample()[index]


@given(some_poses(), some_poses())
def test_concatenate_and_slice_are_inverse(first: Poses, second: Poses) -> None:
    both = Poses.concatenate([first, Poses.empty(TRIO), second])
    assert both[: len(first)] == first
    assert both[len(first) :] == second


def test_bad_concatenations() -> None:
    with pytest.raises(ValueError, match="at least one Poses"):
        Poses.concatenate([])
    with pytest.raises(ValueError, match="same keypoints"):
        Poses.concatenate([sample(), Poses.empty(COCO17)])


@given(some_poses())
def test_exports_are_strict_json(poses: Poses) -> None:
    for export in (poses.to_coco(7), poses.to_dict()):
        assert json.loads(json.dumps(export, allow_nan=False)) == export


@given(some_poses(finite=True))
def test_exports_keep_every_value(poses: Poses) -> None:
    for person, coco, plain in zip(poses, poses.to_coco("a", 3), poses.to_dict()["persons"], strict=True):
        triples = np.array(coco["keypoints"]).reshape(3, 3)
        np.testing.assert_array_equal(triples[:, :2], person.xy[0])
        np.testing.assert_array_equal(triples[:, 2], person.keypoint_scores[0])
        np.testing.assert_array_equal(np.array(plain["keypoints"]), triples)
        x, y, width, height = coco["bbox"]
        np.testing.assert_allclose([x, y, x + width, y + height], person.boxes[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(plain["box"], person.boxes[0])
        assert plain["box_score"] == person.box_scores[0]
        assert coco["score"] == plain["score"] == person.scores[0]
        assert (coco["image_id"], coco["category_id"]) == ("a", 3)


def test_exports_of_values_that_are_not_finite() -> None:
    poses = Poses(
        np.array([[[1, 2], [np.nan, 4], [5, 6]]], np.float32),
        np.array([[0.5, 0.5, np.inf]], np.float32),
        np.array([[1, 2, 11, 22]], np.float32),
        np.ones(1, np.float32),
        TRIO,
    )
    (coco,) = poses.to_coco(1)
    assert coco == {
        "image_id": 1,
        "category_id": 1,
        "keypoints": [1, 2, 0.5, 0, 0, 0, 0, 0, 0],
        "score": 0.5,
        "bbox": [1, 2, 10, 20],
    }
    assert poses.to_dict() == {
        "names": ["nose", "left_eye", "right_eye"],
        "skeleton": [[0, 1], [0, 2]],
        "persons": [
            {
                "keypoints": [[1, 2, 0.5], [None, 4, 0.5], [5, 6, None]],
                "score": 0.5,
                "box": [1, 2, 11, 22],
                "box_score": 1,
            }
        ],
    }


def test_coco_ids() -> None:
    (coco,) = json.loads(json.dumps(sample(1).to_coco(np.int64(12), np.uint8(3))))
    assert (coco["image_id"], coco["category_id"]) == (12, 3)
    with pytest.raises(TypeError):
        sample(1).to_coco(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("xy", np.zeros((2, 3, 3)), ValueError, "xy: expected shape (N, K, 2) = (2, 3, 2), got (2, 3, 3)"),
        ("xy", np.zeros((2, 17, 2)), ValueError, "= (2, 3, 2), got (2, 17, 2)"),
        ("xy", np.zeros((3, 2)), ValueError, "got (3, 2)"),
        ("xy", None, TypeError, "xy: expected an array of real numbers, got dtype object"),
        ("xy", 3.0, ValueError, "got ()"),
        ("keypoint_scores", np.zeros((2, 3, 1)), ValueError, "keypoint_scores: expected shape (N, K) = (2, 3)"),
        ("keypoint_scores", np.zeros((2, 3), complex), TypeError, "got dtype complex128"),
        ("boxes", np.zeros((3, 4)), ValueError, "boxes: expected shape (N, 4) = (2, 4), got (3, 4)"),
        ("boxes", np.full((2, 4), np.nan), ValueError, "boxes: expected finite float32 numbers"),
        ("boxes", np.full((2, 4), 1e300), ValueError, "boxes: expected finite float32 numbers"),
        ("box_scores", np.zeros((2, 1)), ValueError, "box_scores: expected shape (N,) = (2,), got (2, 1)"),
        ("box_scores", np.array([1, np.nan]), ValueError, "box_scores: expected numbers in 0..1, got [1.0, nan]"),
        ("box_scores", np.array([1, 1.5]), ValueError, "box_scores: expected numbers in 0..1"),
        ("box_scores", np.array([-0.5, 1]), ValueError, "box_scores: expected numbers in 0..1"),
        ("box_scores", np.array(["1", "1"]), TypeError, "box_scores: expected an array of real numbers"),
        ("person_scores", np.zeros((2, 1)), ValueError, "person_scores: expected shape (N,) = (2,), got (2, 1)"),
        ("person_scores", np.array([1, np.inf]), ValueError, "person_scores: expected finite float32 numbers"),
        ("person_scores", np.array(["1", "1"]), TypeError, "person_scores: expected an array of real numbers"),
        ("track_ids", np.zeros((2, 1), int), ValueError, "track_ids: expected shape (N,) = (2,), got (2, 1)"),
        ("track_ids", [1.0, 2.0], TypeError, "track_ids: expected an array of integers, got dtype float64"),
        ("track_ids", [1, -2], ValueError, "track_ids: expected numbers from -1 (no track) on, got [1, -2]"),
        ("keypoints", TRIO.names, TypeError, "keypoints: expected a KeypointSet, got tuple"),
    ],
)
def test_bad_fields(field: str, value: Any, error: type[Exception], message: str) -> None:
    fields: dict[str, Any] = {**arrays(sample(2)), "keypoints": TRIO, field: value}
    with pytest.raises(error, match=re.escape(message)):
        Poses(**fields)
