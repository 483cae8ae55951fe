"""COCO keypoint AP of results, and how sure it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanpose.evaluation import GroundTruth, evaluate_coco, load_ground_truth
from training.annotations import labelled_persons

STATISTICS = ("AP", "AP50", "AP75", "APm", "APl", "AR")


@dataclass(frozen=True)
class Truth:
    """The annotations of a COCO-format folder, by picture in rising order of ids."""

    columns: GroundTruth
    images: dict[int, dict[str, Any]]
    persons: dict[int, list[dict[str, Any]]]  # those with keypoints; pictures without any are left out

    def boxes(self, picture: int) -> list[list[float]]:
        """Boxes xyxy of the persons of a picture, in their order."""
        return [[x, y, x + w, y + h] for x, y, w, h in (person["bbox"] for person in self.persons[picture])]


def load_truth(folder: Path) -> Truth:
    """The annotations of a COCO-format folder."""
    path = folder / "annotations.json"
    data = json.loads(path.read_bytes())
    images = {image["id"]: image for image in sorted(data["images"], key=lambda image: int(image["id"]))}
    persons = labelled_persons(data)
    found = {picture: persons[picture] for picture in images if picture in persons}
    return Truth(load_ground_truth(data, where=str(path)), images, found)


def score(truth: Truth, results: list[dict[str, Any]], resamplings: int) -> dict[str, Any]:
    """COCO statistics and the 95 % bootstrap interval of AP over pictures."""
    evaluation = evaluate_coco(truth.columns, results, bootstrap=resamplings)
    return {name: evaluation.statistics[name] for name in STATISTICS} | {"interval": evaluation.intervals.get("AP")}
