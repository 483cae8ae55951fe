"""Families of detectors: what their inputs hold, the forms of their outputs, and which family a graph belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .forms import BoxesAndScores, DistanceRows, Finished, Form, ObjectRows, Outputs, Queries, ScoredCenters

Resize: TypeAlias = Literal["letterbox", "letterbox_center", "stretch"]
Triple: TypeAlias = tuple[float, float, float]
Recognise: TypeAlias = Callable[[Outputs, tuple[int, int]], Form | None]

_IMAGENET: tuple[Triple, Triple] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # RGB
_IMAGENET_BGR: tuple[Triple, Triple] = ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395))
GREY_LEVELS: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_UNIT: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


@dataclass(frozen=True)
class Family:
    """Detectors that are served alike.

    Attributes:
        outputs: the forms of its outputs, in words.
        forms: what recognises them.
        resize: how the picture becomes the input.
        color: order of the input's channels.
        normalization: mean and standard deviation of each channel of the input, in grey levels.
        size: height and width of the input where the graph leaves them open.
        pad: grey level around the picture.
        person: the class of persons.
        nms: threshold of the suppression outside the graph; None where there is none to do.
        usual: numbers of classes of the released models, which settle what shapes leave open.
        named: forms that are another family's, unless the file's name or the caller says this one.
        aliases: what files of this family have in their names.
    """

    outputs: str
    forms: tuple[Recognise, ...]
    resize: Resize
    color: Literal["rgb", "bgr"]
    normalization: tuple[Triple, Triple]
    size: tuple[int, int] = (640, 640)
    pad: float = 114.0
    person: int = 0
    nms: float | None = None
    usual: frozenset[int] = frozenset((1, 80))
    named: tuple[Recognise, ...] = ()
    aliases: tuple[str, ...] = field(default=())


FAMILIES: dict[str, Family] = {
    "yolox": Family(
        "[b, n, 5 + classes], raw or decoded, or dets [b, n, 5] and labels [b, n]",
        (ObjectRows.of_yolox,),
        resize="letterbox",
        color="bgr",
        normalization=GREY_LEVELS,
        nms=0.45,
        named=(Finished.labelled,),
        aliases=("yolox",),
    ),
    "rtmdet": Family(
        "dets [b, n, 5] and labels [b, n]",
        (Finished.labelled,),
        resize="letterbox",
        color="bgr",
        normalization=_IMAGENET_BGR,
        size=(320, 320),
        aliases=("rtmdet",),
    ),
    "picodet": Family(
        "scores [b, classes, n] and boxes [b, n, 4], or four scores [b, n, classes] and four distances [b, n, 32]",
        (BoxesAndScores.of_picodet, DistanceRows.of_picodet),
        resize="stretch",
        color="rgb",
        normalization=_IMAGENET,
        size=(320, 320),
        nms=0.5,
        aliases=("picodet",),
    ),
    "nanodet": Family(
        "[b, n, classes + 32], or three scores [b, n, classes] and three distances [b, n, 32]",
        (DistanceRows.in_one, DistanceRows.of_nanodet),
        resize="stretch",
        color="bgr",
        normalization=_IMAGENET_BGR,
        size=(416, 416),
        nms=0.5,
        aliases=("nanodet",),
    ),
    "yolov5": Family(
        "[b, 3 n, 5 + classes]",
        (ObjectRows.of_yolov5,),
        resize="letterbox_center",
        color="rgb",
        normalization=_UNIT,
        nms=0.45,
        aliases=("yolov5", "yolov7"),
    ),
    "yolov8": Family(
        "[b, 4 + classes, n], or [b, n, 6] of x1, y1, x2, y2, score, class",
        (ScoredCenters.of_yolov8, Finished.rows),
        resize="letterbox_center",
        color="rgb",
        normalization=_UNIT,
        nms=0.5,
        aliases=("yolov8", "yolov9", "yolov10", "yolov11", "yolo11", "yolov12", "yolo12", "yolo26"),
    ),
    "detr": Family(
        "logits [b, q, classes + 1] and boxes [b, q, 4]",
        (Queries.softmax,),
        resize="stretch",
        color="rgb",
        normalization=_IMAGENET,
        size=(800, 800),
        person=1,
        usual=frozenset((80, 91)),
        aliases=("detr",),
    ),
    "deformable_detr": Family(
        "logits [b, q, classes] and boxes [b, q, 4]",
        (Queries.sigmoid,),
        resize="stretch",
        color="rgb",
        normalization=_IMAGENET,
        size=(800, 800),
        person=1,
        usual=frozenset((91,)),
        aliases=("deformable", "rf-detr", "rfdetr", "rf_detr"),
    ),
    "rt_detr": Family(
        "logits [b, q, classes] and boxes [b, q, 4], or labels [b, n], boxes [b, n, 4] and scores [b, n]",
        (Queries.sigmoid, Finished.apart),
        resize="stretch",
        color="rgb",
        normalization=_UNIT,
        usual=frozenset((80,)),
        aliases=("rtdetr", "rt-detr", "rt_detr", "dfine", "d-fine", "d_fine"),
    ),
}


def recognised(outputs: Outputs, size: tuple[int, int], family: str | None, stem: str) -> list[tuple[str, Form]]:
    """The families, with the form, that the outputs of a run may be of: one where the graph is clear.

    Args:
        outputs: arrays without the batch axis, of a picture of one colour.
        size: height and width of the input.
        family: the only one in question; None for all.
        stem: the file's name, which may tell the family.
    """
    hints = {alias: name for name, known in FAMILIES.items() for alias in known.aliases if alias in stem.lower()}
    hint = hints[max(hints, key=len)] if hints else None
    found = []
    for name in FAMILIES if family is None else (family,):
        known = FAMILIES[name]
        for recognise in (*known.forms, *(known.named if name in (family, hint) else ())):
            form = recognise(outputs, size)
            if form is not None:
                found.append((name, form))
                break
    if len(found) > 1 and any(name == hint for name, _ in found):
        return [(name, form) for name, form in found if name == hint]
    usual = [(name, form) for name, form in found if form.classes in FAMILIES[name].usual]
    return usual if len(found) > 1 and len(usual) == 1 else found
