# ruff: noqa: E402 (torch and onnx may be absent)
"""The person detector: decoding, assignment and loss, training on whole pictures, export, and the SDK's Detector."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

REASON = "training and exporting need PyTorch and onnx: pip install 'leanpose[train]'"
torch = pytest.importorskip("torch", reason=REASON)
onnx = pytest.importorskip("onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)

from operators import TENSORRT_8_6

import export as script
import train
from detection_scoring import Results, load_persons
from leanpose import Detector, _core
from leanpose.detection.priors import Priors
from model_defs.counting import count
from model_defs.person_detector import CONFIGS, PersonDetector
from model_defs.person_detector.objective import CANDIDATES, assign, contains, overlap
from model_defs.registry import POSE_CONFIGS, build, build_pose
from training.augment import Augmentation
from training.detection import DetectionBenchmark
from training.processes import Processes
from training.scenes import AUGMENTATION, BORDER, Scenes
from training.weights import read_input_size, read_weights, settle

NAME = "person-detector-320x320"
SIZE = (96, 128)
STILL = Augmentation(flip=0, rotation=0, scale=(1, 1), shift=0, half_body=0, occlusion=0, colour=0)
# two persons in each of four pictures of 128x96: x, y, width, height
PLACES = [
    [(10, 12, 24, 60), (70, 30, 30, 50)],
    [(4, 20, 40, 70), (80, 8, 20, 44)],
    [(48, 10, 32, 76), (100, 40, 20, 40)],
    [(20, 40, 20, 40), (60, 20, 48, 64)],
]


@pytest.fixture(scope="module")
def model() -> PersonDetector:
    torch.manual_seed(0)
    model = build(NAME, input_size=SIZE)
    settle(model, torch.randn(4, 3, *SIZE), rounds=1)
    return model.eval()


@pytest.fixture(scope="module")
def graph(model: PersonDetector) -> Any:
    return script.export(model, NAME)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("pictures"))


def make_folder(root: Path) -> Path:
    """A COCO-format folder whose persons are bright rectangles; in the last picture there is a crowd besides."""
    (root / "images").mkdir()
    images, annotations = [], []
    rng = np.random.default_rng(1)
    for index, persons in enumerate(PLACES, 1):
        picture = rng.integers(20, 60, (SIZE[0], SIZE[1], 3), dtype=np.uint8)
        for x, y, w, h in persons:
            cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), (120, 200, 250), -1)
        cv2.imwrite(str(root / "images" / f"{index}.png"), picture)
        images.append({"id": index, "file_name": f"{index}.png", "width": SIZE[1], "height": SIZE[0]})
        boxes = [*persons, *([(0, 84, 40, 12)] if index == len(PLACES) else [])]
        for box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": 1,
                    "iscrowd": int(box not in persons),
                    "bbox": list(box),
                    "area": float(box[2] * box[3]),
                }
            )
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (root / "annotations.json").write_text(json.dumps(data))
    return root


def test_it_is_small_and_light() -> None:
    (name,) = CONFIGS
    cost = count(build(name), CONFIGS[name].input_size)
    assert cost.parameters <= 1_500_000
    assert cost.macs <= 600_000_000


def test_it_is_no_pose_network() -> None:
    assert NAME not in POSE_CONFIGS
    with pytest.raises(ValueError, match=f"'{NAME}' is no pose network"):
        build_pose(NAME)


@pytest.mark.parametrize("size", [(320, 320), (64, 96), (100, 76)])
def test_cells_are_those_of_the_sdk(size: tuple[int, int]) -> None:
    detector = build(NAME, input_size=size)
    priors = Priors.of(size, (8, 16, 32))
    np.testing.assert_array_equal(detector.centres.T, (priors.cells + 0.5) * priors.strides)
    np.testing.assert_array_equal(detector.strides, priors.strides[:, 0])
    with torch.no_grad():
        (persons,) = detector.eval()(torch.rand(2, 3, *size))
    assert persons.shape == (2, 5, len(priors.cells))
    assert detector.output_shapes == {"persons": persons.shape[1:]}


def test_decoding_of_known_values(model: PersonDetector) -> None:
    values = torch.zeros(1, 5, model.centres.shape[1])
    values[0, :, 5] = torch.tensor([2.0, 3.0, 4.0, 5.0, 1.0]).log()  # the sixth cell of stride 8
    values[0, 4, 5] = 0.7
    centres, sizes, logits = model.decode(values)
    # its middle at 44, 4; 16 to the left, 24 up, 32 to the right, 40 down
    np.testing.assert_allclose(centres[0, :, 5], [44 + (32 - 16) / 2, 4 + (40 - 24) / 2], rtol=1e-6)
    np.testing.assert_allclose(sizes[0, :, 5], [48, 64], rtol=1e-6)
    assert logits[0, 0, 5] == pytest.approx(0.7)
    np.testing.assert_allclose(sizes[0, :, -1], [64, 64])  # a distance of one cell of stride 32 everywhere
    extreme, _, _ = model.decode(torch.full_like(values, 1e6))
    assert torch.isfinite(extreme).all()


def test_what_is_trained_is_what_is_exported(model: PersonDetector) -> None:
    pictures = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (persons,) = model(pictures)
        logits, corners = model.training_outputs(pictures)
    torch.testing.assert_close(persons[:, 4], logits.sigmoid())
    torch.testing.assert_close(persons[:, :2].transpose(1, 2), (corners[..., :2] + corners[..., 2:]) / 2)
    torch.testing.assert_close(persons[:, 2:4].transpose(1, 2), corners[..., 2:] - corners[..., :2])


def boxes_of(*rows: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def test_overlaps() -> None:
    first, second = boxes_of((0, 0, 10, 10), (0, 0, 10, 10)), boxes_of((5, 0, 15, 10), (20, 0, 30, 10))
    torch.testing.assert_close(overlap(first, second), torch.tensor([[50 / 150, 0]]))
    torch.testing.assert_close(overlap(first, second, generalised=True), torch.tensor([[50 / 150, -100 / 300]]))
    torch.testing.assert_close(overlap(first, first, generalised=True), torch.ones(1, 2))


def test_assigned_cells_lie_in_their_persons_and_are_the_best(model: PersonDetector) -> None:
    generator = torch.Generator().manual_seed(2)
    persons = boxes_of((8, 8, 90, 90), (70, 40, 120, 92), (100, 4, 124, 30))
    cells = model.centres.shape[1]
    scores = torch.rand(1, cells, generator=generator)
    reach = torch.rand(1, cells, 4, generator=generator) * 40 + 4
    boxes = torch.cat((model.centres.T - reach[..., :2], model.centres.T + reach[..., 2:]), -1)
    inside = contains(persons, model.centres)
    person, target = assign(scores, boxes, persons, inside)
    assert person.shape == target.shape == (1, cells)
    chosen = target[0] > 0
    assert inside[0, person[0, chosen], chosen].all()
    overlaps = overlap(persons[0][:, None], boxes[0][None]) * inside[0]
    aligned = scores[0] * overlaps**6
    for index in range(3):
        mine = chosen & (person[0] == index)
        assert 0 < mine.sum() <= CANDIDATES
        # the best cell is to score as it overlaps, the others in proportion
        assert target[0, mine].max() == pytest.approx(float(overlaps[index, mine].max()), rel=1e-5)
        share = target[0, mine] / aligned[index, mine]
        torch.testing.assert_close(share, share[:1].expand_as(share), rtol=1e-4, atol=0)
        among = torch.zeros(cells, dtype=torch.bool)
        among[aligned[index].topk(CANDIDATES).indices] = True
        assert (among | ~mine).all()
    assert (chosen & (person[0] == 2)).sum() == min(CANDIDATES, inside[0, 2].sum())  # it shares cells with nobody
    several = inside[0].sum(0) > 1
    both = chosen & several
    assert both.any()
    # of two persons that want a cell it stands for the one that it overlaps more
    wanted = torch.stack([aligned[i] >= aligned[i].topk(CANDIDATES).values[-1] for i in range(3)])
    assert torch.equal(person[0, both], (overlaps * wanted).argmax(0)[both])


def perfect(model: PersonDetector, persons: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs that every cell in a person gives that person's box for, with the scores that the assignment wants."""
    inside = contains(persons, model.centres) & known[..., None]
    boxes = persons.gather(1, inside.int().argmax(1)[..., None].expand(-1, -1, 4)).clone()
    scores = inside.any(1).float() * 0.9
    _, target = assign(scores, boxes, persons, inside)
    return (target * 0.9998 + 0.0001).logit(), boxes


