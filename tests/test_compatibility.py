"""Other people's models, without a card and with one: needs a folder of models and labelled pictures."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanpose import COCO17, Estimator, Heatmap, SimCC
from leanpose.cli import main
from leanpose.codecs import Codec
from leanpose.evaluation import evaluate_coco, load_ground_truth

_FOLDER = os.environ.get("LEANPOSE_SHARED")
pytestmark = pytest.mark.skipif(
    _FOLDER is None, reason="LEANPOSE_SHARED does not name a folder with models/*.onnx and data/coco_dev"
)
SHARED = Path(_FOLDER or "")


@dataclass(frozen=True)
class Person:
    picture: Path
    box: list[float]
    area: float
    teacher: npt.NDArray[np.float64]  # (17, 3) x, y, score: what TinyPose finds in the box


def carded(name: str, folder: Path, *settings: str) -> Path:
    """A copy of a model with a card that `leanpose card` wrote."""
    path = folder / name
    shutil.copyfile(SHARED / "models" / name, path)
    assert main(["card", str(path), *(word for setting in settings for word in ("--set", setting))]) == 0
    return path


@pytest.fixture(scope="module")
def persons() -> list[Person]:
    folder = SHARED / "data" / "coco_dev"
    labels = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    files = {image["id"]: folder / "images" / image["file_name"] for image in labels["images"]}
    large = [a for a in labels["annotations"] if a["num_keypoints"] >= 10 and a["area"] > 96**2]
    return [
        Person(
            files[a["image_id"]],
            [a["bbox"][0], a["bbox"][1], a["bbox"][0] + a["bbox"][2], a["bbox"][1] + a["bbox"][3]],
            a["area"],
            np.reshape(a["teacher_keypoints"], (17, 3)),
        )
        for a in large[:12]
    ]


@pytest.fixture(scope="module")
def tinypose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carded("tinypose_256x192_simcc.onnx", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def heatmaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carded("tinypose_256x192_heatmap.onnx", tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("tinypose_256x192_simcc.onnx", SimCC(2.0)),
        ("tinypose_256x192_heatmap.onnx", Heatmap(4.0, heatmaps="conv2d_441.tmp_1/Result")),
        ("rtmpose_t_256x192_random_weights.onnx", SimCC(2.0)),
    ],
)
def test_files_without_a_card_need_no_word(name: str, codec: Codec, tmp_path: Path) -> None:
    card = Estimator(SHARED / "models" / name, threads=1).card
    assert card.codec == codec
    assert card.keypoints == COCO17
    assert card == Estimator(carded(name, tmp_path), threads=1).card


@pytest.mark.parametrize(
    "name", ["rtmdet_nano_person_end2end.onnx", "yolox_nano_coco80.onnx", "picodet_s_320_pedestrian.onnx"]
)
def test_detectors_are_no_pose_models(name: str) -> None:
    with pytest.raises(ValueError, match=r"no model card, and (no known contract|the graph does not tell input\.size)"):
        Estimator(SHARED / "models" / name, threads=1)


def test_heatmaps_without_a_card_are_as_accurate_as_their_reference() -> None:
    folder = SHARED / "data" / "coco_dev"
    labels = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    images = sorted(labels["images"], key=lambda image: image["id"])[:40]
    chosen = {image["id"] for image in images}
    people = [a for a in labels["annotations"] if a["image_id"] in chosen and a["num_keypoints"] > 0]
    truth = load_ground_truth({**labels, "images": images, "annotations": people})

    def ap(results: Any) -> float:
        return evaluate_coco(truth, results).statistics["AP"]

    teacher = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "keypoints": a["teacher_keypoints"],
            "score": np.mean([s for s in a["teacher_keypoints"][2::3] if s > 0.2] or [0.0]),
        }
        for a in people
    ]
    boxes = {image["id"]: [a["bbox"] for a in people if a["image_id"] == image["id"]] for image in images}
    pairs = [
        (folder / "images" / image["file_name"], [[x, y, x + w, y + h] for x, y, w, h in boxes[image["id"]]])
        for image in images
    ]
    model = SHARED / "models" / "tinypose_256x192_heatmap.onnx"
    found = {}
    for flip_test in (False, True):
        poses = Estimator(model, threads=1, flip_test=flip_test).stream(pairs)
        found[flip_test] = ap([row for image, p in zip(images, poses, strict=True) for row in p.to_coco(image["id"])])
    assert abs(found[False] - ap(teacher)) < 0.003
    assert found[True] > found[False]


def similarities(estimator: Estimator, persons: list[Person]) -> npt.NDArray[np.float64]:
    """OKS of each person with what the teacher found, over its keypoints of score above 0.3."""
    poses = estimator.predict([p.picture for p in persons], [p.box for p in persons])
    found = []
    for person, pose in zip(persons, poses, strict=True):
        distance = ((pose.xy[0] - person.teacher[:, :2]) ** 2).sum(axis=1)
        oks = np.exp(-distance / (2 * person.area * (2 * np.array(COCO17.sigmas)) ** 2))
        found.append(oks[person.teacher[:, 2] > 0.3].mean())
    return np.array(found)


@pytest.mark.parametrize(("flip_test", "least"), [(False, 0.97), (True, 0.94)])
def test_tinypose_finds_what_its_heatmap_twin_found(
    flip_test: bool, least: float, tinypose: Path, persons: list[Person]
) -> None:
    found = similarities(Estimator(tinypose, threads=1, flip_test=flip_test), persons)
    assert found.mean() > least
    assert found.min() > 0.8


@pytest.mark.parametrize(("flip_test", "least"), [(False, 0.99), (True, 0.95)])
def test_heatmaps_find_what_the_teacher_found(
    flip_test: bool, least: float, heatmaps: Path, persons: list[Person]
) -> None:
    found = similarities(Estimator(heatmaps, threads=1, flip_test=flip_test), persons)
    assert found.mean() > least
    assert found.min() > 0.85


@pytest.mark.parametrize("setting", ["codec.mapping=half_pixel", "codec.refine=none"])
def test_another_reading_of_the_heatmaps_shows(
    setting: str, tmp_path: Path, heatmaps: Path, persons: list[Person]
) -> None:
    right = similarities(Estimator(heatmaps, threads=1), persons)
    path = tmp_path / "other.onnx"
    assert main(["card", str(heatmaps), "--set", setting, "-o", str(path)]) == 0
    assert similarities(Estimator(path, threads=1), persons).mean() < right.mean()


def test_keypoint_scores_are_those_of_the_teacher(tinypose: Path, persons: list[Person]) -> None:
    estimator = Estimator(tinypose, threads=1)
    for person in persons[:4]:
        scores = estimator.predict(person.picture, person.box).keypoint_scores[0]
        np.testing.assert_allclose(scores, person.teacher[:, 2], atol=0.06)


@pytest.mark.parametrize("setting", ["input.color=bgr", "input.padding=2", "input.mean=[0,0,0]"])
def test_a_wrong_card_shows(setting: str, tmp_path: Path, tinypose: Path, persons: list[Person]) -> None:
    right = similarities(Estimator(tinypose, threads=1), persons)
    wrong = similarities(Estimator(carded(tinypose.name, tmp_path, setting), threads=1), persons)
    assert wrong.mean() < right.mean() - 0.01


def test_rtmpose_loads_and_runs_batches(tmp_path: Path, persons: list[Person]) -> None:
    path = carded("rtmpose_t_256x192_random_weights.onnx", tmp_path, "name=RTMPose-t", "codec.temperature=10")
    estimator = Estimator(path, threads=1)
    assert estimator.card.name == "RTMPose-t"
    person = persons[0]
    poses = estimator.predict(person.picture, [person.box, person.box])
    assert poses.xy.shape == (2, 17, 2)
    assert np.isfinite(poses.xy).all()
    assert ((poses.keypoint_scores > 0) & (poses.keypoint_scores < 1)).all()
    np.testing.assert_allclose(poses.keypoint_scores[0], poses.keypoint_scores[1], rtol=1e-3)
