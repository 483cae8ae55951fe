"""Overlays of poses on pictures."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from .images import ImageLike, load_image
from .keypoints import KeypointSet, Side

if TYPE_CHECKING:
    from .detection import Detections
    from .results import Poses

Color = tuple[int, int, int]
FloatArray = npt.NDArray[np.float64]

# BGR. Blue, orange and near-white stay apart for every kind of colour-blind eyes.
_SIDES: dict[Side, Color] = {"left": (255, 165, 30), "right": (20, 130, 255), "center": (225, 240, 240)}
_OUTLINE: Color = (35, 30, 30)
_NO_ID: Color = (235, 235, 235)
# Colours of track ids in turn, neighbours far apart in hue: persons that enter together look different.
_IDS: tuple[Color, ...] = (
    (75, 200, 255),
    (240, 130, 90),
    (90, 215, 130),
    (200, 120, 240),
    (225, 205, 60),
    (95, 95, 245),
    (100, 240, 225),
    (250, 150, 170),
    (60, 150, 235),
    (170, 220, 90),
    (190, 170, 255),
    (200, 235, 195),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEAD = re.compile(r"nose|eye|ear|head|face")
# OpenCV takes coordinates as fixed-point integers with this many binary fraction digits.
_SHIFT = 4
_ONE = 1 << _SHIFT


def draw_poses(
    image: ImageLike, poses: Poses, *, threshold: float = 0.3, boxes: bool = False, ids: bool = True
) -> npt.NDArray[np.uint8]:
    """Draw poses over a copy of a picture.

    The left side of the body is blue, the right orange, what has no side white. Strokes grow with the person, are finer
    where keypoints lie close together, as in a face, and persons of higher score are drawn over those of lower score.

    Args:
        image: the picture, as for `load_image`.
        poses: poses in pixels of that picture.
        threshold: keypoints are drawn where their score is above it, limbs where those of both ends are. Keypoints that
            are not finite or lie more than the longer side of the picture outside it are left out.
        boxes: draw the person boxes too, in the colour of the track id where there is one.
        ids: label persons that have a track id with it, above the head, in the colour of that id (see `id_color`).

    Returns:
        A new uint8 (H, W, 3) BGR array.

    Raises:
        ValueError: threshold is NaN; and whatever `load_image` raises.
    """
    if math.isnan(threshold):
        raise ValueError("threshold: expected a number, got nan")
    canvas = load_image(image).copy()
    order = np.argsort(poses.scores, kind="stable")
    xy, boxes_xyxy = poses.xy[order].astype(np.float64), poses.boxes[order].astype(np.float64)
    visible = (poses.keypoint_scores[order] > threshold) & _within_reach(xy, canvas)
    track_ids = None if poses.track_ids is None else poses.track_ids[order].tolist()
    people = _People.of(xy, visible)
    style = _style(poses.keypoints)
    if boxes:
        for person, box in enumerate(boxes_xyxy):
            _draw_box(canvas, box, id_color(-1 if track_ids is None else track_ids[person]))
    _draw_people(canvas, people, style)
    if ids and track_ids is not None:
        _draw_labels(canvas, people, style, track_ids, boxes_xyxy if boxes else None)
    return canvas


def draw_detections(image: ImageLike, detections: Detections) -> npt.NDArray[np.uint8]:
    """Draw the boxes of detections, with their scores above, over a copy of a picture; the best ones on top.

    Args:
        image: the picture, as for `load_image`.
        detections: boxes in pixels of that picture.

    Returns:
        A new uint8 (H, W, 3) BGR array.

    Raises:
        See `load_image`.
    """
    canvas = load_image(image).copy()
    order = np.argsort(detections.scores, kind="stable").tolist()
    boxes = detections.boxes.astype(np.float64)
    for person in order:
        _draw_box(canvas, boxes[person], id_color(person))
    for person in order:
        x1, y1, x2, y2 = boxes[person].tolist()
        score = f"{detections.scores[person]:.2f}"
        _draw_label(canvas, score, id_color(person), (x1 + x2) / 2, y1, max(x2 - x1, y2 - y1))
    return canvas


def id_color(track_id: int) -> Color:
    """The BGR colour of a track id: always the same for one id, others for its neighbours; grey for -1, no track."""
    return _IDS[track_id % len(_IDS)] if track_id >= 0 else _NO_ID


@dataclass(frozen=True)
class _Style:
    """What the drawing of a keypoint set needs again and again: colours, relative stroke widths, the head."""

    limbs: npt.NDArray[np.int64]
    limb_colors: tuple[Color, ...]
    dot_colors: tuple[Color, ...]
    widths: FloatArray
    head: npt.NDArray[np.bool_]


@lru_cache(maxsize=32)
def _style(keypoints: KeypointSet) -> _Style:
    sides = [keypoints.side(index) for index in range(len(keypoints))]
    limb_sides = []
    for first, second in keypoints.skeleton:
        lateral = {sides[first], sides[second]} - {"center"}
        limb_sides.append(lateral.pop() if len(lateral) == 1 else "center")
    return _Style(
        np.array(keypoints.skeleton, np.int64).reshape(-1, 2),
        tuple(_SIDES[side] for side in limb_sides),
        tuple(_SIDES[side] for side in sides),
        # Sigma says how precisely people place a keypoint: small on faces and hands, where dots must be small too.
        np.clip(np.array(keypoints.sigmas) / 0.06, 0.25, 1),
        np.array([bool(_HEAD.search(name.lower())) for name in keypoints.names]),
    )


def _within_reach(xy: FloatArray, canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    height, width = canvas.shape[:2]
    reach = max(height, width)
    # Written so that NaN compares false and OpenCV's fixed-point integers cannot overflow.
    inside: npt.NDArray[np.bool_] = ((xy >= -reach) & (xy <= (width + reach, height + reach))).all(axis=2)
    return inside


@dataclass(frozen=True)
class _People:
    """N persons: keypoints (N, K, 2), 0 where not visible (N, K), and the longer side (N,) of what each spans."""

    xy: FloatArray
    visible: npt.NDArray[np.bool_]
    sizes: FloatArray

    @classmethod
    def of(cls, xy: FloatArray, visible: npt.NDArray[np.bool_]) -> _People:
        shown = visible[..., None]
        least, most = np.where(shown, xy, np.inf).min(axis=1), np.where(shown, xy, -np.inf).max(axis=1)
        sizes = np.where(visible.any(axis=1), (most - least).max(axis=1), 0)
        return cls(np.where(shown, xy, 0), visible, sizes)


def _draw_people(canvas: npt.NDArray[np.uint8], people: _People, style: _Style) -> None:
    strokes = _stroke(people.sizes)[:, None]
    radii = np.maximum(strokes * style.widths / 2, 0.6)
    outlines = np.maximum(strokes * style.widths**0.5 / 4, 0.5)
    ends = people.xy[:, style.limbs]
    limbs = _quads(ends, radii[:, style.limbs])
    limb_rims = _quads(ends, (radii + outlines)[:, style.limbs])
    limbs_shown = people.visible[:, style.limbs[:, 0]] & people.visible[:, style.limbs[:, 1]]
    centers = _fixed(people.xy).tolist()
    # Wide enough to cover the square ends of limbs.
    dot_radii = 1.35 * radii + 0.3
    dots, dot_rims = _fixed(dot_radii).tolist(), _fixed(dot_radii + outlines).tolist()
    for person, joints_shown in enumerate(people.visible):
        shown = np.flatnonzero(limbs_shown[person]).tolist()
        for limb in shown:
            cv2.fillConvexPoly(canvas, limb_rims[person, limb], _OUTLINE, cv2.LINE_AA, _SHIFT)
        for limb in shown:
            cv2.fillConvexPoly(canvas, limbs[person, limb], style.limb_colors[limb], cv2.LINE_AA, _SHIFT)
        for joint in np.flatnonzero(joints_shown).tolist():
            center, color = centers[person][joint], style.dot_colors[joint]
            cv2.circle(canvas, center, dot_rims[person][joint], _OUTLINE, cv2.FILLED, cv2.LINE_AA, _SHIFT)
            cv2.circle(canvas, center, dots[person][joint], color, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _quads(ends: FloatArray, halves: FloatArray) -> npt.NDArray[np.int32]:
    """Corners (N, L, 4, 2) in fixed point of limbs between points (N, L, 2, 2) with half-widths (N, L, 2)."""
    along = ends[:, :, 1] - ends[:, :, 0]
    length = np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-6)[..., None]
    across = (along[..., ::-1] * (-1, 1) / length)[:, :, None] * halves[..., None]
    return _fixed(np.concatenate([ends + across, (ends - across)[:, :, ::-1]], axis=2))


def _draw_box(canvas: npt.NDArray[np.uint8], box: FloatArray, color: Color) -> None:
    height, width = canvas.shape[:2]
    # Clipped so that the edges of a box that reaches over the picture stay in sight.
    corners = np.clip(box.reshape(2, 2), 0, (width - 1, height - 1))
    first, second = _fixed(corners).tolist()
    thickness = max(1, round(float(_stroke((corners[1] - corners[0]).max())) / 2))
    cv2.rectangle(canvas, first, second, _OUTLINE, thickness + 2, cv2.LINE_AA, _SHIFT)
    cv2.rectangle(canvas, first, second, color, thickness, cv2.LINE_AA, _SHIFT)


def _draw_labels(
    canvas: npt.NDArray[np.uint8], people: _People, style: _Style, track_ids: list[int], boxes: FloatArray | None
) -> None:
    for person, (xy, visible) in enumerate(zip(people.xy, people.visible, strict=True)):
        if track_ids[person] < 0:
            continue
        size = float(people.sizes[person])
        head = visible & style.head
        if head.any():
            # Eyes and ears lie about half a head below its top.
            points = xy[head]
            above = max(0.6 * float(np.ptp(points, axis=0).max()), 0.08 * size)
        elif visible.any():
            points, above = xy[visible], 0.2 * size
        elif boxes is not None:
            left, top, right, bottom = boxes[person]
            points, above, size = np.array([[left, top], [right, top]]), 0.0, max(right - left, bottom - top)
        else:
            continue
        x, y = float(points[:, 0].mean()), float(points[:, 1].min()) - above
        _draw_label(canvas, str(track_ids[person]), id_color(track_ids[person]), x, y, size)


def _draw_label(canvas: npt.NDArray[np.uint8], text: str, color: Color, x: float, y: float, size: float) -> None:
    """A pill of text, for a person of so many pixels; its lower middle is at x, y but all of it in the picture."""
    height = min(max(0.035 * size, 7.0), 26.0)  # of the digits
    scale, thickness = height / 21, max(1, round(height / 9))
    (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    radius = 0.9 * height + 1
    half = max(text_width - height, 0) / 2  # of the straight part
    rows, columns = canvas.shape[:2]
    rim = radius + 4
    x = float(np.clip(x, half + rim, max(columns - 1 - half - rim, half + rim)))
    y = float(np.clip(y - radius, rim, max(rows - 1 - rim, rim)))
    left, right = _fixed(np.array([[x - half, y], [x + half, y]])).tolist()
    # A thick line has round ends.
    cv2.line(canvas, left, right, _OUTLINE, round(2 * radius) + 2, cv2.LINE_AA, _SHIFT)
    cv2.line(canvas, left, right, color, round(2 * radius), cv2.LINE_AA, _SHIFT)
    origin = round(x - text_width / 2), round(y + height / 2)
    cv2.putText(canvas, text, origin, _FONT, scale, _OUTLINE, thickness, cv2.LINE_AA)


def _stroke(sizes: Any) -> Any:
    """Stroke widths in pixels of persons whose longer sides are so many pixels."""
    return np.maximum(1.2, sizes / 90)


def _fixed(values: FloatArray) -> npt.NDArray[np.int32]:
    return np.rint(values * _ONE).astype(np.int32, order="C")