def test_perfect_outputs_have_no_loss_and_others_have(model: PersonDetector) -> None:
    persons = boxes_of((8, 8, 60, 90), (70, 40, 120, 92), (0, 0, 0, 0))
    weights = torch.tensor([[1.0, 1.0, 0.0]])
    logits, boxes = perfect(model, persons, weights > 0)
    objective = model.objective
    least = float(objective((logits, boxes), persons, weights))
    assert 0 <= least < 1e-3
    assert float(objective((logits, boxes + 4), persons, weights)) > least + 0.2
    assert float(objective((-logits, boxes), persons, weights)) > least + 1
    assert float(objective((torch.zeros_like(logits), boxes), persons, weights)) > least + 1
    # rows that fill up change nothing
    padded = torch.cat((persons, torch.full((1, 7, 4), 50.0)), 1)
    more = torch.cat((weights, torch.zeros(1, 7)), 1)
    assert float(objective((logits, boxes), padded, more)) == pytest.approx(least)


def test_regions_in_which_nobody_knows_teach_nothing(model: PersonDetector) -> None:
    persons = boxes_of((8, 8, 60, 90), (64, 0, 128, 96))
    logits, boxes = perfect(model, persons[:, :1], torch.tensor([[True]]))
    there = contains(persons[:, 1:], model.centres)[:, 0]
    wrong = torch.where(there, torch.tensor(5.0), logits).requires_grad_()
    ignored = model.objective((wrong, boxes), persons, torch.tensor([[1.0, -1.0]]))
    ignored.backward()
    assert float(ignored.detach()) < 1e-3
    assert not wrong.grad[there].any()
    assert float(model.objective((wrong.detach(), boxes), persons, torch.tensor([[1.0, 0.0]]))) > 1


