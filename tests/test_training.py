"""Packed crops, augmentation and the trainer, on synthetic persons with known joints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'leanpose[train]'")

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def joint_colours() -> NDArray[np.uint8]:
    """Seventeen colours that stay apart under JPEG coding."""
    hues = np.arange(17) * 10
    hsv = np.stack((hues, np.full(17, 255), np.full(17, 255)), 1).astype(np.uint8)
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2BGR)[0]


def make_folder(root: Path, pictures: int = 3) -> Path:
    """A COCO-format folder with one person per picture whose joints are coloured dots."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(5)
    images, annotations = [], []
    for index in range(1, pictures + 1):
        width, height = 300, 260
        picture = np.full((height, width, 3), 40, np.uint8)
        points = np.stack((rng.integers(90, 200, 17), rng.integers(40, 220, 17)), 1)
        for point, colour in zip(points, joint_colours(), strict=True):
            cv2.circle(picture, tuple(map(int, point)), 3, tuple(map(int, colour)), -1)
        cv2.imwrite(str(root / "images" / f"{index}.png"), picture)
        images.append({"id": index, "file_name": f"{index}.png", "width": width, "height": height})
        keypoints = np.concatenate((points, np.full((17, 1), 2)), 1)
        x, y = points.min(0) - 5
        w, h = points.max(0) - points.min(0) + 10
        annotations.append(
            {
                "id": index,
                "image_id": index,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [int(x), int(y), int(w), int(h)],
                "area": float(w * h) * 0.5,
                "keypoints": keypoints.ravel().tolist(),
                "num_keypoints": 17,
            }
        )
    names = [f"joint{i}" for i in range(17)]
    categories = [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(data))
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    from training.cache import build

    assert build(make_folder(tmp_path / "data"), tmp_path / "cache", jobs=1) == 3
    return tmp_path / "cache"


def test_cached_labels_lie_on_their_joints(cache: Path) -> None:
    from training.cache import Crops

    crops = Crops([cache])
    assert len(crops) == 3
    assert crops.counts == {cache: 3}
    for index in range(3):
        image, factor = crops.image(index)
        assert factor == 1.0
        assert_dots(image, crops.labels.keypoints[index, :, :2])


def assert_dots(image: NDArray[np.uint8], points: NDArray[np.float32], least: int = 15) -> None:
    """Most joints (dots may hide each other) have their own colour at their point."""
    hits = 0
    for point, colour in zip(points, joint_colours(), strict=True):
        x, y = (round(float(v)) for v in point)
        if 0 <= x < image.shape[1] and 0 <= y < image.shape[0]:
            hits += int(np.abs(image[y, x].astype(int) - colour).max() < 70)
    assert hits >= least


@pytest.mark.parametrize("input_size", [(256, 192), (224, 224)])
def test_augmented_joints_follow_the_picture(cache: Path, input_size: tuple[int, int]) -> None:
    from training.augment import Augmentation
    from training.cache import Crops
    from training.dataset import FLIP_INDEX, LabelWeights, Persons

    geometry = Augmentation(flip=1.0, scale=(0.9, 1.0), shift=0.0, half_body=0, occlusion=0, colour=0)
    persons = Persons(Crops([cache]), input_size, geometry, LabelWeights())
    torch.manual_seed(0)
    for index in range(3):
        picture, points, weights = persons[index]
        assert picture.shape == (*input_size, 3)
        assert (weights == 1).all()
        # Mirrored, a left joint carries the name of its right twin.
        assert_dots(picture.numpy()[..., ::-1], points.numpy()[FLIP_INDEX], least=14)


def test_without_augmentation_the_crop_is_that_of_inference() -> None:
    from leanpose import crop_transforms
    from training.augment import Augmentation, sample_transform

    none = Augmentation(0.0, 0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0)
    box = np.array([13.0, 40.0, 97.5, 333.0], np.float32)
    for size in ((256, 192), (96, 72), (256, 256)):
        matrix = sample_transform(np.random.default_rng(0), none, box, np.zeros((17, 3), np.float32), size)
        np.testing.assert_allclose(matrix, crop_transforms(box[None], size, 1.25, "plain")[0], atol=1e-9)


def test_teacher_fills_in_and_noisy_labels_weigh_less() -> None:
    from training.cache import Labels
    from training.dataset import LabelWeights, targets

    label = np.array([[[1, 1, 2], [2, 2, 1], [0, 0, 0], [0, 0, 0]]], np.float32)
    teacher = np.array([[[9, 9, 0.9], [9, 9, 0.9], [7, 8, 0.5], [5, 5, 0.1]]], np.float32)
    labels = Labels(np.zeros((1, 4), np.float32), label, teacher, np.array([0.5], np.float32))
    points, weights = targets(labels, 0, LabelWeights(teacher_weight=0.6, teacher_least=0.35, noisy_floor=0.2))
    np.testing.assert_allclose(points, [[1, 1], [2, 2], [7, 8], [5, 5]])
    np.testing.assert_allclose(weights, [0.6, 0.6, 0.3, 0.0], atol=1e-6)


