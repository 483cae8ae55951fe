from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanpose.keypoints import COCO17, KeypointSet, anonymous_keypoints

FIELDS: dict[str, Any] = {
    "names": ["nose", "left_eye", "right_eye"],
    "skeleton": [[0, 1], [0, 2]],
    "flip_pairs": [[1, 2]],
    "sigmas": [0.1, 0.2, 0.2],
}


@st.composite
def keypoint_sets(draw: st.DrawFn) -> KeypointSet:
    names = draw(st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True))
    count = len(names)
    order = draw(st.permutations(range(count)))
    pairs = draw(st.integers(0, count // 2))
    limb = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    return KeypointSet(
        tuple(names),
        tuple(draw(st.lists(limb, max_size=8))) if count > 1 else (),
        tuple((order[2 * pair], order[2 * pair + 1]) for pair in range(pairs)),
        tuple(draw(st.lists(st.floats(1e-6, 1e6), min_size=count, max_size=count))),
    )


@given(keypoint_sets())
def test_round_trips(keypoints: KeypointSet) -> None:
    assert KeypointSet.from_dict(json.loads(json.dumps(keypoints.to_dict()))) == keypoints
    assert pickle.loads(pickle.dumps(keypoints)) == keypoints  # noqa: S301


@given(keypoint_sets())
def test_flip_index_is_an_involution_that_moves_exactly_the_pairs(keypoints: KeypointSet) -> None:
    index = keypoints.flip_index
    assert np.array_equal(index[index], np.arange(len(keypoints)))
    moved = {frozenset((int(k), int(index[k]))) for k in np.flatnonzero(index != np.arange(len(keypoints)))}
    assert moved == {frozenset(pair) for pair in keypoints.flip_pairs}


def test_lists_and_numpy_numbers_become_plain_tuples() -> None:
    arrays = {"skeleton": np.array(FIELDS["skeleton"]), "sigmas": np.array(FIELDS["sigmas"], np.float32)}
    keypoints = KeypointSet.from_dict({**FIELDS, **arrays})
    assert keypoints.skeleton == ((0, 1), (0, 2))
    assert {type(value) for pair in keypoints.skeleton for value in pair} == {int}
    assert {type(value) for value in keypoints.sigmas} == {float}
    assert hash(keypoints) == hash(replace(keypoints))
    assert keypoints != replace(keypoints, flip_pairs=())
    with pytest.raises(FrozenInstanceError):
        keypoints.names = ()  # type: ignore[misc]


def test_coco17() -> None:
    assert len(COCO17) == 17
    # The skeleton as COCO's annotation files have it, counted from 1.
    legs_and_trunk = [(16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7)]
    arms_and_head = [(6, 8), (7, 9), (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)]
    limbs = {frozenset((first - 1, second - 1)) for first, second in (*legs_and_trunk, *arms_and_head)}
    assert {frozenset(pair) for pair in COCO17.skeleton} == limbs
    assert len(COCO17.skeleton) == len(limbs)
    # The constants of pycocotools, which holds ten times the sigma.
    kappa = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
    assert COCO17.sigmas == pytest.approx(np.array(kappa) / 10)
    swapped = {"left": "right", "right": "left"}
    for name, flipped in zip(COCO17.names, np.array(COCO17.names)[COCO17.flip_index], strict=True):
        assert "_".join(swapped.get(word, word) for word in name.split("_")) == flipped


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("left_eye", "left"),
        ("right_big_toe", "right"),
        ("nose", "center"),
        ("LeftAnkle", "left"),
        ("wristRight", "right"),
        ("eye-l", "left"),
        ("R Hip", "right"),
        ("upright", "center"),
        ("cleft_lip", "center"),
        ("left1", "left"),
        ("lefteye", "left"),
        ("RIGHTEYE", "right"),
    ],
)
def test_side(name: str, side: str) -> None:
    assert KeypointSet((name,), (), (), (0.1,)).side(0) == side


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("names", [], ValueError, "names: expected at least one"),
        ("names", "abc", TypeError, "names: expected a sequence"),
        ("names", ["a", "b", 3], TypeError, "names: expected non-empty strings, got 3"),
        ("names", ["a", "b", ""], TypeError, "names: expected non-empty strings, got ''"),
        ("names", ["a", "b", "a"], ValueError, r"names: expected distinct names, got \['a'\]"),
        ("skeleton", 3, TypeError, "skeleton: expected a sequence"),
        ("skeleton", [0, 1], TypeError, "skeleton: expected a sequence, got 0"),
        ("skeleton", [[0, 1, 2]], ValueError, "skeleton: expected pairs"),
        ("skeleton", [[0, 3]], ValueError, r"skeleton: expected keypoint indices from 0 to 2, got \(0, 3\)"),
        ("skeleton", [[-1, 0]], ValueError, "skeleton: expected keypoint indices"),
        ("skeleton", [[0, 1.0]], TypeError, "skeleton: expected integer"),
        ("skeleton", [[True, 0]], TypeError, "skeleton: expected integer"),
        ("skeleton", [[1, 1]], ValueError, "skeleton: expected two different"),
        ("flip_pairs", [[0, 1], [1, 2]], ValueError, r"flip_pairs: expected a keypoint in one pair at most, got \[1\]"),
        ("flip_pairs", {0: 1}, TypeError, "flip_pairs: expected a sequence"),
        ("sigmas", [0.1], ValueError, r"sigmas: expected one per keypoint \(3\), got 1"),
        ("sigmas", [0.1, 0.1, 0], ValueError, "sigmas: expected positive finite"),
        ("sigmas", [0.1, 0.1, float("nan")], ValueError, "sigmas: expected positive finite"),
        ("sigmas", [0.1, 0.1, float("inf")], ValueError, "sigmas: expected positive finite"),
        ("sigmas", [0.1, 0.1, "0.1"], TypeError, "sigmas: expected numbers"),
        ("sigmas", [0.1, 0.1, True], TypeError, "sigmas: expected numbers"),
        ("sigmas", None, TypeError, "sigmas: expected a sequence"),
    ],
)
def test_bad_fields(field: str, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KeypointSet.from_dict({**FIELDS, field: value})


def test_bad_mappings() -> None:
    with pytest.raises(ValueError, match=r"missing fields \['sigmas'\]"):
        KeypointSet.from_dict({name: value for name, value in FIELDS.items() if name != "sigmas"})
    with pytest.raises(ValueError, match=r"unknown fields \['colors'\]"):
        KeypointSet.from_dict({**FIELDS, "colors": []})
    with pytest.raises(TypeError, match="expected a mapping, got list"):
        KeypointSet.from_dict([])  # type: ignore[arg-type]


def test_repetition_among_very_many_names_is_found_in_linear_time() -> None:
    names = [f"k{i}" for i in range(200_000)]
    sigmas = [0.1] * (len(names) + 1)
    with pytest.raises(ValueError, match=r"names: expected distinct names, got \['k0'\]"):
        KeypointSet([*names, "k0"], (), (), sigmas)


def test_bodies_of_persons_have_shoulders_and_wrists() -> None:
    assert COCO17.is_body
    assert KeypointSet(("RWrist", "LShoulder"), (), (), (0.1, 0.1)).is_body
    assert not KeypointSet(("L_Shoulder", "L_F_Paw"), (), (), (0.1, 0.1)).is_body
    assert not anonymous_keypoints(21).is_body