def test_pictures_without_persons_lower_all_scores(model: PersonDetector) -> None:
    logits = torch.zeros(1, model.centres.shape[1], requires_grad=True)
    boxes = torch.rand(1, model.centres.shape[1], 4, requires_grad=True)
    model.objective((logits, boxes), torch.zeros(1, 3, 4), torch.zeros(1, 3)).backward()
    assert (logits.grad > 0).all()
    assert not boxes.grad.any()


def test_samples_are_the_letterboxed_pictures_of_inference(folder: Path) -> None:
    scenes = Scenes([folder], (160, 96), STILL)
    assert (len(scenes), scenes.counts, scenes.most) == (4, {folder: 4}, 3)
    for index in range(4):
        picture, boxes, weights = scenes[index]
        image = cv2.imread(str(folder / "images" / f"{index + 1}.png"))
        expected, transform = _core.letterbox(
            image, (160, 96), (0, 0, 0), (1, 1, 1), "rgb", (BORDER,) * 3, resize="letterbox_center", dtype="uint8"
        )
        assert np.abs(picture.numpy().astype(int) - expected[0].transpose(1, 2, 0)).max() <= 2
        crowd = [-1.0] if index == 3 else [0.0]
        assert weights.tolist() == [1.0, 1.0, *crowd]
        back = (boxes[:2].numpy().reshape(-1, 2) - 0.5) @ transform[:, :2].T + transform[:, 2] + 0.5
        corners = [(x, y, x + w, y + h) for x, y, w, h in PLACES[index]]
        np.testing.assert_allclose(back.reshape(-1, 4), corners, atol=1e-4)


