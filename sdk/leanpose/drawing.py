"""Overlays of poses on pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .images import ImageLike, load_image
from .keypoints import KeypointSet, Side

if TYPE_CHECKING:
    from .results import Poses

Color = tuple[int, int, int]

# BGR. Blue against orange stays apart for colour-blind eyes.
_COLORS: dict[Side, Color] = {"left": (255, 170, 40), "right": (40, 140, 255), "center": (120, 225, 150)}
_OUTLINE: Color = (35, 30, 30)
_BOX: Color = (235, 235, 235)
# OpenCV takes coordinates as fixed-point integers with this many binary fraction digits.
_SHIFT = 4


def draw_poses(image: ImageLike, poses: Poses, *, threshold: float = 0.3, boxes: bool = False) -> npt.NDArray[np.uint8]:
    """Draw poses over a copy of a picture.

    The left side of the body is blue, the right orange, what has no side green. Strokes grow with the person, and
    persons of higher score are drawn over those of lower score.

    Args:
        image: the picture, as for `load_image`.
        poses: poses in pixels of that picture.
        threshold: keypoints are drawn where their score is above it, limbs where those of both ends are. Keypoints that
            are not finite or lie more than the longer side of the picture outside it are left out.
        boxes: draw the person boxes too.

    Returns:
        A new uint8 (H, W, 3) BGR array.

    Raises:
        ValueError: threshold is NaN; and whatever `load_image` raises.
    """
    if math.isnan(threshold):
        raise ValueError("threshold: expected a number, got nan")
    canvas = load_image(image).copy()
    for person in np.argsort(poses.scores, kind="stable"):
        if boxes:
            _draw_box(canvas, poses.boxes[person])
        _draw_person(canvas, poses.xy[person], poses.keypoint_scores[person] > threshold, poses.keypoints)
    return canvas


def _draw_person(
    canvas: npt.NDArray[np.uint8],
    xy: npt.NDArray[np.float32],
    visible: npt.NDArray[np.bool_],
    keypoints: KeypointSet,
) -> None:
    height, width = canvas.shape[:2]
    reach = max(height, width)
    # Written so that NaN compares false and OpenCV's fixed-point integers cannot overflow.
    drawn = visible & (xy >= -reach).all(axis=1) & (xy <= (width + reach, height + reach)).all(axis=1)
    if not drawn.any():
        return
    thickness = _thickness(float(np.ptp(xy[drawn], axis=0).max()))
    outline = max(1, round(thickness / 4))
    points = {int(index): _fixed(xy[index]) for index in np.flatnonzero(drawn)}
    limbs = [(first, second) for first, second in keypoints.skeleton if first in points and second in points]
    for first, second in limbs:
        cv2.line(canvas, points[first], points[second], _OUTLINE, thickness + 2 * outline, cv2.LINE_AA, _SHIFT)
    for first, second in limbs:
        color = _COLORS[_limb_side(keypoints, first, second)]
        cv2.line(canvas, points[first], points[second], color, thickness, cv2.LINE_AA, _SHIFT)
    radius = round(1.1 * (thickness + 0.5) * (1 << _SHIFT))
    for index, point in points.items():
        cv2.circle(canvas, point, radius + (outline << _SHIFT), _OUTLINE, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, point, radius, _COLORS[keypoints.side(index)], cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_box(canvas: npt.NDArray[np.uint8], box: npt.NDArray[np.float32]) -> None:
    height, width = canvas.shape[:2]
    # Clipped so that the edges of a box that reaches over the picture stay in sight.
    corners = np.clip(box.reshape(2, 2), 0, (width - 1, height - 1))
    first, second = _fixed(corners[0]), _fixed(corners[1])
    thickness = _thickness(float((corners[1] - corners[0]).max()) / 2)
    cv2.rectangle(canvas, first, second, _OUTLINE, thickness + 2, cv2.LINE_AA, _SHIFT)
    cv2.rectangle(canvas, first, second, _BOX, thickness, cv2.LINE_AA, _SHIFT)


def _thickness(size: float) -> int:
    """Stroke width in pixels for a person whose longer side is so many pixels."""
    return max(1, round(size / 100))


def _fixed(point: npt.NDArray[np.float32]) -> tuple[int, int]:
    return round(float(point[0]) * (1 << _SHIFT)), round(float(point[1]) * (1 << _SHIFT))


def _limb_side(keypoints: KeypointSet, first: int, second: int) -> Side:
    sides = {keypoints.side(first), keypoints.side(second)} - {"center"}
    return sides.pop() if len(sides) == 1 else "center"
