"""Cropping as others do it: OpenCV's chain, rtmlib, and numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
Picture = NDArray[np.uint8]


def opencv(image: Picture, transforms: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """warpAffine, blobFromImage and a division by the deviation, person by person."""
    height, width = size
    std = STD.reshape(1, 3, 1, 1)
    blobs = []
    for transform in transforms:
        crop = cv2.warpAffine(image, transform, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        blobs.append(cv2.dnn.blobFromImage(crop, 1.0, (width, height), MEAN.tolist(), swapRB=True) / std)
    return np.concatenate(blobs)


def numpy(image: Picture, transforms: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear sampling of upright crops: whole rows first, then columns; needs crops inside the picture."""
    scale = (1 / STD)[:, None, None]
    bias = (-MEAN / STD)[:, None, None]
    crops = np.empty((len(transforms), 3, *size), np.float32)
    for crop, ((xu, _, xc), (_, yv, yc)) in zip(crops, transforms, strict=True):
        x, y = xu * np.arange(size[1]) + xc, yv * np.arange(size[0]) + yc
        left, top = np.int64(x), np.int64(y)
        fx, fy = (x - left).astype(np.float32)[None, :, None], (y - top).astype(np.float32)[:, None, None]
        first, last = left.min(), left.max() + 2
        upper, lower = (image[rows, first:last].astype(np.float32) for rows in (top, top + 1))
        upper += fy * (lower - upper)
        near = upper[:, left - first]
        near += fx * (upper[:, left - first + 1] - near)
        np.multiply(np.moveaxis(near, -1, 0)[::-1], scale, out=crop)
        crop += bias
    return crops


def rtmlib(image: Picture, boxes: NDArray[np.float64], size: tuple[int, int]) -> Callable[[], object] | None:
    """rtmlib's RTMPose.preprocess, person by person; None where rtmlib is not installed."""
    if not find_spec("rtmlib"):
        return None
    from rtmlib.tools.pose_estimation.rtmpose import RTMPose

    tool: Any = object.__new__(RTMPose)  # without a session
    tool.model_input_size, tool.mean, tool.std = size[::-1], tuple(MEAN), tuple(STD)
    persons = boxes.tolist()
    return lambda: [tool.preprocess(image, box) for box in persons]
