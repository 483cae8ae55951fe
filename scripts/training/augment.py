"""Augmentation: one random affine per person, then changes of colour and synthetic occlusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model_defs.inputs import PADDING


@dataclass(frozen=True)
class Augmentation:
    """Strengths; the defaults of flip, rotation and scale are AMFACPose's (section 4.3), the rest helps small data."""

    flip: float = 0.5  # probability
    rotation: float = 30.0  # degrees, uniform in both directions
    scale: tuple[float, float] = (0.7, 1.3)
    shift: float = 0.08  # of the box side: detectors' boxes are not exact
    half_body: float = 0.15  # probability, for persons with enough labelled joints
    occlusion: float = 0.15
    colour: float = 0.4


UPPER_BODY = np.arange(17) < 11


def sample_transform(
    rng: Generator,
    augmentation: Augmentation,
    box: NDArray[np.float32],
    keypoints: NDArray[np.float32],
    input_size: tuple[int, int],
    transform: Literal["plain", "udp"] = "plain",
) -> NDArray[np.float64]:
    """A (2, 3) matrix from input pixels to crop pixels.

    Where nothing is drawn, it equals `leanpose.crop_transforms` of boxes from 4 pixels on.
    """
    height, width = input_size
    shared_edge = 1 if transform == "udp" else 0
    steps_x, steps_y = width - shared_edge, height - shared_edge
    x0, y0, x1, y1 = (float(v) for v in box)
    seen = keypoints[:, 2] > 0
    if rng.random() < augmentation.half_body and seen.sum() >= 8:
        half = seen & (UPPER_BODY if rng.random() < 0.6 else ~UPPER_BODY)
        if half.sum() >= 4:
            low, high = keypoints[half, :2].min(0), keypoints[half, :2].max(0)
            margin = 0.25 * float((high - low).max())
            (x0, y0), (x1, y1) = low - margin, high + margin
    w, h = max(x1 - x0, 4.0) * PADDING, max(y1 - y0, 4.0) * PADDING
    w, h = max(w, h * width / height), max(h, w * height / width)
    centre_x = (x0 + x1) / 2 + rng.uniform(-1, 1) * augmentation.shift * w
    centre_y = (y0 + y1) / 2 + rng.uniform(-1, 1) * augmentation.shift * h
    scale = rng.uniform(*augmentation.scale)
    angle = np.deg2rad(rng.uniform(-1, 1) * augmentation.rotation)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    step_x, step_y = w / steps_x, h / steps_y  # of one input pixel; under udp they differ a little
    matrix = np.array([[cos * step_x, -sin * step_y, 0.0], [sin * step_x, cos * step_y, 0.0]])
    if rng.random() < augmentation.flip:
        matrix[:, 0] *= -1
    # The middle of the input lies on the middle of the box.
    matrix[:, 2] = (centre_x, centre_y) - matrix[:, :2] @ (steps_x / 2, steps_y / 2)
    return matrix


def is_flipped(matrix: NDArray[np.float64]) -> bool:
    return bool(np.linalg.det(matrix[:, :2]) < 0)


def warp(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], input_size: tuple[int, int], border: float = 0.0
) -> NDArray[np.uint8]:
    """Bilinear sampling without smoothing, as at inference; the grey level `border` outside the picture."""
    (height, width), flags = input_size, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderValue=(border, border, border))
    return warped.astype(np.uint8, copy=False)


def recolour(rng: Generator, augmentation: Augmentation, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness, contrast, white balance, sometimes grey; rectangles of one colour hide parts."""
    if rng.random() < augmentation.colour:
        gain = rng.uniform(0.7, 1.3) * rng.uniform(0.88, 1.12, 3)
        image = np.clip(image * gain.astype(np.float32) + np.float32(rng.uniform(-25, 25)), 0, 255).astype(np.uint8)
        if rng.random() < 0.1:
            image = np.repeat(image.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    if rng.random() < augmentation.occlusion:
        height, width = image.shape[:2]
        image = image.copy()
        for _ in range(int(rng.integers(1, 3))):
            h, w = int(height * rng.uniform(0.08, 0.3)), int(width * rng.uniform(0.1, 0.4))
            y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
            image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image