def bright(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return picture[..., 0].astype(int) - picture[..., 2] > 60


def test_augmented_boxes_follow_their_persons(folder: Path) -> None:
    geometry = replace(AUGMENTATION, colour=0.0, flip=0.5, scale=(0.5, 2.0))
    scenes = Scenes([folder], (96, 96), geometry)
    torch.manual_seed(0)
    cut = flipped = 0
    for index in range(40):
        picture, boxes, weights = scenes[index % 4]
        mask = np.zeros((96, 96), bool)
        for (x0, y0, x1, y1), weight in zip(boxes.numpy(), weights, strict=True):
            if weight > 0 or (weight < 0 and index % 4 < 3):  # a person, or what is left of one
                mask[round(y0) : round(y1), round(x0) : round(x1)] = True
                cut += int(weight < 0)
        difference = mask != bright(picture.numpy())
        assert difference.mean() < 0.03
        flipped += int(len(boxes) > 1 and boxes[0, 0] > boxes[1, 0] and index % 4 == 0)
    assert cut > 0
    assert 0 < flipped < 10


def test_a_mosaic_shows_four_pictures_with_their_persons(folder: Path) -> None:
    scenes = Scenes([folder], (120, 160), replace(AUGMENTATION, colour=0.0), mosaic=1.0)
    assert scenes.most == 12
    torch.manual_seed(0)
    persons = cut = 0
    for index in range(40):
        picture, boxes, weights = scenes[index % 4]
        everybody = np.zeros((120, 160), bool)
        for (x0, y0, x1, y1), weight in zip(boxes.numpy().round().astype(int), weights, strict=True):
            everybody[y0:y1, x0:x1] |= bool(weight)
            if weight > 0:
                assert bright(picture.numpy()[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]).mean() > 0.95
        assert (bright(picture.numpy()) & ~everybody).mean() < 0.02
        persons += int((weights > 0).sum())
        cut += int((weights < 0).sum())
    assert 40 * 4 < persons < 40 * 8
    assert cut > 0


def test_a_mosaic_keeps_to_one_folder(tmp_path: Path) -> None:
    folders = []
    for grey in (0, 255):
        root = tmp_path / str(grey)
        root.mkdir()
        folders.append(make_folder(root))
        for path in (folders[-1] / "images").iterdir():
            cv2.imwrite(str(path), np.full((*SIZE, 3), grey, np.uint8))
    scenes = Scenes(folders, SIZE, replace(AUGMENTATION, colour=0.0), mosaic=1.0)
    torch.manual_seed(0)
    for index in range(8):
        shown = scenes[index][0].numpy()
        assert shown.max() <= BORDER if index < 4 else shown.min() >= BORDER


def test_the_border_keeps_its_grey_and_pictures_change_colour(folder: Path) -> None:
    scenes = Scenes([folder], (200, 100), replace(STILL, colour=1.0))
    torch.manual_seed(0)
    first, second = scenes[0][0].numpy(), scenes[0][0].numpy()
    assert (first[:60] == BORDER).all()
    assert (second[140:] == BORDER).all()
    assert np.abs(first[70:130].astype(int) - second[70:130]).mean() > 3


def test_folders_without_persons_are_refused(tmp_path: Path) -> None:
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match="no boxes of persons in"):
        Scenes([tmp_path], SIZE, STILL)


def test_the_exported_graph(graph: Any, model: PersonDetector) -> None:
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 17)]
    (value,) = graph.graph.output
    cells = model.centres.shape[1]
    assert [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] == ["batch", 5, cells]
    assert {entry.key: entry.value for entry in graph.metadata_props} == {"names": "{0: 'person'}"}
    constants = {entry.name for entry in graph.graph.initializer}
    assert [node.name for node in graph.graph.node if constants.issuperset(filter(None, node.input))] == []
    operators = {node.op_type for node in graph.graph.node}
    assert operators <= TENSORRT_8_6
    assert not operators & {"BatchNormalization", "Shape", "Cast", "Transpose"}


