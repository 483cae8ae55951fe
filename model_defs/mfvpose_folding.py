"""The form of MfvPose that is exported: equal at inference, in fewer and plainer operators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .mfvpose import EMBEDDING, EncoderLayer, HeatmapHead, HighResolutionFieldOfView, LayerScale, TokenEncoder


class Projection(nn.Module):
    """Linear layer over the last axis whose weight is stored as it is multiplied, (in, out).

    The bias is None, (out) or one for every token, (1, N, out).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.T.contiguous().float())
        self.bias = None if bias is None else nn.Parameter(bias.float())

    def forward(self, x: Tensor) -> Tensor:
        projected = x @ self.weight
        return projected if self.bias is None else projected + self.bias


class FoldedLayer(nn.Module):
    """EncoderLayer with the factor of attention and its scales in the weights.

    Args:
        source: the layer.
        count: N, how many tokens come in.
        offset: (1, N, D) that is added at the end, None for nothing: it becomes part of the last bias.
        kept: how many tokens, the first ones, come out.
    """

    def __init__(self, source: EncoderLayer, count: int, offset: Tensor | None, kept: int) -> None:
        super().__init__()
        attention = source.attention
        self.heads, self.count, self.kept = attention.heads, count, kept
        weight = attention.qkv.weight.double()
        q, k, v = weight.chunk(3)
        q = q * (EMBEDDING // self.heads) ** -0.5
        whole = kept == count
        self.qkv = Projection(torch.cat((q, k, v))) if whole else None
        self.query = None if whole else Projection(q)
        self.key_value = None if whole else Projection(torch.cat((k, v)))
        self.norm1, self.norm2 = source.norm1, source.norm2
        self.out = _scaled(attention.out, source.scale1)
        self.fc1 = Projection(source.fc1.weight, source.fc1.bias)
        self.fc2 = _scaled(source.fc2, source.scale2, offset)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        if self.qkv is not None:
            q, k, v = torch.split(self._by_head(self.qkv(y), self.count, 3), self.heads, 1)
        else:
            assert self.query is not None
            assert self.key_value is not None
            x = x[:, : self.kept]
            q = self._by_head(self.query(y[:, : self.kept]), self.kept, 1)
            k, v = torch.split(self._by_head(self.key_value(y), self.count, 2), self.heads, 1)
        attended = (q @ k.transpose(2, 3)).softmax(-1) @ v
        x = x + self.out(attended.transpose(1, 2).reshape(-1, self.kept, EMBEDDING))
        added: Tensor = x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return added

    def _by_head(self, x: Tensor, count: int, parts: int) -> Tensor:
        return x.reshape(-1, count, parts * self.heads, EMBEDDING // self.heads).transpose(1, 2)


class PadTokens(torch.autograd.Function):
    """Tokens (B, N, D) with `count` zeros before them; exported as one operator, where `pad` becomes a dozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> Tensor:
        return functional.pad(x, (0, 0, count, 0))

    @staticmethod
    def symbolic(g: Any, x: Any, count: int) -> Any:
        return g.op("Pad", x, g.op("Constant", value_t=torch.tensor([0, count, 0, 0, 0, 0])))


class FoldedEncoder(nn.Module):
    """TokenEncoder with tokens and positions as one constant and no work on patches that nothing reads."""

    def __init__(self, source: TokenEncoder) -> None:
        super().__init__()
        self.patches = source.patches
        position = source.position
        assert isinstance(position, Tensor)
        self.keypoints = source.tokens.shape[1]
        self.stage_depth = source.stage_depth
        self.start = nn.Parameter(torch.cat((source.tokens, position), 1))
        offset = torch.cat((torch.zeros_like(source.tokens), position), 1)
        count, depth = offset.shape[1], len(source.layers)
        layers = []
        for i, layer in enumerate(source.layers, 1):
            assert isinstance(layer, EncoderLayer)
            kept = self.keypoints if i == depth else count
            layers.append(FoldedLayer(layer, count, offset if i % self.stage_depth else None, kept))
        self.layers = nn.ModuleList(layers)

    def forward(self, features: Tensor) -> Tensor:
        patches = self.patches(features).reshape(-1, EMBEDDING, self.start.shape[1] - self.keypoints)
        # the tokens are added to zeros: repeating them for every picture would need the batch size in the graph
        x: Tensor = PadTokens.apply(patches.transpose(1, 2), self.keypoints) + self.start  # type: ignore[no-untyped-call]
        states = []
        for i, layer in enumerate(self.layers, 1):
            x = layer(x)
            if i == len(self.layers):
                states.append(x)
            elif i % self.stage_depth == 0:
                states.append(x[:, : self.keypoints])
        return torch.cat(states, 2) if len(states) > 1 else x


class FoldedHead(nn.Sequential):
    """HeatmapHead whose weights are stored as they are multiplied."""

    def __init__(self, source: HeatmapHead) -> None:
        super().__init__(
            *(Projection(layer.weight, layer.bias) if isinstance(layer, nn.Linear) else layer for layer in source)
        )


class FoldedField(nn.Module):
    """HRFOV after its batch norms: joins its inputs as the sum of two convolutions, without copying them together."""

    def __init__(self, source: HighResolutionFieldOfView) -> None:
        super().__init__()
        join = source.join[0]
        assert isinstance(join, nn.Conv2d)
        channels = join.out_channels
        self.low = nn.Conv2d(join.in_channels - channels, channels, 1, bias=False)
        self.high = nn.Conv2d(channels, channels, 1)
        self.low.weight = nn.Parameter(join.weight[:, :-channels].clone())
        self.high.weight = nn.Parameter(join.weight[:, -channels:].clone())
        self.high.bias = join.bias
        self.cascade = source.cascade

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        widened: Tensor = self.cascade((self.low(low) + self.high(high)).relu())
        return widened


def _scaled(linear: nn.Linear, scale: nn.Module, offset: Tensor | None = None) -> Projection:
    """The linear layer with its LayerScale, if it has one, and an offset (1, N, D) that is not scaled."""
    weight, bias = linear.weight.double(), linear.bias.double()
    if isinstance(scale, LayerScale):
        weight, bias = weight * scale.scale.double()[:, None], bias * scale.scale.double()
    return Projection(weight, bias if offset is None else bias + offset.double())
