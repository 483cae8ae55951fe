"""Shows that a definition learns through the whole chain: eight made-up figures, trained, exported, found again.

    python scripts/overfit.py [NAME ...] [--steps N]

Each network is trained on eight figures with known joints, one in a picture or two for bottom-up networks, at a small
input, exported as ONNX and run by the Estimator on the same pictures; the mean OKS must exceed 0.9.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import _repository  # noqa: F401  (makes model_defs importable)
from export import compare, export
from leanpose import COCO17, Estimator, _core
from leanpose.oks import oks_matrix
from model_defs.embedding import EmbeddingObjective
from model_defs.inputs import MEAN, STD
from model_defs.network import PoseNetwork
from model_defs.registry import POSE_CONFIGS, build_pose
from training.weights import settle

# The smallest configuration of each system, an input and a count of steps at which it learns in minutes on a CPU.
SMALLEST = {
    "amfacpose-r18-256x256": (64, 64, 300),
    "saffnet-256x192": (64, 64, 300),
    "mfvpose-b-d8-256x192": (64, 48, 300),
    "srpose-resnet50-srpose": (64, 64, 300),
    "stnet-1stage-256x192": (64, 64, 300),
    "srpose-bottomup-resnet50-simple": (128, 128, 900),  # tags come to tell persons apart long after the heatmaps fit
}
FIGURES = 8
# A standing figure, x and y from -1 to 1 about its middle.
STANDING = np.array(
    [
        *((0.0, -0.85), (0.08, -0.9), (-0.08, -0.9), (0.16, -0.86), (-0.16, -0.86)),
        *((0.3, -0.6), (-0.3, -0.6), (0.45, -0.3), (-0.45, -0.3), (0.5, 0.0), (-0.5, 0.0)),
        *((0.2, 0.05), (-0.2, 0.05), (0.22, 0.45), (-0.22, 0.45), (0.25, 0.85), (-0.25, 0.85)),
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*SMALLEST], metavar="NAME")
    parser.add_argument("--steps", type=int, help="of Adam on all figures")
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("H", "W"))
    options = parser.parse_args()
    failed = []
    for name in options.names:
        if name not in POSE_CONFIGS:
            raise SystemExit(f"{name}: there is no such definition; known: {', '.join(POSE_CONFIGS)}")
        height, width, steps = SMALLEST.get(name, (64, 64, 300))
        height, width = options.input_size or (height, width)
        start = time.perf_counter()
        oks = learn(name, (height, width), options.steps or steps)
        print(f"{name} at {height}x{width}: mean OKS {oks:.3f} after {time.perf_counter() - start:.0f} s", flush=True)
        failed += [name] if oks <= 0.9 else []
    if failed:
        sys.exit(f"not learnt: {', '.join(failed)}")


def learn(name: str, input_size: tuple[int, int], steps: int) -> float:
    """Mean OKS of the figures as the Estimator finds them with the trained and exported network."""
    torch.manual_seed(0)
    model = build_pose(name, input_size=input_size)
    several = model.codec.finds_persons
    images, joints, boxes = draw(np.random.default_rng(0), 2 if several else 1)
    train(model, images, joints, boxes, steps)
    graph = export(model.eval(), name)
    compare(graph, model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(graph.SerializeToString())
        estimator = Estimator(path, providers="cpu", threads=1)
        found = estimator.predict(images, None if several else [*boxes])
    values = []
    for poses, wanted in zip(found, joints, strict=True):
        # each figure counts with the found person that fits it best; nobody found is 0
        x0, y0 = wanted.min(1).T
        x1, y1 = wanted.max(1).T
        areas = (x1 - x0) * (y1 - y0)
        overlap = oks_matrix(poses.xy, wanted.astype(np.float32), sigmas=COCO17.sigmas, areas=areas)
        values += overlap.max(0, initial=0.0).tolist()
    return float(np.mean(values))


def draw(
    rng: np.random.Generator, persons: int
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64], NDArray[np.float64]]:
    """Pictures (160, 160, 3), joints (pictures, persons, 17, 2) and a box for the persons of each, (pictures, 1, 4)."""
    images, joints = [], []
    for _ in range(FIGURES // persons):
        image = rng.integers(90, 130, (160, 160, 3), dtype=np.uint8)
        figures = []
        for person in range(persons):
            size = np.array([30, 60]) if persons == 1 else np.array([40, 60])
            centre = np.array([80, 80]) if persons == 1 else np.array([45 + 70 * person, 80])
            points = STANDING * size + rng.normal(0, 0.05, STANDING.shape) * size + centre + rng.uniform(-6, 6, 2)
            for index, (first, second) in enumerate(COCO17.skeleton):
                colour = (0, 13 * index, 255 - 13 * index)
                begin, end = np.round(points[[first, second]]).astype(int).tolist()
                cv2.line(image, begin, end, colour, 3, cv2.LINE_AA)
            for index, point in enumerate(points):
                colour = (255 - 14 * index, 14 * index, 128 * (index % 2))
                cv2.circle(image, np.round(point).astype(int).tolist(), 3, colour, -1, cv2.LINE_AA)
            figures.append(points)
        images.append(image)
        joints.append(figures)
    everything = np.array(joints)
    low, high = everything.min((1, 2)) - 6, everything.max((1, 2)) + 6
    return images, everything, np.concatenate([low, high], 1)[:, None]


def train(
    model: PoseNetwork,
    images: list[NDArray[np.uint8]],
    joints: NDArray[np.float64],
    boxes: NDArray[np.float64],
    steps: int,
) -> None:
    """Adam on the inputs that the Estimator will see."""
    size = model.config.input_size
    several = model.codec.finds_persons
    inputs, targets = [], []
    for image, figures, box in zip(images, joints, boxes, strict=True):
        whole = np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])
        matrix = _core.crop_transforms(whole if several else box, size, 1.0 if several else 1.25, model.transform)
        inputs.append(_core.crop(image, matrix, size, MEAN, STD, "rgb"))
        targets.append((figures - matrix[0, :, 2]) @ np.linalg.inv(matrix[0, :, :2]).T)
    batch = torch.from_numpy(np.concatenate(inputs))
    points = torch.from_numpy(np.stack(targets).astype(np.float32))
    points = points if several else points[:, 0]
    weights = torch.ones(points.shape[:-1])
    objective = model.objective
    if isinstance(objective, EmbeddingObjective):
        objective.tag_weight = 1e-2  # tags alike within hundreds of steps, where a real training has many thousands
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1.0, 2 * (1 - step / steps)) + 1e-5
        loss = objective(model.training_outputs(batch), points, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    settle(model, batch)  # running means trail a short training


if __name__ == "__main__":
    main()