def test_the_graph_equals_pytorch(graph: Any, model: PersonDetector) -> None:
    assert script.compare(graph, model) < 1e-4
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    image = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        want = model(image)[0].numpy()
    (got,) = session.run(None, {"image": image.numpy()})
    np.testing.assert_allclose(got[:, :4], want[:, :4], atol=1e-3)
    np.testing.assert_allclose(got[:, 4], want[:, 4], atol=1e-6)  # beside pixels their differences would not show


def test_the_detector_recognises_it(graph: Any, tmp_path: Path) -> None:
    path = tmp_path / "anything.onnx"
    onnx.save(graph, path)
    detector = Detector(path, providers="cpu", threads=1, score_threshold=0)
    assert (detector.family, detector.input_size, detector.person_class) == ("yolov8", SIZE, 0)
    assert (detector.resize, detector.color, detector.pad) == ("letterbox_center", "rgb", BORDER)
    assert (detector.mean, detector.std) == (PersonDetector.mean, PersonDetector.std)
    assert len(detector.predict(np.zeros((50, 40, 3), np.uint8))) > 0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.py", *map(str, arguments)])
    script.main()


def test_export_of_a_checkpoint_and_back(
    model: PersonDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, path = tmp_path / "96x128.pt", tmp_path / "detector.onnx"
    torch.save({"config": NAME, "input_size": list(SIZE), "ema": model.state_dict()}, checkpoint)
    run(monkeypatch, NAME, "--checkpoint", checkpoint, "-o", path)
    assert read_input_size(path) == SIZE
    assert script.compare(onnx.load(path), model) < 1e-4
    fresh = build(NAME, input_size=SIZE)
    fresh.load_state_dict(read_weights(path))
    assert script.compare(onnx.load(path), fresh.eval()) < 1e-4
    with pytest.raises(ValueError, match="--decode-in-graph: 'person-detector-320x320' gives no heatmaps"):
        run(monkeypatch, NAME, "--checkpoint", checkpoint, "-o", path, "--decode-in-graph")


def test_it_is_among_all_that_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NAME in script.CONFIGS
    monkeypatch.setattr(script, "CONFIGS", CONFIGS)
    run(monkeypatch, "--all", "-o", tmp_path)
    assert Detector(tmp_path / f"{NAME}.onnx", providers="cpu").input_size == (320, 320)


def test_persons_that_it_learnt_are_found_by_the_detector(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(NAME, input_size=SIZE)
    scenes = Scenes([folder], SIZE, STILL)
    pictures, labels, weights = (torch.stack(column) for column in zip(*(scenes[i] for i in range(4)), strict=True))
    batch = pictures.permute(0, 3, 1, 2) / 255.0
    optimiser, objective, losses = torch.optim.AdamW(model.parameters(), lr=2e-3), model.objective, []
    for _ in range(120):
        loss = objective(model.train().training_outputs(batch), labels, weights)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    settle(model, batch)  # running means trail a short training
    path = tmp_path / "learnt.onnx"
    script.save(model.eval(), NAME, path)
    detector = Detector(path, providers="cpu", threads=1, score_threshold=0.01)
    persons = load_persons(folder)
    found = [detector.predict(picture) for picture, _ in persons]
    results = Results.of([(entry.boxes, entry.scores) for entry in found], [p for _, p in persons], 0.0, 0.7)
    assert results.average_precision() > 0.99
    for entry, places in zip(found, PLACES, strict=True):
        confident = entry[entry.scores > 0.3]
        assert len(confident) == len(places)
    # the trainer's own figures are those of the Detector
    reached = DetectionBenchmark(folder, SIZE).statistics(model, torch.device("cpu"))
    expected = Results.of([(entry.boxes, entry.scores) for entry in found], [p for _, p in persons])
    assert reached["AP50"] == pytest.approx(expected.average_precision(), abs=1e-3)
    assert (reached["recall"], reached["score"]) == pytest.approx(expected.recall(), abs=1e-3)


def test_the_command_writes_fp16_and_what_is_known_of_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    entries = ["license=Apache-2.0", "training_data=one = 1; two", "names={0: 'person', 1: 'dog'}"]
    script.main([NAME, "-o", str(path), "--input-size", "64x96", "--half", "--metadata", *entries])
    graph = onnx.load(path)
    assert [(entry.key, entry.value) for entry in graph.metadata_props] == [
        ("names", "{0: 'person', 1: 'dog'}"),  # what is given takes the place of what was there
        ("license", "Apache-2.0"),
        ("training_data", "one = 1; two"),
    ]
    assert any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in graph.graph.initializer)
    assert Detector(path, threads=1).input_size == (64, 96)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([next(iter(POSE_CONFIGS)), "--half"], "--half and --metadata belong to a detector"),
        (["--all", "--metadata", "a=b"], "--half and --metadata belong to a detector"),
        ([NAME, "--metadata", "=b"], "expected KEY=VALUE, got '=b'"),
        ([NAME, "--metadata", "a"], "expected KEY=VALUE, got 'a'"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        script.main([*arguments, "-o", str(tmp_path / "x.onnx")])
    assert message in capsys.readouterr().err


def options_of(folder: Path, out: Path, *more: str) -> Any:
    words = [NAME, "--cache", f"{folder}:2", "--dev", str(folder), "--out", str(out), "--batch", "2", "--warmup", "2"]
    words += ["--no-compile", "--no-bf16", "--workers", "0", "--save-minutes", "0", "--evaluate-every", "4"]
    return train.parse_options([*words, *more])


def test_it_trains_in_stages_and_goes_on(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train.train(options_of(folder, out, "--stages", "32x32:4", "64x96:4"), Processes())
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [(entry["size"], entry["total"]) for entry in entries] == [("32x32", 4), ("64x96", 8)]
    assert all(np.isfinite(entry["loss"]) for entry in entries)
    assert all(0 <= entry[name] <= 1 for entry in entries for name in ("AP50", "recall", "score"))
    first, second = (torch.load(out / f"{size}.pt", weights_only=True) for size in ("32x32", "64x96"))
    assert second["input_size"] == [64, 96]
    assert not torch.equal(first["ema"]["stem.0.weight"], second["ema"]["stem.0.weight"])
    assert all(value.isfinite().all() for value in second["ema"].values())
    run = train.train(options_of(folder, out, "--stages", "32x32:4", "64x96:8"), Processes())
    assert (run.stage, run.total) == (2, 12)


def test_it_starts_from_an_exported_file(graph: Any, folder: Path, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "start.onnx")
    more = ("--stages", "96x128:2", "--init", str(tmp_path / "start.onnx"), "--lr", "1e-12", "--weight-decay", "0")
    train.train(options_of(folder, tmp_path / "run", *more), Processes())
    start, end = read_weights(tmp_path / "start.onnx"), read_weights(tmp_path / "run" / "96x128.pt")
    torch.testing.assert_close(end["heads.0.box.weight"], start["heads.0.box.weight"])
    assert (end["stem.1.running_var"] != 1).all()  # batch norms have statistics again


def test_it_has_no_preset(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options_of(folder, tmp_path, "--preset", "auto")
    assert f"--preset: {NAME} has no paper to follow; give --stages" in capsys.readouterr().err


def test_the_command_trains_it_in_bfloat16(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, Path(train.__file__), NAME, "--cache", folder, "--out", tmp_path, "--stages", "64x64:4"]
    subprocess.run(
        [*map(str, command), "--batch", "2", "--workers", "1", "--no-compile"], check=True, capture_output=True
    )
    state = torch.load(tmp_path / "64x64.pt", weights_only=True)
    assert state["config"] == NAME
    assert all(value.isfinite().all() for value in state["ema"].values())
