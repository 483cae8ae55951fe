"""Heatmaps decoded inside the network, so that coordinates alone leave the device (SRPose, section 3.3)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanpose import Heatmap
from leanpose.codecs import Keypoints

from .network import PoseNetwork
from .objectives import Objective

BLOCK = 16  # side in cells, by the ablation of figure 7


class HeatmapDecoder(nn.Module):
    """Heatmaps (B, K, h, w) to input pixels (B, K, 2) and scores (B, K), as the SDK's codec decodes them.

    The largest of the block maxima is found first, then its place among the cells of that block (equations 8 to 10).
    The paper takes that place from the indices of the max-pooling, which TensorRT does not give; here the cells of the
    one block are gathered instead. Of equal maxima the one in the first block counts.

    Args:
        codec: how the heatmaps are decoded otherwise; its refinement and mapping hold here too.
        num_keypoints: K.
        input_size: height and width of the input.

    Raises ValueError for a refinement other than "none" and "quarter".
    """

    origins: Tensor  # (blocks, 2) x, y of the first cell of each block
    offsets: Tensor  # (cells, 2) x, y of each cell of a block, from its first
    steps: Tensor  # (2,) from a cell's index in the map to that of its neighbour along x and y
    scale: Tensor
    shift: Tensor

    def __init__(self, codec: Heatmap, num_keypoints: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        if codec.refine not in ("none", "quarter"):
            raise ValueError(f"codec: decoding in the graph refines by 'none' or 'quarter', got {codec.refine!r}")
        ((self.keypoints, self.height, self.width),) = codec.expected_shapes(num_keypoints, input_size).values()
        self.quarter = codec.refine == "quarter"
        self.block = min(BLOCK, self.height), min(BLOCK, self.width)
        # the last block of a side that 16 does not divide starts earlier: it holds what it should, and more
        starts = [
            torch.arange(0, side, block).clamp(max=side - block)
            for side, block in zip((self.height, self.width), self.block, strict=True)
        ]
        scale, shift = _affine(codec, input_size, (self.height, self.width))
        for name, value in (
            ("origins", _grid(*starts)),
            ("offsets", _grid(*(torch.arange(side) for side in self.block))),
            ("steps", torch.tensor((1, self.width))),
            ("scale", torch.tensor(scale, dtype=torch.float32)),
            ("shift", torch.tensor(shift, dtype=torch.float32)),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        uneven = bool(self.height % self.block[0] or self.width % self.block[1])
        maxima = functional.max_pool2d(heatmaps, self.block, ceil_mode=uneven)
        values = heatmaps.reshape(-1, self.keypoints, self.height * self.width)
        origin = self.origins[maxima.reshape(-1, self.keypoints, self.origins.shape[0]).argmax(-1)]
        cells = values.gather(2, (origin * self.steps).sum(-1, keepdim=True) + (self.offsets * self.steps).sum(-1))
        xy = origin + self.offsets[cells.argmax(-1)]
        place = xy.to(heatmaps.dtype)
        if self.quarter:
            place = place + self.quarter_shift(values, xy)
        return place * self.scale + self.shift, cells.amax(-1)

    def quarter_shift(self, values: Tensor, xy: Tensor) -> Tensor:
        """A quarter of a cell towards the larger neighbour on each axis, nothing at the border and beside the first."""
        index = (xy * self.steps).sum(-1, keepdim=True)
        first, last = torch.zeros_like(self.steps), torch.full_like(self.steps, self.height * self.width - 1)
        after = values.gather(2, torch.minimum(index + self.steps, last))
        before = values.gather(2, torch.maximum(index - self.steps, first))
        x, y = xy[..., :1], xy[..., 1:]
        inside = (x > 1) & (x < self.width - 1) & (y > 1) & (y < self.height - 1)
        return (after - before).sign() * inside.to(values.dtype) * 0.25


def _grid(rows: Tensor, columns: Tensor) -> Tensor:
    """(rows * columns, 2) all pairs x, y in row-major order."""
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), -1)


def _affine(
    codec: Heatmap, input_size: tuple[int, int], cells: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Scale and shift of x and y from cells to input pixels."""
    if codec.mapping == "udp":
        x, y = ((side - 1) / max(count - 1, 1) for side, count in zip(input_size[::-1], cells[::-1], strict=True))
        return (x, y), (0.0, 0.0)
    shift = (codec.stride - 1) / 2 if codec.mapping == "half_pixel" else 0.0
    return (codec.stride, codec.stride), (shift, shift)


class DecodedInGraph(PoseNetwork):
    """A network whose heatmaps are decoded inside; its parameters keep their names under `network`."""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        codec = network.codec
        if not isinstance(codec, Heatmap):
            raise ValueError(f"model: only heatmaps are decoded in the graph, its codec is '{codec.type}'")
        self.config, self.network = network.config, network
        self.transform = network.transform  # type: ignore[misc]
        self.decoder = HeatmapDecoder(codec, network.config.num_keypoints, network.config.input_size)

    @property
    def codec(self) -> Keypoints:
        return Keypoints(self.config.input_size)

    @property
    def objective(self) -> Objective:
        return self.network.objective

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        (heatmaps,) = self.network(x)
        decoded: tuple[Tensor, ...] = self.decoder(heatmaps)
        return decoded

    def training_outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.network.training_outputs(x)

    def folded(self) -> nn.Module:
        folded = copy.copy(self)
        folded._modules = {"network": self.network.folded(), "decoder": self.decoder}
        return folded.eval()
