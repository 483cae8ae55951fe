"""The network: backbone, feature fusion, a head for each stride, and decoding inside the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..activations import EXP_LIMIT, Mish
from ..amfacpose import BasicBlock, SqueezeExcitation, separable
from ..hrnet import Upsample
from ..network import Network
from .objective import DetectionObjective

STRIDES = (8, 16, 32)
PRIOR = 0.01  # score of every cell before training, so that the many empty ones do not drown the others (FCOS, GFL)
FIRST_REACH = 2.0  # distance in cells from a cell to each side of its box before training


@dataclass(frozen=True)
class PersonDetectorConfig:
    """One detector."""

    input_size: tuple[int, int]  # height, width
    stem_width: int = 16  # at stride 2
    widths: tuple[int, int, int, int] = (40, 96, 192, 320)  # of the stages, at strides 4, 8, 16 and 32
    blocks: tuple[int, int, int, int] = (1, 2, 3, 2)  # basic blocks of each
    fused_width: int = 96


CONFIGS = {"person-detector-320x320": PersonDetectorConfig((320, 320))}


class PersonDetector(Network):
    """Picture batch (B, 3, H, W), grey levels / 255, to (B, 5, cells): centre, width and height in pixels, score.

    The form, the input and the names of the exported file are those of the SDK's family "yolov8".
    """

    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (255.0, 255.0, 255.0)
    config: PersonDetectorConfig
    centres: Tensor  # (2, cells) x, y in pixels, the edges of the first pixel at 0 and 1
    strides: Tensor  # (cells,) pixels per cell

    def __init__(self, config: PersonDetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _layer(nn.Conv2d(3, config.stem_width, 3, 2, 1, bias=False), config.stem_width)
        channels = config.stem_width
        self.stages = nn.ModuleList()
        for count, width in zip(config.blocks, config.widths, strict=True):
            blocks = [BasicBlock(width if i else channels, width, 1 if i else 2, scrm=False) for i in range(count)]
            self.stages.append(nn.Sequential(*blocks, SqueezeExcitation(width)))
            channels = width
        self.neck = FeatureFusion(config.widths[1:], config.fused_width)
        self.heads = nn.ModuleList(Head(config.fused_width) for _ in STRIDES)
        sizes = [(-(-config.input_size[0] // stride), -(-config.input_size[1] // stride)) for stride in STRIDES]
        self.counts = [rows * columns for rows, columns in sizes]  # cells of each stride
        centres = [_centres(*size) * stride for size, stride in zip(sizes, STRIDES, strict=True)]
        self.register_buffer("centres", torch.cat(centres, 1), persistent=False)
        strides = torch.tensor(STRIDES, dtype=torch.float32).repeat_interleave(torch.tensor(self.counts))
        self.register_buffer("strides", strides, persistent=False)

    @property
    def objective(self) -> DetectionObjective:
        return DetectionObjective(self.centres)

    @property
    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        return {"persons": (5, sum(self.counts))}

    def metadata(self, name: str) -> dict[str, str]:
        return {"names": str({0: "person"})}  # as Ultralytics' exports name their classes

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        centres, sizes, logits = self.decode(self.values(x))
        return (torch.cat((centres, sizes, logits.sigmoid()), 1),)

    def training_outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """Scores before the sigmoid (B, cells), and boxes (B, cells, 4) x1, y1, x2, y2 in pixels."""
        centres, sizes, logits = self.decode(self.values(x).float())  # boxes want more digits than bfloat16 has
        return logits[:, 0], torch.cat((centres - sizes / 2, centres + sizes / 2), 1).transpose(1, 2)

    def values(self, x: Tensor) -> Tensor:
        """(B, 5, cells) what `Head` gives for each cell, finest stride first, row by row."""
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        fused = self.neck(levels[1:])
        found = [
            head(level).reshape(-1, 5, count) for head, level, count in zip(self.heads, fused, self.counts, strict=True)
        ]
        return torch.cat(found, 2)

    def decode(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centres and sizes (B, 2, cells) in pixels, and scores before the sigmoid (B, 1, cells)."""
        reach = values[:, :4].clamp(max=EXP_LIMIT).exp() * self.strides
        before, after = reach[:, :2], reach[:, 2:]  # to the left and upper sides, and to the right and lower ones
        return self.centres + (after - before) / 2, before + after, values[:, 4:]


class FeatureFusion(nn.Module):
    """Maps of rising stride to maps of one width: coarse ones are added to finer ones, then finer ones to coarse ones.

    Path Aggregation Network, with separable convolutions.
    """

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_layer(nn.Conv2d(c, width, 1, bias=False), width) for c in widths)
        self.upsample = Upsample(2)
        self.down_path = nn.ModuleList(_layer(separable(width, width), width) for _ in widths[1:])
        self.reduce = nn.ModuleList(_layer(separable(width, width, 2), width) for _ in widths[1:])
        self.up_path = nn.ModuleList(_layer(separable(width, width), width) for _ in widths[1:])

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        maps = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for i in reversed(range(len(maps) - 1)):
            maps[i] = self.down_path[i](maps[i] + self.upsample(maps[i + 1], maps[i]))
        for i in range(len(maps) - 1):
            maps[i + 1] = self.up_path[i](maps[i + 1] + self.reduce[i](maps[i]))
        return maps


class Head(nn.Module):
    """One map to (B, 5, h, w): logarithms of the distances to the left, upper, right and lower sides in cells, score.

    Boxes and scores have layers of their own (FCOS).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.box_layers = nn.Sequential(*(_layer(separable(width, width), width) for _ in range(2)))
        self.score_layers = nn.Sequential(*(_layer(separable(width, width), width) for _ in range(2)))
        self.box, self.score = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 1, 1)
        for convolution, bias in ((self.box, math.log(FIRST_REACH)), (self.score, math.log(PRIOR / (1 - PRIOR)))):
            assert convolution.bias is not None
            nn.init.normal_(convolution.weight, std=0.01)
            nn.init.constant_(convolution.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.box(self.box_layers(x)), self.score(self.score_layers(x))), 1)


def _layer(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), Mish())


def _centres(rows: int, columns: int) -> Tensor:
    """(2, rows * columns) x, y of the middles of cells, in cells, row by row."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack((x.flatten(), y.flatten())) + 0.5
