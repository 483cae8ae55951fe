"""The form of a definition that is exported: equal at inference, without anything that can be computed beforehand."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .amfacpose import AdaptiveFeaturePyramid, CoordConv2d, SpatialChannelRefinement
from .hrnet import Upsample
from .layers import Pointwise, SizeBound

Size = tuple[int, int]  # height, width
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def fold(model: nn.Module, input_size: Size) -> nn.Module:
    """An evaluation-mode copy of `model` for pictures of `input_size` (height, width), fastest to run.

    Batch norms become part of the convolutions before them, coordinate channels become constant maps, gates and
    pyramid take their cheap order. Weights keep their names in the state_dict; batch norms turn into biases.
    """
    model = copy.deepcopy(model).eval()
    norms, shapes = trace(model, input_size)
    with torch.no_grad():
        for norm, convolution in norms.items():
            _fold_norm(model.get_submodule(convolution), _norm(model, norm))
            model.set_submodule(norm, nn.Identity())
        for name, module in list(model.named_modules()):
            if isinstance(module, CoordConv2d):
                model.set_submodule(name, MappedConv2d(module, shapes[name][0]))
            elif isinstance(module, SpatialChannelRefinement):
                model.set_submodule(name, FoldedRefinement(module))
            elif isinstance(module, AdaptiveFeaturePyramid):
                model.set_submodule(name, FoldedPyramid(module, shapes[name]))
            elif isinstance(module, Upsample):
                model.set_submodule(name, FoldedUpsample(module, *shapes[name]))
            elif isinstance(module, Pointwise):
                model.set_submodule(name, module.folded())
            elif isinstance(module, SizeBound):
                (module.size,) = shapes[name]
    return model.requires_grad_(False)


def unfold(weights: Mapping[str, Tensor], model: nn.Module, input_size: Size) -> dict[str, Tensor]:
    """The state_dict for `model` that folds into `weights`, the state_dict of a folded model of the same kind.

    Batch norms come back as identities that add the bias, coordinate weights as the least-squares solution for the
    constant maps, which is exact. Raises ValueError where a weight is missing or has another shape.
    """

    def take(name: str, shape: Sequence[int]) -> Tensor:
        value = weights.get(name)
        if value is None or value.numel() != math.prod(shape):
            got = "is missing" if value is None else f"has shape {tuple(value.shape)}"
            raise ValueError(f"weights: '{name}' {got}, expected shape {tuple(shape)}")
        return value.reshape(*shape)

    norms, shapes = trace(model, input_size)
    state = model.state_dict()
    found: dict[str, Tensor] = {}
    for norm, convolution in norms.items():
        shape = state[f"{convolution}.weight"].shape
        channels = len(state[f"{norm}.weight"])
        name = convolution.removesuffix(".conv")
        layer = model.get_submodule(name)
        if isinstance(layer, CoordConv2d):
            features = take(f"{convolution}.weight", (channels, shape[1] - 2, 3, 3))
            basis = coordinate_basis(CoordConv2d(0, channels, layer.conv.stride[0]), shapes[name][0])
            coordinates, bias = _unmap(take(f"{name}.map", (channels, *basis.shape[1:])), basis)
            found[f"{convolution}.weight"] = torch.cat((features, coordinates), 1)
            found[f"{name}.scale"], found[f"{name}.shift"] = torch.ones(2), torch.zeros(2)
        else:
            found[f"{convolution}.weight"] = take(f"{convolution}.weight", shape)
            bias = take(f"{convolution}.bias", (channels,))
        found[f"{norm}.weight"] = torch.full_like(bias, (1 + _norm(model, norm).eps) ** 0.5)
        found[f"{norm}.bias"] = bias
        found[f"{norm}.running_mean"], found[f"{norm}.running_var"] = torch.zeros_like(bias), torch.ones_like(bias)
        found[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return {name: found[name] if name in found else take(name, value.shape) for name, value in state.items()}


def trace(model: nn.Module, input_size: Size) -> tuple[dict[str, str], dict[str, list[Size]]]:
    """What one forward pass shows: batch norm -> the convolution before it, size-bound layer -> sizes of its inputs.

    Names are those of the submodules; the pass runs on the meta device.
    """
    norms: dict[str, str] = {}
    shapes: dict[str, list[Size]] = {}
    outputs: list[tuple[Tensor, str]] = []

    meta = copy.deepcopy(model).to("meta").eval()
    for name, module in meta.named_modules():

        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
                outputs.append((output, name))
            elif isinstance(module, CoordConv2d | SizeBound):
                shapes[name] = [_size(inputs[0])]
            elif isinstance(module, Upsample):
                shapes[name] = [_size(x) for x in inputs]
            elif isinstance(module, AdaptiveFeaturePyramid):
                shapes[name] = [_size(stage) for stage in inputs[0]]
            elif isinstance(module, Norm):
                for tensor, source in outputs:
                    if tensor is inputs[0]:
                        norms[name] = source

        module.register_forward_hook(after)
    with torch.no_grad():
        meta(torch.empty(1, 3, *input_size, device="meta"))
    return norms, shapes


def coordinate_basis(layer: CoordConv2d, size: Size) -> Tensor:
    """What each of the 18 coordinate weights of an output channel adds to it, for inputs of `size`.

    Float64 (18, H', W'). Zero padding is respected, so the border differs from the inside.
    """
    grid = copy.deepcopy(layer).double().coordinates(*size)
    taps = torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    maps = [functional.conv2d(axis[None, None], taps, stride=layer.conv.stride, padding=1)[0] for axis in grid]
    return torch.cat(maps)


class MappedConv2d(nn.Module):
    """CoordConv2d for one input size: a convolution over the features and a constant map (1, C, H', W')."""

    def __init__(self, source: CoordConv2d, size: Size) -> None:
        super().__init__()
        conv = source.conv
        self.conv = nn.Conv2d(conv.in_channels - 2, conv.out_channels, 3, conv.stride[0], 1, bias=False)
        self.conv.weight = nn.Parameter(conv.weight[:, :-2].clone())
        coordinates = conv.weight[:, -2:].double().flatten(1)
        added = torch.einsum("ct,thw->chw", coordinates, coordinate_basis(source, size))
        if conv.bias is not None:
            added += conv.bias.double()[:, None, None]
        self.map = nn.Parameter(added[None].to(conv.weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.conv(x) + self.map
        return mapped


class FoldedRefinement(nn.Module):
    """SCRM with its 1-D convolution as a 2-D one over (B, 1, C, 1), for which runtimes need no reshaping."""

    def __init__(self, source: SpatialChannelRefinement) -> None:
        super().__init__()
        self.channel = nn.Conv2d(1, 1, (3, 1), padding=(1, 0))
        self.channel.weight = nn.Parameter(source.channel.weight[..., None])
        self.channel.bias = source.channel.bias
        self.spatial = source.spatial

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1).transpose(1, 2)
        refined: Tensor = x * self.spatial(x).sigmoid() * self.channel(pooled).sigmoid().transpose(1, 2)
        return refined


class FoldedPyramid(AdaptiveFeaturePyramid):
    """AFPN for one input size: resizes before its 1x1 convolutions, by constant factors."""

    def __init__(self, source: AdaptiveFeaturePyramid, sizes: list[Size]) -> None:
        super().__init__(source.config, resize_first=True)
        self.lateral, self.dgcb, self.fuse = source.lateral, source.dgcb, source.fuse
        self.factors = [[_factor(*lengths) for lengths in zip(size, sizes[-1], strict=True)] for size in sizes]

    def _resize(self, level: int, x: Tensor, size: torch.Size) -> Tensor:
        factors = self.factors[level]
        return x if factors == [1, 1] else functional.interpolate(x, scale_factor=factors, mode="bilinear")


class FoldedUpsample(Upsample):
    """Upsample for one input size: no cut where the finer map is a multiple, else a constant one."""

    def __init__(self, source: Upsample, size: Size, wanted: Size) -> None:
        super().__init__(source.factor, source.mode)
        exact = wanted == (size[0] * self.factor, size[1] * self.factor)
        self.wanted = None if exact else wanted

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=float(self.factor), mode=self.mode)
        return x if self.wanted is None else x[..., : self.wanted[0], : self.wanted[1]]


def _factor(length: int, wanted: int) -> float:
    """The float32 nearest to wanted / length whose product with length does not fall below wanted."""
    factor = np.float32(wanted / length)
    while np.float32(length) * factor < wanted or length * float(factor) < wanted:
        factor = np.nextafter(factor, np.float32(2))
    return float(factor)


def _unmap(added: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinate weights (C, 2, 3, 3) and bias (C,) that make up a constant map (C, H', W')."""
    columns = torch.cat((basis, torch.ones_like(basis[:1]))).flatten(1).T
    # shifted ramps depend on each other: the smallest solution, so that float32 holds it
    solution = torch.linalg.lstsq(columns, added.double().flatten(1).T, rcond=1e-9, driver="gelsd").solution.T.float()
    return solution[:, :18].reshape(-1, 2, 3, 3), solution[:, 18]


def _size(x: Tensor) -> Size:
    return x.shape[2], x.shape[3]


def _norm(model: nn.Module, name: str) -> Norm:
    norm = model.get_submodule(name)
    assert isinstance(norm, Norm)
    return norm


def _fold_norm(convolution: nn.Module, norm: Norm) -> None:
    assert isinstance(convolution, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * scale
    if convolution.bias is not None:
        bias += convolution.bias.double() * scale
    axis = 1 if isinstance(convolution, nn.ConvTranspose2d) else 0  # of the output channels
    weight = convolution.weight.double() * scale.reshape(-1, *[1] * (convolution.weight.ndim - 1 - axis))
    convolution.weight = nn.Parameter(weight.to(convolution.weight.dtype))
    convolution.bias = nn.Parameter(bias.to(convolution.weight.dtype))
