# ruff: noqa: E402 (torch and onnx may be absent)
"""A teacher's distributions over bins as training targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'leanpose[train]'")
pytest.importorskip("onnx", reason="making models needs onnx: pip install 'leanpose[export]'")
pytest.importorskip("onnxruntime", reason="teachers need an ONNX Runtime: pip install 'leanpose[cpu]'")

from leanpose import COCO17
from model_defs.objectives import SimCCObjective
from models import SIZE, constant_model, dot_card, dot_model, dots_picture, heat_model
from training.distillation import Teacher

HALF = (SIZE[0] // 2, SIZE[1] // 2)


def test_distributions_peak_where_the_student_sees_the_keypoint(tmp_path: Path) -> None:
    """The teacher looks at twice the student's resolution; the student's pixels are turned by a quarter and shifted."""
    points = np.array([[20.0, 33.0], [11.0, 28.0], [25.0, 40.0]])  # x, y in the picture
    picture = np.zeros((60, 60, 3), np.uint8)
    for channel, (x, y) in enumerate(points.astype(int)):
        picture[y - 1 : y + 2, x - 1 : x + 2, 2 - channel] = 200  # BGR; the keypoints are red, green and blue
    matrix = np.array([[0.0, 2.0, 6.0], [-2.0, 0.0, 45.0]])
    student = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    x, y, scores = Teacher(dot_model(tmp_path), 4.0, 3)(picture, matrix, HALF)
    assert x.shape == (3, 4 * HALF[1])
    assert y.shape == (3, 4 * HALF[0])
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_allclose([x.sum(1), y.sum(1)], 1, atol=1e-5)
    mean = np.stack([values @ (np.arange(values.shape[1]) / 4) for values in (x, y)], 1)
    np.testing.assert_allclose(mean, student, atol=0.3)
    np.testing.assert_allclose(scores, 200, rtol=0.05)


def test_logits_are_softened_by_the_cards_temperature(tmp_path: Path) -> None:
    dots = dots_picture(*SIZE, [(5, 6), (12, 20), (18, 25)])
    whole = np.eye(2, 3)
    cold, warm = (
        Teacher(dot_model(tmp_path, f"{t}.onnx", temperature=t), 1.0, 3)(dots, whole, SIZE) for t in (1.0, 50.0)
    )
    assert (cold[0].max(1) > warm[0].max(1)).all()
    assert (cold[0].argmax(1) == warm[0].argmax(1)).all()
    assert ((warm[2] > 0) & (warm[2] <= 1)).all()


def test_a_teacher_that_sees_nothing_is_even(tmp_path: Path) -> None:
    x, y, scores = Teacher(dot_model(tmp_path), 2.0, 3)(np.zeros((9, 9, 3), np.uint8), np.eye(2, 3), HALF)
    np.testing.assert_allclose(x, 1 / x.shape[1])
    np.testing.assert_allclose(y, 1 / y.shape[1])
    assert (scores == 0).all()


def test_teachers_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dots.onnx' is a simcc model of 3 keypoints; expected a simcc model of 17"):
        Teacher(dot_model(tmp_path), 2.0).check()
    with pytest.raises(ValueError, match=r"is a heatmap model of 3 keypoints; expected a simcc model of 3"):
        Teacher(heat_model(tmp_path, 2), 2.0, 3).check()


def test_the_trainer_takes_a_teacher(tmp_path: Path) -> None:
    from test_training import make_folder, run_trainer

    from training.cache import build

    teacher = constant_model(
        tmp_path / "teacher.onnx",
        ["batch", 3, *SIZE],
        {"simcc_x": np.eye(17, SIZE[1]), "simcc_y": np.eye(17, SIZE[0])},
        dot_card(keypoints=COCO17),
    )
    build(make_folder(tmp_path / "data"), tmp_path / "cache", jobs=1)
    words = ("--teacher", str(teacher), "--workers", "1")
    result = run_trainer(tmp_path / "cache", tmp_path / "data", tmp_path / "run", 4, *words)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "48x32.pt").exists()


def test_the_objective_adds_the_teachers_divergence() -> None:
    """Least where the student agrees with the teacher, and nothing where the teacher's weight is zero."""
    torch.manual_seed(0)
    objective = SimCCObjective(1.0, 3)
    logits = [torch.randn(2, 3, 8), torch.randn(2, 3, 12)]
    points, unknown, known = torch.zeros(2, 3, 2), torch.zeros(2, 3), torch.ones(2, 3)
    agreeing = [(axis / objective.loss.temperature).softmax(-1) for axis in logits]
    assert float(objective(logits, points, unknown, *agreeing, known)) == pytest.approx(0, abs=1e-6)
    other = [axis.flip(-1) for axis in agreeing]
    added = objective(logits, points, known, *other, known) - objective(logits, points, known)
    expected = sum((q * (q / p).log()).sum(-1) for q, p in zip(other, agreeing, strict=True))
    torch.testing.assert_close(added, expected.mean())
    assert objective(logits, points, unknown, *other, unknown) == 0
