"""One side of peers.py, a process of its own: finds the persons of pictures with leanpose or with rtmlib.

Reads a JSON object per line and answers each with one: {"image": path} with the seconds of the whole call and those
inside ONNX Runtime, and the boxes; with "boxes" given, the keypoints in them, from a picture whose channels are swapped
if "swap" is set.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Found = tuple[NDArray[Any], NDArray[Any]]
THRESHOLD = 0.3  # of detections
DETECTOR_SIZE = (320, 320)


class Sessions:
    """The seconds that all calls of ONNX Runtime take."""

    def __init__(self) -> None:
        self.seconds = 0.0
        inner = onnxruntime.InferenceSession.run

        def run(session: Any, *arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return inner(session, *arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - start

        onnxruntime.InferenceSession.run = run


def use_one_thread() -> None:
    """Every session runs on one thread: the others would spin between runs and slow down what is measured."""
    inner = onnxruntime.InferenceSession.__init__

    def start(session: Any, path_or_bytes: Any, sess_options: Any = None, **keywords: Any) -> None:
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        inner(session, path_or_bytes, options, **keywords)

    onnxruntime.InferenceSession.__init__ = start


def leanpose(detector: str, pose: str) -> tuple[Callable[[Picture], Any], Callable[[Picture, Any], Found]]:
    """The boxes of all persons whose poses were found; and the keypoints in given boxes."""
    from leanpose import Detector, Estimator

    finder = Detector(detector, score_threshold=THRESHOLD, input_size=DETECTOR_SIZE, providers="cpu")
    estimator = Estimator(pose, detector=finder, providers="cpu")

    def keypoints(image: Picture, boxes: Any) -> Found:
        poses = estimator.predict(image, boxes)
        return poses.xy, poses.keypoint_scores

    return lambda image: estimator.predict(image).boxes, keypoints


def rtmlib(detector: str, pose: str) -> tuple[Callable[[Picture], Any], Callable[[Picture, Any], Found]]:
    """The same by rtmlib, which takes the whole picture as a box where nobody is found."""
    from rtmlib import RTMDet, RTMPose

    finder = RTMDet(detector, model_input_size=DETECTOR_SIZE, score_thr=THRESHOLD, backend="onnxruntime")
    estimator = RTMPose(pose, backend="onnxruntime")

    def everybody(image: Picture) -> Any:
        boxes = finder(image)
        estimator(image, bboxes=boxes)
        return boxes

    return everybody, lambda image, boxes: estimator(image, bboxes=boxes)


def main() -> None:
    library, detector, pose = sys.argv[1:]
    use_one_thread()
    with redirect_stdout(sys.stderr):  # rtmlib prints
        everybody, keypoints = {"leanpose": leanpose, "rtmlib": rtmlib}[library](detector, pose)
    sessions = Sessions()
    pictures: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        path = request["image"]
        if path not in pictures:
            pictures[path] = cv2.imread(path)
        image = pictures[path]
        if "boxes" in request:
            xy, scores = keypoints(image[..., ::-1].copy() if request["swap"] else image, request["boxes"])
            answer: dict[str, Any] = {"xy": xy.tolist(), "scores": scores.tolist()}
        else:
            sessions.seconds = 0.0
            start = time.perf_counter()
            boxes = everybody(image)
            total = time.perf_counter() - start
            answer = {"total": total, "sessions": sessions.seconds, "boxes": np.asarray(boxes).tolist()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
