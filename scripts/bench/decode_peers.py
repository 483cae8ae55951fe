"""Decoding as others do it: numpy, rtmlib and torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def numpy_simcc(x: Floats, y: Floats, transforms: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Argmax, scores and the mapping into the picture, for all persons at once."""
    inputs = np.stack((x.argmax(-1), y.argmax(-1)), -1) * 0.5
    scores = (x.max(-1) + y.max(-1)) * np.float32(0.5)
    xy = inputs @ transforms[:, :, :2].transpose(0, 2, 1) + transforms[:, None, :, 2]
    return xy.astype(np.float32), scores


def rtmlib_simcc(x: Floats, y: Floats, size: tuple[int, int]) -> Callable[[], object] | None:
    """rtmlib's RTMPose.postprocess, person by person; None where rtmlib is not installed."""
    if not find_spec("rtmlib"):
        return None
    from rtmlib.tools.pose_estimation.rtmpose import RTMPose

    tool: Any = object.__new__(RTMPose)
    tool.model_input_size = size[::-1]
    centre, scale = np.array([640.0, 360.0]), np.array([300.0, 400.0])
    persons = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    return lambda: [tool.postprocess(person, centre, scale) for person in persons]


def rtmlib_dark(heatmaps: Floats, size: tuple[int, int]) -> Callable[[], object] | None:
    """rtmlib's ViTPose.postprocess, person by person; it overwrites its input, so it gets a copy."""
    if not find_spec("rtmlib"):
        return None
    from rtmlib.tools.pose_estimation.vitpose import ViTPose

    tool: Any = object.__new__(ViTPose)
    tool.model_input_size = size[::-1]
    centre, scale = np.array([640.0, 360.0]), np.array([300.0, 400.0])
    persons = [heatmaps[i : i + 1] for i in range(len(heatmaps))]
    return lambda: [tool.postprocess([person.copy()], centre, scale) for person in persons]


def numpy_argmax(heatmaps: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The largest cell of each map, and its value."""
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    index = flat.argmax(-1)
    return index, np.take_along_axis(flat, index[..., None], -1)


def torch_max_pool(heatmaps: Floats) -> Callable[[], object] | None:
    """Block maxima by max pooling, then the winner's block, in torch on one thread; None where it is not installed."""
    if not find_spec("torch"):
        return None
    import torch

    torch.set_num_threads(1)
    maps = torch.from_numpy(heatmaps)

    def decode() -> Any:
        with torch.inference_mode():
            values, indices = torch.nn.functional.max_pool2d(maps, 16, return_indices=True)
            best = values.flatten(2).argmax(-1, keepdim=True)
            return indices.flatten(2).gather(-1, best)

    return decode
