"""AP50 and recall of a PyTorch detector on a COCO-format folder, for choosing between checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detection_scoring import Results, load_persons
from leanpose import _core, load_image

from .scenes import BORDER, FAMILY

LEAST_SCORE = 0.01  # of boxes that are looked at
SUPPRESSION = 1.0 if FAMILY.nms is None else FAMILY.nms  # overlap from which on the better of two boxes stays
BATCH = 32


class DetectionBenchmark:
    """The pictures of one folder, brought to one input size once, as inference brings them there."""

    def __init__(self, folder: Path, input_size: tuple[int, int]) -> None:
        pictures, self.transforms, self.sizes = [], [], []
        labels = load_persons(folder)
        self.persons = [persons for _, persons in labels]
        for path, _ in labels:
            image = load_image(path)
            normalization, border = ((0, 0, 0), (1, 1, 1)), (BORDER, BORDER, BORDER)
            picture, transform = _core.letterbox(
                image, input_size, *normalization, FAMILY.color, border, resize=FAMILY.resize, dtype="uint8"
            )
            pictures.append(picture)
            self.transforms.append(transform)
            self.sizes.append((image.shape[1], image.shape[0]))
        self.pictures = torch.from_numpy(np.concatenate(pictures))

    def statistics(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """AP50, and the recall at one false box per picture with the score from which on boxes count for it.

        The model takes batches of grey levels / 255 and gives (B, 5, cells) centre, size and score.
        """
        results = Results.of(self._found(model, device), self.persons)
        recall, score = results.recall()
        return {"AP50": results.average_precision(), "recall": recall, "score": score}

    @torch.no_grad()
    def _found(
        self, model: nn.Module, device: torch.device
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for start in range(0, len(self.pictures), BATCH):
            batch = self.pictures[start : start + BATCH].to(device).float() / 255
            (outputs,) = model(batch)
            for index, rows in enumerate(outputs.float().cpu().numpy().transpose(0, 2, 1), start):
                kept = rows[rows[:, 4] > LEAST_SCORE]
                corners = np.concatenate((kept[:, :2] - kept[:, 2:4] / 2, kept[:, :2] + kept[:, 2:4] / 2), 1)
                transform, size = self.transforms[index], self.sizes[index]
                yield _core.detections(corners, kept[:, 4], SUPPRESSION, transform, *size)
