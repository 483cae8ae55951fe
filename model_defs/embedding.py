"""The objective of bottom-up networks: heatmaps of all persons, and tags alike for one and apart for two."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .objectives import Objective, gaussian_heatmaps


class EmbeddingObjective(Objective):
    """Mean squared error of the heatmaps and associative embedding of the tags.

    Newell, Huang, Deng: "Associative Embedding", NeurIPS 2017, https://arxiv.org/abs/1611.05424, with the pull and push
    terms as HigherHRNet takes them (Cheng et al., CVPR 2020): pull is the mean squared distance of a person's tags from
    their mean, push half the mean of exp(-d^2) over pairs of persons, d the distance of their mean tags.

    Args:
        input_size: height and width of the input.
        sigma: deviation of the target Gaussians in input pixels, the same at every resolution.
        tag_weight: factor of pull and push, HigherHRNet's unless given.
    """

    def __init__(self, input_size: tuple[int, int], sigma: float, tag_weight: float = 1e-3) -> None:
        super().__init__()
        self.input_size, self.sigma, self.tag_weight = input_size, sigma, tag_weight

    def forward(self, outputs: Sequence[Tensor], keypoints: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch: heatmaps (B, K, h, w), tags (B, K, h', w'), keypoints (B, P, K, 2), weights (B, P, K).

        P is the largest number of persons; the weights of those that a picture lacks are 0.
        """
        heatmaps, tags = (output.float() for output in outputs)
        targets = self.targets(heatmaps, keypoints.float(), weights > 0)
        pull, push = pull_and_push(*self.sample(tags, keypoints.float(), weights > 0))
        return ((heatmaps - targets) ** 2).mean() + self.tag_weight * (pull + push).mean()

    def targets(self, heatmaps: Tensor, keypoints: Tensor, known: Tensor) -> Tensor:
        """The largest Gaussian at each cell; cells lie at the centres of their pixels."""
        height, width = heatmaps.shape[-2:]
        scale = self.input_size[1] / width, self.input_size[0] / height
        cells = keypoints - (keypoints.new_tensor(scale) - 1) / 2
        targets = torch.zeros_like(heatmaps)
        for person in range(keypoints.shape[1]):  # one by one: all at once would not fit into memory
            maps = gaussian_heatmaps(cells[:, person], (height, width), scale, self.sigma / scale[0])
            targets = torch.maximum(targets, maps * known[:, person, :, None, None])
        return targets

    def sample(self, tags: Tensor, keypoints: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The tag under each keypoint, (B, P, K), and whether it has one: is known and inside the input."""
        height, width = tags.shape[-2:]
        lengths = keypoints.new_tensor((width, height))
        sides = keypoints.new_tensor(self.input_size[::-1])
        cells = ((keypoints + 0.5) * lengths / sides).floor()
        known = known & ((cells >= 0) & (cells < lengths)).all(-1)
        x, y = torch.where(known[..., None], cells, 0).long().unbind(-1)
        sampled = tags.flatten(2).gather(2, (y * width + x).transpose(1, 2)).transpose(1, 2)
        return sampled, known


def pull_and_push(tags: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Both terms of each picture, (B,), from the tags (B, P, K) of its persons; 0 where there is none to compare."""
    counts = known.sum(-1)
    mean = (tags * known).sum(-1) / counts.clamp(min=1)
    spread = ((tags - mean[..., None]) ** 2 * known).sum(-1) / counts.clamp(min=1)
    present = (counts > 0).to(tags.dtype)
    persons = present.sum(-1)
    pull = (spread * present).sum(-1) / persons.clamp(min=1)
    alike = torch.exp(-((mean[:, :, None] - mean[:, None]) ** 2)) * present[:, :, None] * present[:, None]
    pairs = persons * (persons - 1)
    push = 0.5 * (alike.sum((-2, -1)) - persons) / pairs.clamp(min=1)
    return pull, push
