"""ResNet-50 as a backbone for poses: He, Zhang, Ren, Sun, CVPR 2016, https://arxiv.org/abs/1512.03385.

Parameters are named as in torchvision and mmpose 0.x, whose checkpoints load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .hrnet import Bottleneck

RESNET50 = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)  # of the 3x3 convolutions; a stage's output has four times as many channels
STEM_WIDTH = 64


class ResNet(nn.Module):
    """Picture batch (B, 3, H, W) to the output of each stage, (B, 256 * 2**i, H / 2**(i + 2), W / 2**(i + 2)).

    Args:
        blocks: bottlenecks of each stage; fewer than four numbers end it early.
    """

    def __init__(self, blocks: Sequence[int] = RESNET50) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_WIDTH, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.depth = len(blocks)
        self.strides: tuple[int, ...] = (4, 8, 16, 32)[: self.depth]
        self.widths = tuple(width * Bottleneck.expansion for width in WIDTHS[: self.depth])
        channels = STEM_WIDTH
        for i, count in enumerate(blocks):
            stage = []
            for j in range(count):
                stage.append(Bottleneck(channels, WIDTHS[i], 2 if i and not j else 1))
                channels = self.widths[i]
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        levels = []
        for i in range(self.depth):
            x = self.get_submodule(f"layer{i + 1}")(x)
            levels.append(x)
        return levels
