# ruff: noqa: E402
"""The papers' schedules, and the trainer with networks other than AMFACPose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'leanpose[train]'")

from test_training import SCRIPTS, make_folder

from leanpose import _core
from model_defs.registry import CONFIGS, build
from training.augment import Augmentation, sample_transform
from training.pictures import MOST_PERSONS, Pictures
from training.presets import PRESETS, preset_name


def test_every_definition_has_a_preset() -> None:
    assert {preset_name(name) for name in CONFIGS} == set(PRESETS)
    assert preset_name("srpose-bottomup-hrnet-w32-srhead") == "srpose-bottomup"
    assert preset_name("srpose-hrformer-s-srpose") == "srpose-hrformer"
    assert preset_name("srpose/k=2") == "srpose"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amfacpose", ("adamw", 1e-5, 32, 140, ())),
        ("saffnet", ("adam", 1e-3, 32, 210, (170, 200))),
        ("mfvpose", ("adam", 1e-3, 32, 300, (200, 260))),
        ("srpose", ("adam", 5e-4, 128, 210, (170, 200))),
        ("srpose-hrformer", ("adamw", 5e-4, 128, 210, (170, 200))),
        ("srpose-bottomup", ("adam", 1.5e-3, 48, 300, (200, 260))),
    ],
)
def test_printed_schedules(name: str, expected: tuple[object, ...]) -> None:
    preset = PRESETS[name]
    assert (preset.optimiser, preset.rate, preset.batch, preset.epochs, preset.drops) == expected


def test_the_rate_falls_at_the_drops() -> None:
    preset = PRESETS["srpose"]
    rates = [preset.rate_after(epochs) for epochs in (0, 169.9, 170, 199.9, 200, 209.9)]
    np.testing.assert_allclose(rates, [5e-4, 5e-4, 5e-5, 5e-5, 5e-6, 5e-6])


@pytest.mark.parametrize("transform", ["plain", "udp"])
def test_crops_of_training_are_those_of_inference(transform: str) -> None:
    box = np.array([20, 30, 90, 200], np.float32)
    still = Augmentation(0, 0, (1, 1), 0, 0, 0, 0)
    matrix = sample_transform(np.random.default_rng(0), still, box, np.zeros((17, 3), np.float32), (64, 48), transform)
    np.testing.assert_allclose(matrix, _core.crop_transforms(box[None], (64, 48), 1.25, transform)[0], atol=1e-5)


def test_whole_pictures_keep_their_persons(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    still = Augmentation(0, 0, (1, 1), 0, 0, 0, 0)
    pictures = Pictures([folder], (128, 96), still)
    assert len(pictures) == 3
    assert pictures.counts == {folder: 3}
    image, points, weights = pictures[0]
    assert image.shape == (128, 96, 3)
    assert points.shape == (MOST_PERSONS, 17, 2)
    assert weights[0].all()
    assert not weights[1:].any()
    matrix = _core.crop_transforms([[-0.5, -0.5, 299.5, 259.5]], (128, 96), 1.0, "plain")[0]
    there = points[0].numpy() @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(there, pictures.items[0][1][0, :, :2], atol=1e-3)


@pytest.mark.parametrize(
    ("model", "size"), [("stnet-1stage-256x192", "32x32"), ("srpose-bottomup-resnet50-simple", "64x64")]
)
def test_trains_with_a_preset(model: str, size: str, tmp_path: Path) -> None:
    data = make_folder(tmp_path / "data")
    if not build(model, input_size=(64, 64)).codec.finds_persons:
        from training.cache import build as pack

        pack(data, tmp_path / "cache", jobs=1)
        data = tmp_path / "cache"
    arguments = [model, "--preset", "auto", "--cache", data, "--out", tmp_path / "run", "--stages", f"{size}:4"]
    options = ["--batch", "2", "--workers", "0", "--no-compile", "--no-bf16"]
    command = [sys.executable, SCRIPTS / "train.py", *arguments, *options]
    subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    state = torch.load(tmp_path / "run" / f"{size}.pt", weights_only=True)
    assert state["config"] == model
    assert all(torch.isfinite(value).all() for value in state["ema"].values() if value.is_floating_point())
