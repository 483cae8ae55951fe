"""Weights in and out of a definition: training checkpoints, another input size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_defs.folding import Norm, unfold
from model_defs.network import Network
from model_defs.registry import POSE_CONFIGS, build


def read_weights(path: Path) -> dict[str, Tensor]:
    """Averaged weights of a training checkpoint, a state_dict (mmpose's too), or the weights of an exported .onnx file.

    Of a .pt file tensors alone are unpickled. An exported file, or its fp16 copy, has no batch norms: they come back as
    identities, see `restore_statistics`.
    """
    if path.suffix == ".onnx":
        return _read_onnx(path)
    state = _load(path)
    weights: dict[str, Tensor] = state.get("ema", state.get("state_dict", state))
    return weights


def read_input_size(path: Path) -> tuple[int, int] | None:
    """The (height, width) that weights were trained or exported at; None where the file does not say."""
    if path.suffix == ".onnx":
        import onnx

        _, _, height, width = _lengths(onnx.load(path).graph.input[0])
        return height, width
    size = _load(path).get("input_size")
    return None if size is None else (int(size[0]), int(size[1]))


def fit_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Loads weights that may come from another input size: linear layers that do not fit are resized or drawn anew.

    Biases and rows (bins) are interpolated, bin b going to b * new / old; where the flattened map changed its size, the
    layer starts again. What is not trained, as a position embedding made for the input size, stays the model's own.
    """

    def resize(bins: Tensor, length: int) -> Tensor:
        place = (torch.arange(length, device=bins.device) * len(bins) / length).clamp(max=len(bins) - 1)
        below = place.floor().long()
        above = (below + 1).clamp(max=len(bins) - 1)
        share = (place - below).reshape(-1, *[1] * (bins.ndim - 1))
        return torch.lerp(bins[below], bins[above], share)

    own = model.state_dict()
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    fitted = {}
    for name, value in weights.items():
        want = own[name].shape
        if value.shape == want:
            fitted[name] = value
        elif value.shape[1:] == want[1:] and name not in fixed:
            fitted[name] = resize(value, want[0])
        else:
            fitted[name] = own[name]
    model.load_state_dict(fitted)


@torch.no_grad()
def restore_statistics(model: nn.Module, images: Tensor) -> None:
    """Gives every batch norm the statistics of its input for `images` and undoes them in its weight and bias.

    In evaluation mode the outputs stay as they are; in training mode, where identities would lose the scale of what
    they normalise, they come close to that. For weights from an exported file.
    """

    def restore(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, Norm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0].transpose(0, 1).flatten(1), 1, correction=0)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_((mean - norm.running_mean) * scale)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    hooks = [module.register_forward_pre_hook(restore) for module in model.modules() if isinstance(module, Norm)]
    mode = model.training
    model.eval()(images)
    model.train(mode)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def settle(model: Network, images: Tensor, rounds: int = 3) -> None:
    """Gives batch norms the statistics of their inputs for `images`; the model is left in training mode."""
    for norm in (module for module in model.modules() if isinstance(module, Norm)):
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    model.train()
    for _ in range(rounds):
        model.training_outputs(images)


def _load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _read_onnx(path: Path) -> dict[str, Tensor]:
    import onnx

    graph = onnx.load(path).graph
    weights = {entry.name: torch.from_numpy(onnx.numpy_helper.to_array(entry).copy()) for entry in graph.initializer}
    weights = {name: value.float() if value.dtype == torch.float16 else value for name, value in weights.items()}
    _, _, height, width = _lengths(graph.input[0])
    changes: dict[str, Any] = {"input_size": (height, width)}
    if graph.name in POSE_CONFIGS:
        _, changes["num_keypoints"], *lengths = _lengths(graph.output[0])
        if len(lengths) == 1:  # SimCC, or heatmaps
            changes["split_ratio"] = lengths[0] // width
    model = build(graph.name, **changes)
    return unfold(weights, model, (height, width))


def _lengths(value: Any) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]
