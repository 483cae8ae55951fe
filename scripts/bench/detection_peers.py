"""Inputs of detectors and suppression as others do them: OpenCV's chain, rtmlib, and numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEAN = (103.53, 116.28, 123.675)
STD = (57.375, 57.12, 58.395)
PAD = 114
Picture = NDArray[np.uint8]


def opencv(image: Picture, size: tuple[int, int]) -> NDArray[np.float32]:
    """resize, copyMakeBorder, blobFromImage and a division by the deviation."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    inner = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    around = (0, size[0] - height, 0, size[1] - width)
    whole = cv2.copyMakeBorder(inner, *around, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD))
    blob = cv2.dnn.blobFromImage(whole, 1.0, size[::-1], MEAN)
    return np.asarray(blob / np.reshape(STD, (1, 3, 1, 1)).astype(np.float32), np.float32)


def numpy(image: Picture, size: tuple[int, int]) -> NDArray[np.float32]:
    """resize, then padding, normalisation and transposition in numpy."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    whole = np.full((*size, 3), PAD, np.uint8)
    whole[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    values: NDArray[np.float32] = (whole.astype(np.float32) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1))[None]


def rtmlib(image: Picture, size: tuple[int, int]) -> Callable[[], object] | None:
    """rtmlib's RTMDet.preprocess and the transposition of its inference; None where rtmlib is not installed."""
    if not find_spec("rtmlib"):
        return None
    from rtmlib.tools.object_detection.rtmdet import RTMDet

    tool: Any = object.__new__(RTMDet)  # without a session
    tool.model_input_size, tool.mean, tool.std = size, MEAN, STD

    def run() -> NDArray[np.float32]:
        values, _ = tool.preprocess(image)
        return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)[None]

    return run


def opencv_nms(boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> object:
    """NMSBoxes, which takes x, y, width, height."""
    corners = boxes.copy()
    corners[:, 2:] -= corners[:, :2]
    return cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, threshold)


def numpy_nms(boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> list[int]:
    """The best box against all others at a time."""
    areas, order, kept = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.argsort(-scores), []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(boxes[best, :2], boxes[order, :2])
        shared = sides.clip(0).prod(axis=1)
        order = order[shared / (areas[best] + areas[order] - shared) <= threshold]
    return kept
