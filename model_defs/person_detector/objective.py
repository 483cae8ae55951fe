"""The loss of detectors: which cells stand for which person, and what their boxes and scores should be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..objectives import Objective

# TOOD's m, alpha, beta and gamma, and the weight of its box loss
CANDIDATES = 13  # cells of each person at most
SCORE_POWER, OVERLAP_POWER = 1.0, 6.0  # of the alignment of score and box
FOCUS = 2.0  # power of a score's error that weighs it
BOX_WEIGHT = 2.0
_TINY = 1e-9


class DetectionObjective(Objective):
    """Task-aligned assignment, quality focal loss of the scores, GIoU loss of the boxes, as TOOD combines them.

    Args:
        centres: (2, cells) x, y of the cells in pixels, in the order of the outputs.
    """

    centres: Tensor

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres, persistent=False)

    def forward(self, outputs: Sequence[Tensor], labels: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            outputs: scores before the sigmoid (B, cells) and boxes (B, cells, 4) x1, y1, x2, y2.
            labels: boxes (B, P, 4) likewise, in pixels of the input, the edges of the first pixel at 0 and 1.
            weights: (B, P) 1 for a person; -1 for a region in which nobody knows, where cells that stand for no
                person learn nothing; 0 for what fills up, in the last rows.
        """
        rows = max(int((weights != 0).sum(1).max()), 1)
        labels, weights = labels[:, :rows].float(), weights[:, :rows]
        logits, boxes = outputs[0].float(), outputs[1].float()
        scores = logits.sigmoid()
        inside = contains(labels, self.centres)
        person, target = assign(scores.detach(), boxes.detach(), labels, inside & (weights > 0)[..., None])
        unknown = (inside & (weights < 0)[..., None]).any(1) & (target == 0)
        entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        score_loss = ((target - scores).abs() ** FOCUS * entropy * ~unknown).sum()
        wanted = labels.gather(1, person[..., None].expand(-1, -1, 4))
        box_loss = ((1 - overlap(boxes, wanted, generalised=True)) * target).sum()
        loss: Tensor = (score_loss + BOX_WEIGHT * box_loss) / target.sum().clamp(min=1)
        return loss


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, persons: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """The person (B, cells) that each cell stands for, and the score (B, cells) it should have, 0 for nobody.

    A cell may stand for persons whose box it lies in: the CANDIDATES best of each, by score and overlap together. Of
    several persons it takes the one it overlaps most. The best cell of a person should score as high as the best
    overlap with that person, the others in proportion.

    Args:
        scores: (B, cells) from 0 to 1.
        boxes: (B, cells, 4) x1, y1, x2, y2.
        persons: (B, P, 4) likewise.
        inside: (B, P, cells) whether a cell may stand for a person.
    """
    overlaps = overlap(persons[:, :, None], boxes[:, None]) * inside
    aligned = scores[:, None] ** SCORE_POWER * overlaps**OVERLAP_POWER
    best = aligned.topk(min(CANDIDATES, aligned.shape[-1]), dim=-1).indices
    chosen = torch.zeros_like(inside).scatter(-1, best, True) & inside
    person = (overlaps * chosen).argmax(1)
    chosen &= functional.one_hot(person, persons.shape[1]).transpose(1, 2).bool()
    aligned, overlaps = aligned * chosen, overlaps * chosen
    highest = aligned.amax(-1, keepdim=True).clamp(min=torch.finfo(aligned.dtype).tiny)
    return person, (aligned / highest * overlaps.amax(-1, keepdim=True)).amax(1)


def contains(boxes: Tensor, points: Tensor) -> Tensor:
    """(B, P, n): which of the points (2, n) lie inside the boxes (B, P, 4) x1, y1, x2, y2."""
    low, high = boxes[..., :2, None], boxes[..., 2:, None]
    return ((points > low) & (points < high)).all(2)


def overlap(first: Tensor, second: Tensor, generalised: bool = False) -> Tensor:
    """Intersection over union of boxes (..., 4) x1, y1, x2, y2, pair by pair.

    Generalised, it is less by the share that neither box covers of the smallest box around both, down to -1.
    """
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    ratio = shared / union.clamp(min=_TINY)
    if not generalised:
        return ratio
    around = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    hull = around.prod(-1)
    return ratio - (hull - union) / hull.clamp(min=_TINY)
