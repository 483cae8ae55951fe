"""Bottom-up heatmaps with tags that tell persons apart (Newell et al., NeurIPS 2017, arXiv:1611.05424)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..fields import Fields
from .base import Codec, Decoded, FloatArray

GroupingMapping = Literal["half_pixel", "udp"]
GROUPING_MAPPINGS: tuple[GroupingMapping, ...] = ("half_pixel", "udp")
MOST_PERSONS = 1000
WIDEST_WINDOW = 255


@dataclass(frozen=True)
class AssociativeEmbedding(Codec):
    """Heatmaps of all persons, and tags that are alike for the keypoints of one; see `_core.group_keypoints`.

    The defaults are those of HigherHRNet (Cheng et al., CVPR 2020). A flip test averages the heatmaps, and the tags of
    a picture and of its mirror image become tags of two values, as in its evaluation.

    Attributes:
        stride: input pixels per cell of the heatmaps; 1 for maps of full resolution.
        tag_stride: input pixels per cell of the tags, which are sampled bilinearly where heatmaps have peaks.
        mapping: where cells lie in the input: "half_pixel", at the centres of their pixels; "udp", the first and the
            last at the first and the last pixel.
        joint_order: the keypoints 0 to K - 1 in the order of grouping, the surest first; None for the published order
            where K is COCO's 17, else for their own.
        max_persons: peaks taken of each keypoint, at most 1000.
        detection_threshold: a peak's value must be above it.
        tag_threshold: a peak joins a person whose mean tag is nearer.
        use_detection_val: whether tag distances are rounded, and larger peaks go first where they are equal.
        ignore_too_much: whether keypoints are left out once there are `max_persons` persons.
        adjust: whether a keypoint moves a quarter of a cell towards the larger neighbour on each axis.
        refine: whether missing keypoints of a person are searched by its mean tag.
        nms_window: side in cells, odd, of the window whose largest value is a peak.
        heatmaps: name of the output (batch, K, height / stride, width / stride).
        tags: name of the output (batch, K, height / tag_stride, width / tag_stride).
    """

    type: ClassVar[str] = "associative_embedding"
    output_fields: ClassVar[tuple[str, ...]] = ("heatmaps", "tags")
    finds_persons: ClassVar[bool] = True
    stride: float = 2.0
    tag_stride: float = 4.0
    mapping: GroupingMapping = "half_pixel"
    joint_order: tuple[int, ...] | None = None
    max_persons: int = 30
    detection_threshold: float = 0.1
    tag_threshold: float = 1.0
    use_detection_val: bool = True
    ignore_too_much: bool = False
    adjust: bool = True
    refine: bool = True
    nms_window: int = 5
    heatmaps: str = "heatmaps"
    tags: str = "tags"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AssociativeEmbedding:
        fields = Fields(data, "codec")
        codec = cls(
            fields.number("stride", above=0),
            fields.number("tag_stride", above=0),
            cast(GroupingMapping, fields.choice("mapping", GROUPING_MAPPINGS)),
            fields.optional_indices("joint_order"),
            int(fields.number("max_persons", above=0, most=MOST_PERSONS, integer=True)),
            fields.number("detection_threshold"),
            fields.number("tag_threshold", above=0),
            fields.flag("use_detection_val"),
            fields.flag("ignore_too_much"),
            fields.flag("adjust"),
            fields.flag("refine"),
            int(fields.number("nms_window", above=0, most=WIDEST_WINDOW, integer=True)),
            fields.text("heatmaps"),
            fields.text("tags"),
        )
        fields.done()
        if codec.nms_window % 2 == 0:
            raise ValueError(f"model card: field codec.nms_window: expected an odd integer, got {codec.nms_window}")
        codec.require_two_outputs()
        return codec

    def expected_shapes(self, num_keypoints: int, input_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        if self.joint_order is not None and sorted(self.joint_order) != list(range(num_keypoints)):
            raise ValueError(
                f"model card: field codec.joint_order: expected each of the {num_keypoints} keypoints once, counted "
                f"from 0, got {list(self.joint_order)}"
            )
        return {
            name: (num_keypoints, *(max(round(side / stride), 1) for side in input_size))
            for name, stride in ((self.heatmaps, self.stride), (self.tags, self.tag_stride))
        }

    def decode(self, outputs: Sequence[FloatArray], transforms: NDArray[np.float64]) -> Decoded:
        return self._group(zip(*outputs, strict=True), transforms, outputs[0].shape[1:])

    def decode_flipped(
        self,
        outputs: Sequence[FloatArray],
        flipped: Sequence[FloatArray],
        transforms: NDArray[np.float64],
        flip_index: NDArray[np.int64],
    ) -> Decoded:
        def together() -> Iterator[tuple[FloatArray, FloatArray]]:
            for heatmaps, tags, mirrored_heatmaps, mirrored_tags in zip(*outputs, *flipped, strict=True):
                mean = mirrored_heatmaps[flip_index, :, ::-1]  # a copy
                with np.errstate(invalid="ignore", over="ignore"):  # grouping leaves out what is not finite
                    mean += heatmaps
                mean *= 0.5
                yield mean, np.stack((tags, mirrored_tags[flip_index, :, ::-1]), axis=3)

        return self._group(together(), transforms, outputs[0].shape[1:])

    def _group(
        self,
        inputs: Iterable[tuple[FloatArray, ...]],
        transforms: NDArray[np.float64],
        shape: tuple[int, ...],
    ) -> Decoded:
        """The persons of each input, best first, from its heatmaps of one shape (K, h, w) and its tags."""
        keypoints, height, width = shape
        cells_to_input = self._cells_to_input(height, width)
        order = self._joint_order(keypoints)
        parts = [
            (np.empty((0, keypoints, 2), np.float32), np.empty((0, keypoints), np.float32), np.empty(0, np.float32))
        ]
        for (heatmaps, tags), transform in zip(inputs, transforms, strict=True):
            xy, scores, person_scores, _ = _core.group_keypoints(
                heatmaps,
                tags,
                transform @ cells_to_input,
                order,
                max_persons=self.max_persons,
                detection_threshold=self.detection_threshold,
                tag_threshold=self.tag_threshold,
                use_detection_val=self.use_detection_val,
                ignore_too_much=self.ignore_too_much,
                adjust=self.adjust,
                refine=self.refine,
                nms_window=self.nms_window,
            )
            best = np.argsort(-person_scores, kind="stable")
            parts.append((xy[best], scores[best], person_scores[best]))
        items = np.repeat(np.arange(len(transforms)), [len(part[0]) for part in parts[1:]])
        xy, scores, person_scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        boxes = np.concatenate((np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)), axis=1)  # each has a keypoint at least
        return Decoded(xy, scores, items, boxes, person_scores)

    def _joint_order(self, num_keypoints: int) -> Sequence[int]:
        if self.joint_order is not None:
            return self.joint_order
        published = _core.COCO_JOINT_ORDER
        return published if num_keypoints == len(published) else range(num_keypoints)

    def _cells_to_input(self, height: int, width: int) -> NDArray[np.float64]:
        """(3, 3) from heatmap cells to input pixels, with the mappings of `Heatmap`."""
        if self.mapping == "half_pixel":
            x_step = y_step = self.stride
            first = (self.stride - 1) / 2
        else:
            x_step, y_step = ((self.stride * cells - 1) / max(cells - 1, 1) for cells in (width, height))
            first = 0.0
        return np.array([[x_step, 0.0, first], [0.0, y_step, first], [0.0, 0.0, 1.0]])
