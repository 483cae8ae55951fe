"""Reads other people's checkpoints without running anything that they hold.

`torch.load(weights_only=True)` builds tensors and plain containers and nothing else. What mmengine stores beside the
tensors, histories of losses above all, becomes inert objects; every other class or function is refused by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# What mmengine's checkpoints refer to beside tensors: module, names.
STUBBED = {
    "mmengine.logging.history_buffer": ("HistoryBuffer",),
    "builtins": ("getattr",),  # by which a HistoryBuffer names its methods
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),  # where numpy 2 has them
}
REFUSED = re.compile(r"GLOBAL ([\w.<>]+)")  # in torch's message
# As mmpose's configurations write it, width first: image_size=[192, 256] in 0.x, input_size=(192, 256) in 1.x.
RECORDED_SIZE = re.compile(r"\b(?:image_size|input_size)\s*=\s*[\[(]\s*(\d+)\s*,\s*(\d+)\s*[\])]")


class Inert:
    """Stands for an object of no interest: takes any arguments and any state, and keeps nothing."""

    def __new__(cls, *_: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary that a .pth file holds, its tensors on the CPU.

    Raises FileNotFoundError, and ValueError for a file that is damaged, is no dictionary, or refers to a class or
    function that is neither torch's own nor in STUBBED: nothing of these is imported or called.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    stubs: list[Any] = [
        type(name, (Inert,), {"__module__": module}) for module, names in STUBBED.items() for name in names
    ]
    try:
        with torch.serialization.safe_globals(stubs):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: a damaged pickle may fail at any instruction
        refused = REFUSED.search(str(error))
        if refused:
            raise ValueError(
                f"{path}: refers to '{refused[1]}', which is no tensor and was not loaded: expected a checkpoint of "
                "mmpose; save its state_dict alone with the software that wrote it"
            ) from None
        # of the pickle's own errors only the end, since torch begins with the advice to run what the file holds
        reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
        raise ValueError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: {reason}); expected a whole file of torch.save"
        ) from None
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path}: expected a dictionary of tensors, got {type(checkpoint).__name__}")
    return checkpoint


def state_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under `state_dict`, or of the dictionary itself; ValueError where an entry is something else."""
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, dict) or not state:
        raise ValueError("checkpoint: expected a dictionary of tensors, alone or under 'state_dict'")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(f"checkpoint: {name!r}: expected a tensor, got {type(value).__name__}")
        if value.layout != torch.strided or value.is_quantized or value.is_nested or value.device.type != "cpu":
            raise ValueError(f"checkpoint: {name!r}: expected a dense tensor, neither sparse nor quantised")
    return {name: value.detach() for name, value in state.items()}


def recorded_input_size(checkpoint: Mapping[str, Any]) -> tuple[int, int] | None:
    """The (height, width) in the configuration stored with the weights; None where it names none or several."""
    meta = checkpoint.get("meta")
    texts = [meta.get(key) for key in ("config", "cfg")] if isinstance(meta, dict) else []
    sizes = {found for text in texts if isinstance(text, str) for found in RECORDED_SIZE.findall(text)}
    if len(sizes) != 1:
        return None
    ((width, height),) = sizes
    return int(height), int(width)
