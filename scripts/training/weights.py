"""Weights in and out of a definition: training checkpoints, another input size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


def read_weights(path: Path) -> dict[str, Tensor]:
    """Averaged weights of a training checkpoint, or a plain state_dict; tensors alone are unpickled."""
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    averaged: dict[str, Tensor] = state.get("ema", state)  # type: ignore[assignment]
    return averaged


def fit_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Loads weights that may come from another input size: linear layers that do not fit are resized or drawn anew.

    Biases and rows (bins) are interpolated; where the flattened map changed its size, the layer starts again.
    """
    own = model.state_dict()
    fitted = {}
    for name, value in weights.items():
        want = own[name].shape
        if value.shape == want:
            fitted[name] = value
        elif value.ndim == 1:
            fitted[name] = functional.interpolate(value[None, None], size=want[0], mode="linear")[0, 0]
        elif value.shape[1] == want[1]:
            fitted[name] = functional.interpolate(value.T[None], size=want[0], mode="linear")[0].T
        else:
            fitted[name] = own[name]
    model.load_state_dict(fitted)
