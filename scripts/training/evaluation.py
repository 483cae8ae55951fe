"""AP of a PyTorch model on a COCO-format folder with ground-truth boxes, for choosing between checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from leanpose import COCO17, Poses, SimCC, _core, load_image
from leanpose.codecs import Codec
from model_defs.inputs import MEAN, PADDING, STD
from scoring import STATISTICS, load_truth, score


class Benchmark:
    """The persons of one folder, cut out once for one input size, as inference cuts them out."""

    def __init__(
        self, folder: Path, input_size: tuple[int, int], codec: Codec, transform: Literal["plain", "udp"] = "plain"
    ) -> None:
        # the rule and temperature that calibrate.py found; they rank persons
        self.codec = replace(codec, score_rule="mean", temperature=0.02) if isinstance(codec, SimCC) else codec
        self.truth = load_truth(folder)
        self.persons: list[tuple[int, list[float]]] = []  # picture and box
        crops, transforms = [], []
        for picture in self.truth.persons:
            boxes = self.truth.boxes(picture)
            image = load_image(folder / "images" / self.truth.images[picture]["file_name"])
            transforms.append(_core.crop_transforms(boxes, input_size, PADDING, transform))
            crops.append(_core.crop(image, transforms[-1], input_size, MEAN, STD, "rgb"))
            self.persons += [(picture, box) for box in boxes]
        self.crops, self.transforms = torch.from_numpy(np.concatenate(crops)), np.concatenate(transforms)

    def statistics(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """COCO's; the model takes normalised batches and gives what the codec decodes."""
        statistics = score(self.truth, self.results(model, device), resamplings=0)
        return {name: statistics[name] for name in STATISTICS}

    @torch.no_grad()
    def results(self, model: nn.Module, device: torch.device) -> list[dict[str, Any]]:
        """What the model finds, as COCO results in the order of `persons`."""
        results: list[dict[str, Any]] = []
        for start in range(0, len(self.crops), 64):
            part = slice(start, start + 64)
            outputs = [output.float().cpu().numpy() for output in model(self.crops[part].to(device))]
            decoded = self.codec.decode(outputs, self.transforms[part])
            pictures, boxes = zip(*self.persons[part], strict=True)
            ones = np.ones(len(boxes), np.float32)
            poses = Poses(decoded.xy, decoded.scores, np.array(boxes, np.float32), ones, COCO17)
            results += [
                entry for person, picture in zip(poses, pictures, strict=True) for entry in person.to_coco(picture)
            ]
        return results
