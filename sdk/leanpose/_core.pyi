from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
def simd_levels() -> tuple[str, ...]: ...
def simd_level() -> str: ...
def use_simd(level: str) -> str: ...
