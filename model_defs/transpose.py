"""TransPose-R: keypoint localization via transformer.

Yang, Quan, Nie, Yang, ICCV 2021, https://arxiv.org/abs/2012.14214. Parameters are named as in the authors' code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .resnet import ResNet

WIDTH = 256  # d of the paper
HIDDEN_WIDTH = 1024
HEADS = 8
DROPOUT = 0.1
STRIDE = 8


class SelfAttention(nn.Module):
    """Multi-head attention over tokens (B, N, C), with the parameters of torch.nn.MultiheadAttention."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.channels = heads, channels
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, placed: Tensor, tokens: int) -> Tensor:
        """Values from `x`, queries and keys from `placed`, which has the position embedding added."""
        shape = (-1, tokens, self.heads, self.channels // self.heads)

        def project(x: Tensor, part: int) -> Tensor:
            rows = slice(part * self.channels, (part + 1) * self.channels)
            return functional.linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows]).reshape(shape)

        q, k, v = (project(source, i).transpose(1, 2) for i, source in enumerate((placed, placed, x)))
        weights = (q @ k.transpose(2, 3) * shape[-1] ** -0.5).softmax(-1)
        mixed = (self.dropout(weights) @ v).transpose(1, 2).reshape(-1, tokens, self.channels)
        projected: Tensor = self.out_proj(mixed)
        return projected


class EncoderLayer(nn.Module):
    """Attention and feed-forward network, each followed by its residual sum and layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = SelfAttention(WIDTH, HEADS)
        self.linear1 = nn.Linear(WIDTH, HIDDEN_WIDTH)
        self.linear2 = nn.Linear(HIDDEN_WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, position: Tensor, tokens: int) -> Tensor:
        x = self.norm1(x + self.dropout(self.self_attn(x, x + position, tokens)))
        hidden = self.linear2(self.dropout(self.linear1(x).relu()))
        normed: Tensor = self.norm2(x + self.dropout(hidden))
        return normed


def sine_embedding(height: int, width: int, channels: int) -> Tensor:
    """(height * width, 1, channels): sines and cosines of y in the first half of the channels, of x in the second.

    Rows and columns count from 1 and reach 2 pi at the last one; wavelengths grow geometrically up to 10000.
    """
    half = channels // 2
    wavelength = 10000 ** (2 * (torch.arange(half) // 2) / half)

    def waves(length: int) -> Tensor:
        place = torch.arange(1, length + 1) / (length + 1e-6) * 2 * math.pi
        angles = place[:, None] / wavelength
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), -1).flatten(1)

    y = waves(height)[:, None].expand(height, width, half)
    x = waves(width)[None].expand(height, width, half)
    return torch.cat((y, x), -1).reshape(height * width, 1, channels)


class Encoder(nn.Module):
    """Layers that each see the position embedding; weights start as the authors' do."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(layers))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, position: Tensor, tokens: int) -> Tensor:
        for layer in self.layers:
            x = layer(x, position, tokens)
        return x


class TransPoseR(ResNet):
    """The first two stages of ResNet-50 and an encoder over their map, at strides 4 and 8.

    Picture batch (B, 3, H, W) to the first stage (B, 256, H / 4, W / 4), the map that the encoder reads and the encoded
    one, both (B, 256, H / 8, W / 8), sides rounded up.

    Args:
        input_size: height and width; the position embedding, fixed but part of the state_dict, is made for it.
        layers: encoder layers, 4 for TransPose-R-A4.
    """

    def __init__(self, input_size: tuple[int, int], layers: int = 4) -> None:
        super().__init__((3, 4))
        self.reduce = nn.Conv2d(self.widths[-1], WIDTH, 1, bias=False)
        self.widths, self.strides = (self.widths[0], WIDTH, WIDTH), (4, STRIDE, STRIDE)
        self.map = (-(-input_size[0] // STRIDE), -(-input_size[1] // STRIDE))
        self.pos_embedding = nn.Parameter(sine_embedding(*self.map, WIDTH), requires_grad=False)
        self.global_encoder = Encoder(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine, coarse = super().forward(x)
        coarse = self.reduce(coarse)
        height, width = self.map
        tokens = coarse.reshape(-1, WIDTH, height * width).transpose(1, 2)
        tokens = self.global_encoder(tokens, self.pos_embedding.transpose(0, 1), height * width)
        return [fine, coarse, tokens.transpose(1, 2).reshape(-1, WIDTH, height, width)]
