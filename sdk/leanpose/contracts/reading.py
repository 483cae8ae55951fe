"""A reading of a graph: what its outputs may mean, and what models of that family take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codecs import Codec
from ..graph import Tensor
from ..keypoints import COCO17, CROWDPOSE14, MPII16, KeypointSet, anonymous_keypoints

Outputs = Sequence[Tensor]  # those of floats, with the shapes of a run
Given = Mapping[str, Any]  # fields of a card that the caller sets, by their paths
Size = tuple[int, int]  # height and width of the input in pixels

MOST_KEYPOINTS = 1000  # beyond any skeleton or face mesh
_KNOWN = {len(keypoints): keypoints for keypoints in (COCO17, CROWDPOSE14, MPII16)}

# Grey levels of ImageNet's pictures, which most networks of the field are normalised by.
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
GREY_LEVELS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
UNIT_RANGE = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}

TOP_DOWN = {"color": "rgb", **IMAGENET, "padding": 1.25, "transform": "plain", "border": 0.0}
BOTTOM_UP = {**TOP_DOWN, "padding": 1.0}  # whole pictures come without a margin


@dataclass(frozen=True)
class Reading:
    """One way to understand the outputs of a graph.

    Attributes:
        codec: how they encode keypoints.
        count: K, how many keypoints there are.
        input: the fields of a card's input that models of this family share; the graph tells size and layout.
        named: whether the names of the outputs say so, not their shapes alone.
        doubts: fields that the graph does not tell, with the values that they may have.
    """

    codec: Codec
    count: int
    input: Mapping[str, Any] = field(default_factory=lambda: TOP_DOWN)
    named: bool = False
    doubts: Mapping[str, str] = field(default_factory=dict)

    @property
    def keypoints(self) -> KeypointSet:
        """COCO's where there are 17, CrowdPose's where 14, MPII's where 16, else nameless ones."""
        return _KNOWN.get(self.count) or anonymous_keypoints(self.count)

    @property
    def choices(self) -> dict[str, str]:
        """The fields that set this reading apart from others."""
        names = {f"codec.{field}": getattr(self.codec, field) for field in self.codec.output_fields}
        return {"codec.type": self.codec.type, **{path: name for path, name in names.items() if name is not None}}

    def agrees(self, given: Given) -> bool:
        """Whether there are keypoints and no choice is set otherwise."""
        return 0 < self.count <= MOST_KEYPOINTS and all(
            given.get(path, name) == name for path, name in self.choices.items()
        )


def lengths(output: Tensor) -> tuple[int, ...]:
    """The shape of an output behind the axis of the batch."""
    return tuple(length for length in output.shape[1:] if isinstance(length, int))


def count_of(values: int, given: Given) -> int | None:
    """K where so many values may be three for each keypoint, which `are_keypoints` by their number."""
    count, rest = divmod(values, 3)
    return count if rest == 0 and are_keypoints(count, given) else None


def are_keypoints(count: int, given: Given) -> bool:
    """Whether so many channels are keypoints: of a known set, or the caller names as many, or the codec."""
    names = given.get("keypoints.names")
    named = isinstance(names, Sequence) and len(names) == count
    return count in _KNOWN or named or "codec.type" in given
