"""Keypoint sets: which joints a model predicts, how they connect and how they mirror."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Side = Literal["left", "right", "center"]


@dataclass(frozen=True)
class KeypointSet:
    """The K keypoints of one skeleton, in the order in which a model predicts them.

    Any iterables are accepted and stored as tuples, so that two sets compare equal, hash and pickle by value.

    Attributes:
        names: K distinct names; see `side` for what they say about sides.
        skeleton: pairs of keypoint indices that a limb connects.
        flip_pairs: pairs of keypoint indices that trade places when a picture is mirrored.
        sigmas: K per-keypoint standard deviations of object keypoint similarity (OKS), as a fraction of person size.

    Raises:
        TypeError, ValueError: a field is malformed; the message names it.
    """

    names: tuple[str, ...]
    skeleton: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        names = _elements("names", self.names)
        for name in names:
            if not isinstance(name, str) or not name:
                raise TypeError(f"names: expected non-empty strings, got {name!r}")
        if not names:
            raise ValueError("names: expected at least one keypoint, got none")
        if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
            raise ValueError(f"names: expected distinct names, got {repeated} more than once")

        skeleton = _index_pairs("skeleton", self.skeleton, len(names))
        flip_pairs = _index_pairs("flip_pairs", self.flip_pairs, len(names))
        flipped = [index for pair in flip_pairs for index in pair]
        if repeated_indices := sorted(index for index, times in Counter(flipped).items() if times > 1):
            raise ValueError(f"flip_pairs: expected a keypoint in one pair at most, got {repeated_indices} in several")

        sigmas = _elements("sigmas", self.sigmas)
        if len(sigmas) != len(names):
            raise ValueError(f"sigmas: expected one per keypoint ({len(names)}), got {len(sigmas)}")
        for sigma in sigmas:
            if not isinstance(sigma, (int, float, np.number)) or isinstance(sigma, bool):
                raise TypeError(f"sigmas: expected numbers, got {sigma!r}")
            if not (math.isfinite(sigma) and sigma > 0):
                raise ValueError(f"sigmas: expected positive finite numbers, got {sigma!r}")

        object.__setattr__(self, "names", names)
        object.__setattr__(self, "skeleton", skeleton)
        object.__setattr__(self, "flip_pairs", flip_pairs)
        object.__setattr__(self, "sigmas", tuple(float(sigma) for sigma in sigmas))

    @property
    def is_body(self) -> bool:
        """Whether they are those of a person's body, by their names: there are shoulders and wrists, not paws."""
        names = [name.lower() for name in self.names]
        return all(any(part in name for name in names) for part in ("shoulder", "wrist"))

    def __len__(self) -> int:
        """Number of keypoints K."""
        return len(self.names)

    @property
    def flip_index(self) -> npt.NDArray[np.int64]:
        """(K,) permutation, its own inverse: what is keypoint k in a picture is ``flip_index[k]`` in its mirror."""
        index = np.arange(len(self))
        for first, second in self.flip_pairs:
            index[[first, second]] = second, first
        return index

    def side(self, index: int) -> Side:
        """Side of the body on which keypoint `index` lies, as its name tells.

        A name has a side where "l" or "r" is one of its words, or one begins with "left" or "right": ``left_eye``,
        ``LeftEye``, ``l_eye``, ``lefteye``.
        """
        words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.names[index]).lower())
        if any(word == "l" or word.startswith("left") for word in words):
            return "left"
        if any(word == "r" or word.startswith("right") for word in words):
            return "right"
        return "center"

    def to_dict(self) -> dict[str, Any]:
        """The fields as lists that JSON can carry; `from_dict` undoes it."""
        return {
            "names": list(self.names),
            "skeleton": [list(pair) for pair in self.skeleton],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "sigmas": list(self.sigmas),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KeypointSet:
        """The set whose `to_dict` is given; ValueError or TypeError where fields are missing, unknown or malformed."""
        if not isinstance(data, Mapping):
            raise TypeError(f"keypoint set: expected a mapping, got {type(data).__name__}")
        expected = [field.name for field in fields(cls)]
        if missing := [name for name in expected if name not in data]:
            raise ValueError(f"keypoint set: missing fields {missing}; expected {expected}")
        if unknown := [name for name in data if name not in expected]:
            raise ValueError(f"keypoint set: unknown fields {unknown}; expected {expected}")
        return cls(**data)


def anonymous_keypoints(count: int) -> KeypointSet:
    """Keypoints of which nothing is known but their number: no skeleton, no sides, and 0.1 for each sigma."""
    return KeypointSet(tuple(f"keypoint_{index}" for index in range(count)), (), (), (0.1,) * count)


def _elements(field: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{field}: expected a sequence, got {values!r}")
    return tuple(values)


def _index_pairs(field: str, values: Any, count: int) -> tuple[tuple[int, int], ...]:
    pairs = tuple(_elements(field, pair) for pair in _elements(field, values))
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"{field}: expected pairs of keypoint indices, got {pair!r}")
        for index in pair:
            if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
                raise TypeError(f"{field}: expected integer keypoint indices, got {pair!r}")
            if not 0 <= index < count:
                raise ValueError(f"{field}: expected keypoint indices from 0 to {count - 1}, got {pair!r}")
        if pair[0] == pair[1]:
            raise ValueError(f"{field}: expected two different keypoints in a pair, got {pair!r}")
    return tuple((int(first), int(second)) for first, second in pairs)


# Names, skeleton and sigmas of the COCO keypoint challenge: https://cocodataset.org/#keypoints-eval
COCO17 = KeypointSet(
    names=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    skeleton=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12)),  # legs and hips
        *((5, 11), (6, 12), (5, 6)),  # trunk
        *((5, 7), (6, 8), (7, 9), (8, 10)),  # arms
        *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),  # head
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
)

# Keypoints and sigmas of Li et al., "CrowdPose: Efficient Crowded Scenes Pose Estimation and A New Benchmark", CVPR
# 2019, https://github.com/Jeff-sjtu/CrowdPose
CROWDPOSE14 = KeypointSet(
    names=(
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
        "head_top",
        "neck",
    ),
    skeleton=(
        *((10, 8), (8, 6), (11, 9), (9, 7), (6, 7)),  # legs and hips
        *((0, 6), (1, 7), (0, 1)),  # trunk
        *((0, 2), (1, 3), (2, 4), (3, 5)),  # arms
        *((12, 13), (13, 0), (13, 1)),  # head
    ),
    flip_pairs=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    sigmas=(
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107),
        *(0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
    ),
)

# Keypoints of Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis", CVPR 2014.
# MPII has no sigmas: these are COCO's of the same joints, hips and shoulders lend theirs to pelvis and thorax, and the
# head's are CrowdPose's.
MPII16 = KeypointSet(
    names=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "upper_neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    skeleton=(
        *((0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5)),  # legs and hips
        *((6, 7), (7, 8), (8, 9)),  # trunk and head
        *((10, 11), (11, 12), (12, 7), (13, 7), (13, 14), (14, 15)),  # arms
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    sigmas=(
        *(0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.107, 0.079),
        *(0.079, 0.079, 0.062, 0.072, 0.079, 0.079, 0.072, 0.062),
    ),
)
