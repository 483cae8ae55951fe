# ruff: noqa: E402 (torch may be absent)
"""Comparing trained networks: OKS of each person, and which differences are noise."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'leanpose[train]'")

from test_training import make_folder

import compare
from model_defs.registry import build
from scoring import load_truth

NAME = "amfacpose-nano-256x192"


def test_each_person_is_compared_with_its_own_result(tmp_path: Path) -> None:
    truth = load_truth(make_folder(tmp_path / "data"))
    persons = [person for group in truth.persons.values() for person in group]
    right, wrong, near = ({"keypoints": list(person["keypoints"])} for person in persons)
    wrong["keypoints"] = [value + 1e4 for value in wrong["keypoints"]]
    near["keypoints"][0] += 3
    similarities = np.concatenate(compare.person_oks(truth, [right, wrong, near]))
    assert similarities[0] == 1
    assert similarities[1] < 1e-6
    area, sigma = persons[2]["area"], 0.026  # of the nose
    expected = (16 + np.exp(-9 / (2 * area * (2 * sigma) ** 2))) / 17
    assert similarities[2] == pytest.approx(expected, abs=1e-6)


def test_resampled_means_are_of_persons_and_paired() -> None:
    rng = np.random.default_rng(1)
    first = [rng.random(count) for count in rng.integers(1, 6, 60)]
    drawn = compare.resampled(first, 500)
    assert drawn[0] == pytest.approx(np.concatenate(first).mean())
    low, high = np.quantile(drawn[1:], (0.025, 0.975))
    assert low < drawn[0] < high
    better = compare.resampled([values + 0.1 for values in first], 500)
    np.testing.assert_allclose(better - drawn, 0.1)  # the same pictures are drawn for both


def test_checkpoints_are_listed_beside_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, size = make_folder(tmp_path / "data"), (48, 32)
    for run in ("one", "two"):
        torch.manual_seed(len(run))
        state = {"config": NAME, "input_size": list(size), "ema": build(NAME, input_size=size).state_dict()}
        (tmp_path / run).mkdir()
        torch.save(state, tmp_path / run / "48x32.pt")
    words = [str(tmp_path / run / "48x32.pt") for run in ("one", "two")]
    monkeypatch.setattr(sys, "argv", ["compare.py", *words, "--data", str(folder), "--bootstrap", "20"])
    compare.main()
    _, one, two = capsys.readouterr().out.splitlines()
    assert one.split()[0] == "one/48x32"
    assert two.split()[0] == "two/48x32"
    assert one.split()[1:] == two.split()[1:]  # drawn alike, they are equal
    assert one.endswith(" 0.0000 ( 0.0000 to  0.0000)")