def torchrun(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_two_processes_train_one_model(cache: Path, tmp_path: Path) -> None:
    """See two_processes.py for what is checked inside; here the files, and that the run goes on."""
    out = tmp_path / "run"
    arguments = trainer_arguments(cache, tmp_path / "data", out, 8, "--batch", "4")
    first = torchrun(Path(__file__).with_name("two_processes.py"), *arguments)
    assert first.returncode == 0, first.stderr
    assert [json.loads(line)["total"] for line in (out / "log.jsonl").read_text().splitlines()] == [4, 8]
    state = torch.load(out / "last.pt", weights_only=True)
    assert (state["seen"], state["total"]) == (8, 8)
    second = torchrun(SCRIPTS / "train.py", *trainer_arguments(cache, tmp_path / "data", out, 12, "--batch", "4"))
    assert second.returncode == 0, second.stderr
    assert torch.load(out / "last.pt", weights_only=True)["total"] == 12
    assert [json.loads(line)["total"] for line in (out / "log.jsonl").read_text().splitlines()] == [4, 8, 12]


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from train import train

    with pytest.raises(SystemExit, match="--batch 3 cannot be shared by 2 processes"):
        train(SimpleNamespace(batch=3), SimpleNamespace(size=2))


def run_trainer(cache: Path, data: Path, out: Path, samples: int, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "train.py"), *trainer_arguments(cache, data, out, samples, *more)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def trainer_arguments(cache: Path, data: Path, out: Path, samples: int, *more: str) -> list[str]:
    words = ["amfacpose-r18-256x256", "--cache", str(cache), "--dev", str(data), "--out", str(out)]
    words += ["--stages", f"48x32:{samples}", "--batch", "2", "--no-compile", "--no-bf16", "--workers", "0"]
    return [*words, "--warmup", "2", "--save-minutes", "0", "--evaluate-every", "4", *more]


def test_training_goes_on_where_it_stopped(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = run_trainer(cache, tmp_path / "data", out, samples=4)
    assert first.returncode == 0, first.stderr
    state = torch.load(out / "last.pt", weights_only=True)
    assert (state["stage"], state["total"]) == (0, 4)
    second = run_trainer(cache, tmp_path / "data", out, samples=8)
    assert second.returncode == 0, second.stderr
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["total"] for entry in entries] == [4, 8]
    assert all(np.isfinite(entry["loss"]) and 0 <= entry["AP"] <= 1 for entry in entries)
    third = run_trainer(cache, tmp_path / "data", out, samples=8)  # nothing left to do
    assert third.returncode == 0, third.stderr
    final = torch.load(out / "48x32.pt", weights_only=True)
    assert final["input_size"] == [48, 32]
    assert all(torch.isfinite(v).all() for v in final["ema"].values())


def test_training_starts_from_an_exported_model(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="exporting needs onnx: pip install 'leanpose[export]'")
    exported = tmp_path / "start.onnx"
    command = [sys.executable, str(SCRIPTS / "export.py"), "amfacpose-r18-256x256", "--input-size", "48x32"]
    subprocess.run([*command, "-o", str(exported)], check=True, capture_output=True)
    # At a learning rate of nearly zero, the result is the start.
    result = run_trainer(
        cache, tmp_path / "data", tmp_path / "run", 2, "--init", str(exported), "--lr", "1e-12", "--weight-decay", "0"
    )
    assert result.returncode == 0, result.stderr
    from training.weights import read_weights

    start, end = read_weights(exported), read_weights(tmp_path / "run" / "48x32.pt")
    torch.testing.assert_close(end["stages.0.0.conv1.0.weight"], start["stages.0.0.conv1.0.weight"])
    torch.testing.assert_close(end["head_x.0.weight"], start["head_x.0.weight"])
    assert (end["stem.1.running_var"] != 1).all()  # batch norms have statistics again


def test_weights_fit_another_input_size() -> None:
    from dataclasses import replace

    from model_defs.amfacpose import CONFIGS, AMFACPose
    from training.weights import fit_weights

    config = CONFIGS["amfacpose-r18-256x256"]
    small = AMFACPose(replace(config, input_size=(48, 32)))
    large = AMFACPose(replace(config, input_size=(64, 48)))
    fit_weights(large, small.state_dict())
    for name, value in large.state_dict().items():
        if value.shape == small.state_dict()[name].shape:
            torch.testing.assert_close(value, small.state_dict()[name])
    assert large.head_x[2].weight.shape == (96, 208)
    torch.testing.assert_close(large.head_x[2].weight[0], small.head_x[2].weight[0])
