"""Heads of SRPose: the simple one that it is compared with and the super-resolution head (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hrnet import Upsample
from ..layers import Pointwise

WIDTHS = (256, 128, 64, 32)  # of M5 to M2, the maps at strides 32, 16, 8, 4
REFINED_WIDTHS = WIDTHS[1:]  # M4, M3, M2
EMBEDDINGS = (16, 8, 4, 4)  # channels per keypoint
DECONVOLUTION_WIDTH = 256
REFINEMENTS = 2  # residual blocks of each
EXPANSION = 4


class Deconvolutions(nn.Sequential):
    """SimpleBaseline's upsampling: `count` transposed convolutions of kernel 4, each with batch norm and ReLU.

    `size` is the height and width wanted: a coarse map may reach beyond the picture by part of a cell, and is cut.
    """

    def __init__(self, in_channels: int, count: int, size: tuple[int, int]) -> None:
        layers: list[nn.Module] = []
        for i in range(count):
            channels = DECONVOLUTION_WIDTH if i else in_channels
            layers += [
                nn.ConvTranspose2d(channels, DECONVOLUTION_WIDTH, 4, 2, 1, bias=False),
                nn.BatchNorm2d(DECONVOLUTION_WIDTH),
                nn.ReLU(),
            ]
        super().__init__(*layers)
        self.width = DECONVOLUTION_WIDTH if count else in_channels
        self.cut = size if any(side % 2**count for side in size) else None

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x if self.cut is None else x[..., : self.cut[0], : self.cut[1]]


def keypoint_encoder(in_channels: int, keypoints: int, embedding: int) -> nn.Sequential:
    """`embedding` channels for each keypoint (equation 2)."""
    return nn.Sequential(nn.Conv2d(in_channels, keypoints * embedding, 1), nn.ReLU())


def keypoint_convolution(keypoints: int, embedding: int, kernel: int, ratio: int) -> nn.Conv2d:
    """ratio**2 maps for each keypoint, from its own embedding (equation 3)."""
    maps = keypoints * ratio**2
    return nn.Conv2d(keypoints * embedding, maps, kernel, padding=kernel // 2, groups=keypoints)


def shuffle(maps: Tensor, ratio: int) -> Tensor:
    """The maps of each keypoint interleaved into one of `ratio` times the size (equation 4)."""
    return maps if ratio == 1 else functional.pixel_shuffle(maps, ratio)


class SimpleHead(nn.Module):
    """Deconvolutions where the backbone needs them and a 1x1 convolution: heatmaps at stride 4."""

    def __init__(self, deconvs: Deconvolutions, maps: int) -> None:
        super().__init__()
        self.deconv_layers = deconvs
        self.final_layer = nn.Conv2d(deconvs.width, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        heatmaps: Tensor = self.final_layer(self.deconv_layers(x))
        return heatmaps


class SRHead(nn.Module):
    """Keypoint encoder, one large-kernel convolution per keypoint and pixel shuffle, with tags for bottom-up nets.

    Args:
        deconvs: what brings the backbone's map to stride 4.
        keypoints: heatmaps.
        ratio: side of the heatmaps over that of the map at stride 4.
        tags: whether a 1x1 convolution gives an associative embedding at stride 4 (equation 6).
    """

    def __init__(self, deconvs: Deconvolutions, keypoints: int, ratio: int, tags: bool = False) -> None:
        super().__init__()
        self.ratio = ratio
        self.deconv_layers = deconvs
        self.kp_encoder = keypoint_encoder(deconvs.width, keypoints, EMBEDDINGS[-1])
        self.heatmap_head = keypoint_convolution(keypoints, EMBEDDINGS[-1], 9, ratio)
        self.tag_head = nn.Conv2d(deconvs.width, keypoints, 1) if tags else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Heatmaps (B, K, ratio * h, ratio * w) and, with `tags`, tags (B, K, h, w)."""
        x = self.deconv_layers(x)
        heatmaps = shuffle(self.heatmap_head(self.kp_encoder(x)), self.ratio)
        return (heatmaps,) if self.tag_head is None else (heatmaps, self.tag_head(x))


class Refinement(nn.Module):
    """Residual block: depthwise 7x7, batch norm and a pointwise expansion with GELU (ConvNeXt's, CVPR 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.BatchNorm2d(channels)
        self.pwconv1 = Pointwise(channels, EXPANSION * channels)
        self.pwconv2 = Pointwise(EXPANSION * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        expanded = functional.gelu(self.pwconv1(self.norm(self.dwconv(x))))
        refined: Tensor = x + self.pwconv2(expanded)
        return refined


class KeypointConvolution(nn.Module):
    """`keypoint_convolution` and `shuffle`; the convolution's parameters are named `conv`."""

    def __init__(self, keypoints: int, embedding: int, kernel: int, ratio: int) -> None:
        super().__init__()
        self.conv = keypoint_convolution(keypoints, embedding, kernel, ratio)
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        return shuffle(self.conv(x), self.ratio)


