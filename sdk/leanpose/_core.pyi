from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

COCO_JOINT_ORDER: tuple[int, ...]

def crop_transforms(
    boxes: ArrayLike, input_size: tuple[int, int], padding: float, transform: Literal["plain", "udp"]
) -> NDArray[np.float64]: ...
def crop(
    image: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    transforms: ArrayLike,
    input_size: tuple[int, int],
    mean: ArrayLike,
    std: ArrayLike,
    color: Literal["rgb", "bgr"],
    border: ArrayLike = (0, 0, 0),
    *,
    pictures: ArrayLike | None = None,
    dtype: Literal["float32", "float16", "uint8"] = "float32",
    layout: Literal["nchw", "nhwc"] = "nchw",
    flipped: bool = False,
    threads: int = 1,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def decode_heatmaps(
    heatmaps: NDArray[np.float32],
    transforms: ArrayLike,
    stride: float,
    mapping: Literal["plain", "half_pixel", "udp"] = "plain",
    refine: Literal["none", "quarter", "dark", "udp"] = "dark",
    kernel: int = 11,
    *,
    flipped: NDArray[np.float32] | None = None,
    flip_index: ArrayLike | None = None,
    shift_heatmap: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def group_keypoints(
    heatmaps: NDArray[np.float32],
    tags: NDArray[np.float32],
    transform: ArrayLike,
    joint_order: Sequence[int],
    *,
    max_persons: int = 30,
    detection_threshold: float = 0.1,
    tag_threshold: float = 1.0,
    use_detection_val: bool = True,
    ignore_too_much: bool = False,
    adjust: bool = True,
    refine: bool = True,
    nms_window: int = 5,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def letterbox(
    image: NDArray[np.uint8],
    input_size: tuple[int, int],
    mean: ArrayLike,
    std: ArrayLike,
    color: Literal["rgb", "bgr"],
    border: ArrayLike = (0, 0, 0),
    *,
    resize: Literal["letterbox", "letterbox_center", "stretch"] = "letterbox",
    dtype: Literal["float32", "float16", "uint8"] = "float32",
    layout: Literal["nchw", "nhwc"] = "nchw",
    threads: int = 1,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[np.float64]]: ...
def linear_assignment(cost: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
@overload
def simcc_bins_to_input(bins: float, split_ratio: float) -> float: ...
@overload
def simcc_bins_to_input(bins: ArrayLike, split_ratio: ArrayLike) -> NDArray[np.float64]: ...
@overload
def simcc_input_to_bins(inputs: float, split_ratio: float) -> float: ...
@overload
def simcc_input_to_bins(inputs: ArrayLike, split_ratio: ArrayLike) -> NDArray[np.float64]: ...
def decode_simcc(
    simcc_x: NDArray[np.float32],
    simcc_y: NDArray[np.float32],
    transforms: ArrayLike,
    split_ratio: float,
    score_rule: Literal["min", "mean", "max", "product"] = "min",
    temperature: float | None = None,
    *,
    refine: bool = False,
    flipped: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    flip_index: ArrayLike | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> NDArray[np.int64]: ...
def detections(
    boxes: ArrayLike, scores: ArrayLike, threshold: float, transform: ArrayLike, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def simd_levels() -> tuple[str, ...]: ...
def simd_level() -> str: ...
def use_simd(level: str) -> str: ...
def oks_matrix(
    poses: NDArray[np.float64],
    references: NDArray[np.float64],
    boxes: NDArray[np.float64],
    areas: NDArray[np.float64],
    sigmas: NDArray[np.float64],
) -> NDArray[np.float64]: ...
def oks_nms(
    poses: NDArray[np.float64],
    scores: NDArray[np.float64],
    areas: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    threshold: float,
) -> NDArray[np.int64]: ...
def soft_oks_nms(
    poses: NDArray[np.float64],
    scores: NDArray[np.float64],
    areas: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    threshold: float,
    decay: Literal["gaussian", "linear"],
    max_poses: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def keypoint_similarities(
    truth: NDArray[np.float64],
    areas: NDArray[np.float64],
    results: NDArray[np.float64],
    pairs: NDArray[np.int64],
    sigmas: list[float],
) -> NDArray[np.float64]: ...
def read_numbers(entries: list[Any], field: str, where: str) -> NDArray[np.float64]: ...
def read_lists(entries: list[Any], field: str, length: int, where: str) -> NDArray[np.float64]: ...

class KeypointMatches:
    def __init__(
        self,
        truth: tuple[NDArray[Any], ...],
        results: tuple[NDArray[Any], ...],
        cells: tuple[int, int],
        sigmas: list[float],
        thresholds: list[float],
        areas: list[tuple[float, float]],
        max_detections: int,
        threads: int,
    ) -> None: ...
    def precision(self, recalls: list[float], threads: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def samples(
        self, weights: NDArray[np.int32], recalls: list[float], threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    @property
    def rows(self) -> NDArray[np.int64]: ...
    @property
    def truth(self) -> NDArray[np.int64]: ...
    @property
    def positives(self) -> NDArray[np.int32]: ...
