"""AP of a PyTorch model on a COCO-format folder with ground-truth boxes, for choosing between checkpoints."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn

from leanpose import load_image, simcc_bins_to_input

from .augment import NONE, sample_transform, warp


class Benchmark:
    """The persons of one folder, cut out once for one input size."""

    def __init__(self, folder: Path, input_size: tuple[int, int]) -> None:
        annotations = folder / "annotations.json"
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth = COCO(str(annotations))
        rng = np.random.default_rng(0)
        self.persons, matrices, pictures = [], [], []
        by_picture: dict[int, list[dict[str, Any]]] = {}
        for annotation in json.loads(annotations.read_text())["annotations"]:
            if annotation["num_keypoints"] > 0:
                by_picture.setdefault(annotation["image_id"], []).append(annotation)
        for info in self.truth.loadImgs(sorted(by_picture)):
            image = load_image(folder / "images" / info["file_name"])
            for annotation in by_picture[info["id"]]:
                x, y, w, h = annotation["bbox"]
                box = np.array([x, y, x + w, y + h], np.float32)
                matrix = sample_transform(rng, NONE, box, np.zeros((17, 3), np.float32), input_size)
                matrices.append(matrix)
                pictures.append(warp(image, matrix, input_size)[..., ::-1])
                self.persons.append(info["id"])
        self.matrices, self.pictures = np.stack(matrices), torch.from_numpy(np.stack(pictures))

    @torch.no_grad()
    def average_precision(
        self, model: nn.Module, mean: torch.Tensor, std: torch.Tensor, split_ratio: int, temperature: float
    ) -> dict[str, float]:
        """AP, AP50 and AP75; the model takes normalised NCHW batches and gives SimCC logits."""
        device = mean.device
        results: list[dict[str, object]] = []
        for start in range(0, len(self.pictures), 64):
            batch = self.pictures[start : start + 64].to(device)
            logits = model(((batch - mean) / std).permute(0, 3, 1, 2))
            axes = [torch.softmax(axis.float() / temperature, -1).max(-1) for axis in logits]
            bins = torch.stack([axis.indices for axis in axes], -1).cpu().numpy()
            points = simcc_bins_to_input(bins, split_ratio)
            scores = torch.minimum(axes[0].values, axes[1].values).cpu().numpy()
            results += self._results(points, scores, start)
        return self._evaluate(results)

    def _results(self, points: NDArray[np.float64], scores: NDArray[np.float32], start: int) -> list[dict[str, object]]:
        out: list[dict[str, object]] = []
        for i, (xy, score) in enumerate(zip(points, scores, strict=True)):
            matrix = self.matrices[start + i]
            placed = np.concatenate((xy @ matrix[:, :2].T + matrix[:, 2], score[:, None]), 1)
            out.append(
                {
                    "image_id": self.persons[start + i],
                    "category_id": 1,
                    "keypoints": placed.reshape(-1).tolist(),
                    "score": float(score.mean()),
                }
            )
        return out

    def _evaluate(self, results: list[dict[str, object]]) -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.truth, self.truth.loadRes(results), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return dict(zip(("AP", "AP50", "AP75"), (float(v) for v in evaluation.stats[:3]), strict=True))
