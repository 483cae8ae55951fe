"""Heatmaps of one person, and pairs of heatmaps and tags of all persons: outputs (batch, K, height, width)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from ..codecs import AssociativeEmbedding, Heatmap
from .reading import BOTTOM_UP, Given, Outputs, Reading, Size, are_keypoints, lengths

_TAGS = ("tag", "embedding", "_ae")


def read(size: Size, outputs: Outputs, given: Given) -> Iterator[Reading]:
    """Each output alone as heatmaps, and each pair of as many keypoints as heatmaps and tags."""
    maps = []
    for output in outputs:
        if len(output.shape) == 4:
            count, *cells = lengths(output)
            stride = stride_of(size, (cells[0], cells[1]))
            if stride is not None:
                maps.append((output.name, count, stride))
                doubts = {} if are_keypoints(count, given) else {"codec.type": Heatmap.type}
                yield Reading(Heatmap(stride, heatmaps=output.name), count, doubts=doubts)
    for (heatmaps, count, stride), (tags, tag_count, tag_stride) in permutations(maps, 2):
        # Networks of several resolutions give the tags of the coarsest.
        if count == tag_count and stride <= tag_stride:
            yield Reading(
                AssociativeEmbedding(stride, tag_stride, heatmaps=heatmaps, tags=tags),
                count,
                BOTTOM_UP,
                named=_names_tags(tags) and not _names_tags(heatmaps),
            )


def _names_tags(name: str) -> bool:
    return any(word in name.lower() for word in _TAGS)


def stride_of(size: Size, cells: Size) -> float | None:
    """Input pixels per cell, the same on both axes up to rounding; None where maps of so many cells have none."""
    if min(cells) < 2:
        return None
    for stride in (size[0] / cells[0], size[1] / cells[1], float(round(size[0] / cells[0]))):
        if stride >= 1 and all(round(side / stride) == count for side, count in zip(size, cells, strict=True)):
            return stride
    return None
