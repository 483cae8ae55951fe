"""Parameters and multiply-accumulates of a network, counted as the papers' tables are."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .network import Network


@dataclass(frozen=True)
class Cost:
    """Parameters (without batch norm's running statistics) and multiply-accumulates of one picture."""

    parameters: int
    macs: int


def count(model: nn.Module, input_size: tuple[int, int]) -> Cost:
    """Counts convolutions, transposed ones (at their input positions), linear layers and products of one forward pass.

    Heads that are dropped after training do not count. Runs on the meta device: no memory is touched, so any size is
    quick. `input_size` is (height, width).
    """
    model = copy.deepcopy(model).to("meta").eval()
    if isinstance(model, Network):
        model.drop_training_parts()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, *input_size, device="meta"))
    return Cost(sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2)
