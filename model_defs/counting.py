"""Parameters and multiply-accumulates of a network, counted as the papers' tables are."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Parameters (without batch norm's running statistics) and multiply-accumulates of one picture."""

    parameters: int
    macs: int


def count(model: nn.Module, input_size: tuple[int, int]) -> Cost:
    """Counts convolutions, transposed convolutions (at their input positions) and linear layers of one forward pass.

    Runs on the meta device: no memory is touched, so any size is quick. `input_size` is (height, width).
    """
    macs = 0

    def convolution(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        transposed = isinstance(module, nn.ConvTranspose2d)
        positions = inputs[0] if transposed else output
        macs += math.prod(positions.shape[2:]) * module.weight.numel()  # type: ignore[operator]

    def linear(module: nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        macs += output.numel() * module.in_features

    model = copy.deepcopy(model).to("meta").eval()
    hooks = []
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            hooks.append(module.register_forward_hook(convolution))
        elif isinstance(module, nn.Linear):
            hooks.append(module.register_forward_hook(linear))
    with torch.no_grad():
        model(torch.empty(1, 3, *input_size, device="meta"))
    for hook in hooks:
        hook.remove()
    return Cost(sum(p.numel() for p in model.parameters()), macs)