class CoarseToFineHead(nn.Module):
    """SRPose's neck and heads: heatmaps from the low-resolution ones and the backbone's features.

    Args:
        in_channels: of the features, coarsest first: four, or three where there is no M5.
        strides: of the features, 32, 16, 8, 4 as a rule.
        keypoints: heatmaps.
        kernels: of the keypoint convolutions of M5, M4, M3, M2 (table 6).
        ratio: of the last head's pixel shuffle, 4 k (table 3); the other heads shuffle to stride 4.
    """

    def __init__(
        self, in_channels: Sequence[int], strides: Sequence[int], keypoints: int, kernels: Sequence[int], ratio: int
    ) -> None:
        super().__init__()
        levels = len(in_channels)
        widths, embeddings = WIDTHS[-levels:], EMBEDDINGS[-levels:]
        steps = list(pairwise(widths))
        self.factors = [coarse // fine for coarse, fine in pairwise(strides)]
        self.first_refined = levels - len(REFINED_WIDTHS)
        self.lr_head = nn.Sequential(nn.Conv2d(in_channels[0], keypoints, 1), nn.ReLU())
        self.lr_fuse = nn.Sequential(nn.Conv2d(keypoints, widths[0], 1), nn.ReLU())
        self.pre_fuse = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width), nn.ReLU())
            for channels, width in zip(in_channels, widths, strict=True)
        )
        self.pre_interpolate = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(coarse, coarse, 3, padding=1, groups=coarse),
                nn.Conv2d(coarse, fine, 1),
                nn.BatchNorm2d(fine),
                nn.ReLU(),
            )
            for coarse, fine in steps
        )
        self.upsample = nn.ModuleList(Upsample(factor) if factor > 1 else nn.Identity() for factor in self.factors)
        self.fuse = nn.ModuleList(nn.Conv2d(2 * fine, fine, 1) for _, fine in steps)
        self.post_fuse = nn.ModuleList(
            nn.Sequential(*(Refinement(width) for _ in range(REFINEMENTS))) for width in REFINED_WIDTHS
        )
        self.kp_encoder = nn.ModuleList(
            keypoint_encoder(width, keypoints, embedding) for width, embedding in zip(widths, embeddings, strict=True)
        )
        ratios = [*(stride // strides[-1] for stride in strides[:-1]), ratio]
        self.converge = nn.ModuleList(
            KeypointConvolution(keypoints, embedding, kernel, r)
            for embedding, kernel, r in zip(embeddings, kernels[-levels:], ratios, strict=True)
        )

    def drop_training_parts(self) -> None:
        """Removes all heads but the last, and leaves their places empty so that its name stays."""
        for heads in (self.kp_encoder, self.converge):
            for i in range(len(heads) - 1):
                heads[i] = nn.Identity()

    def neck(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The low-resolution heatmaps and M5, M4, M3, M2 (equation 5), from the coarsest feature to the finest."""
        low: Tensor = self.lr_head(features[0])
        maps: list[Tensor] = []
        for i, feature in enumerate(features):
            own = self.pre_fuse[i](feature)
            fused = self.fused(i - 1, maps[-1], own) if i else own + self.lr_fuse(low)
            maps.append(self.post_fuse[i - self.first_refined](fused) if i >= self.first_refined else fused)
        return low, maps

    def fused(self, step: int, coarse: Tensor, own: Tensor) -> Tensor:
        """The fuse module (figure 3b) without its residual blocks."""
        above = self.pre_interpolate[step](coarse)
        if self.factors[step] > 1:
            above = self.upsample[step](above, own)
        reduced: Tensor = self.fuse[step](torch.cat((above, own), 1))
        return reduced

    def head(self, level: int, feature: Tensor) -> Tensor:
        heatmaps: Tensor = self.converge[level](self.kp_encoder[level](feature))
        return heatmaps

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The last head's heatmaps alone."""
        return self.head(-1, self.neck(features)[1][-1])

    def training_outputs(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Low-resolution heatmaps, those of M5, M4 and M3 at a quarter of the input, and those of M2."""
        low, maps = self.neck(features)
        height, width = features[-1].shape[2:]  # a coarse map may reach beyond the picture by part of a cell
        inner = [self.head(i, feature)[..., :height, :width] for i, feature in enumerate(maps[:-1])]
        return low, *inner, self.head(-1, maps[-1])
