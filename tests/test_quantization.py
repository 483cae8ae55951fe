from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from detectors import Crowd, save_detector
from onnx import TensorProto, helper, numpy_helper
from shop import ASTRONAUT, CENTERS, Shop, save_picture

from leanpose import Accuracy, Estimator, ModelCard, load_image
from leanpose.metadata import read_card_json
from leanpose.quantization import Drift, quantize
from models import SIZE, crowd_model, crowd_picture, dot_card, dot_graph, dots_picture, save_model

# quantize() needs no PyTorch; its tools come with ONNX Runtime
pytest.importorskip("onnxruntime.quantization")


def mixing_model(folder: Path, name: str = "mixing.onnx", batch: int | str = "batch", opset: int = 13) -> Path:
    """The dots behind two convolutions: one by 1/2 of each channel, as weights, one by 2, in a Constant operator."""
    graph = dot_graph(batch=batch)
    halves, twos = (factor * np.eye(3, dtype=np.float32)[..., None, None] for factor in (0.5, 2.0))
    nodes = [
        helper.make_node("Conv", ["image", "halves"], ["half"], "/stem/Conv"),
        helper.make_node("Constant", [], ["twos"], "/twos", value=numpy_helper.from_array(twos)),
        helper.make_node("Conv", ["half", "twos"], ["mixed"], "/head/Conv"),
    ]
    for node in graph.graph.node:
        node.input[:] = [{"image": "mixed", "": "roi"}.get(source, source) for source in node.input]
    for position, node in enumerate(nodes):
        graph.graph.node.insert(position, node)
    graph.graph.initializer.append(numpy_helper.from_array(np.empty(0, np.float32), "roi"))
    graph.graph.initializer.append(numpy_helper.from_array(halves, "halves"))
    graph.opset_import[0].version = opset
    card = ModelCard(**{**vars(dot_card()), "accuracy": (Accuracy("AP", 0.5, "dots"),), "license": "CC0-1.0"})
    return save_model(folder / name, graph, card)


def pictures(count: int = 6) -> list[npt.NDArray[np.uint8]]:
    return [dots_picture(*SIZE, CENTERS + shift) for shift in range(-2, count - 2)]


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def weights(path: Path) -> set[int]:
    return {entry.data_type for entry in onnx.load(path).graph.initializer if len(entry.dims) == 4}


@pytest.mark.parametrize("batch", ["batch", 4])
@pytest.mark.parametrize(("mode", "stored"), [("fp16", TensorProto.FLOAT16), ("int8", TensorProto.INT8)])
def test_copies_find_the_same_keypoints(tmp_path: Path, mode: Any, stored: int, batch: int | str) -> None:
    model, out = mixing_model(tmp_path, batch=batch), tmp_path / "small.onnx"
    before = model.read_bytes()
    done: list[None] = []
    result = quantize(model, out, pictures(), mode, threads=1, on_picture=lambda: done.append(None))
    assert (result.drift.mean, result.drift.worst) == (1, 1)
    assert len(result.drift.oks) == (3 if mode == "int8" else 6)  # int8 is measured on every other picture
    assert len(done) == 6
    assert (result.size, result.original_size) == (out.stat().st_size, len(before))
    assert weights(out) == {stored}
    assert ("QuantizeLinear" in operators(out)) == (mode == "int8")
    poses = Estimator(out, threads=1).predict(pictures()[4])
    np.testing.assert_array_equal(poses.xy, [CENTERS + 2])
    np.testing.assert_allclose(poses.keypoint_scores, 250, atol=2)  # of 255 steps
    assert model.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixing.onnx", "small.onnx"]


def test_the_card_carries_over_without_accuracy(tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    quantize(mixing_model(tmp_path), out, pictures(), "int8", threads=1, card={"codec.temperature": 2.0})
    expected = dot_card(temperature=2.0).to_dict()
    assert json.loads(read_card_json(out) or "") == {**expected, "name": "dots (int8)", "license": "CC0-1.0"}
    assert [entry.key for entry in onnx.load(out).metadata_props] == ["leanpose"]


def test_drift_is_what_the_copy_loses(tmp_path: Path) -> None:
    """A range calibrated on dark pictures cuts bright ones off, so that their maximum is a plateau."""
    dark = [dots_picture(*SIZE, CENTERS, peak=40) for _ in range(3)]
    bright = [dots_picture(*SIZE, np.add(CENTERS, [0, 1]), peak=250) for _ in range(3)]
    mixed = [picture for pair in zip(dark, bright, strict=True) for picture in pair]
    result = quantize(mixing_model(tmp_path), tmp_path / "small.onnx", mixed, "int8", threads=1)
    before, after = (Estimator(tmp_path / name, threads=1) for name in ("mixing.onnx", "small.onnx"))
    assert not np.array_equal(before.predict(bright[0]).xy, after.predict(bright[0]).xy)
    assert result.drift.worst < 0.95
    assert result.drift.mean == pytest.approx(result.drift.worst)


@pytest.mark.parametrize("mode", ["fp16", "int8"])
def test_kept_operators_stay_in_fp32(tmp_path: Path, mode: Any) -> None:
    quantize(mixing_model(tmp_path), tmp_path / "small.onnx", pictures(), mode, keep=["/head"], threads=1)
    graph = onnx.load(tmp_path / "small.onnx").graph
    stored = {entry.name: entry.data_type for entry in graph.initializer}
    (head,) = (node for node in graph.node if node.name == "/head/Conv")
    assert stored[head.input[1]] == TensorProto.FLOAT


def test_the_last_convolutions_stay_in_fp32_with_names_or_without(tmp_path: Path) -> None:
    graph = dot_graph()
    names = [""] * 18 + ["conv_1", ""]  # a name that one without might get
    weights = [(f"w{i}", np.eye(3, dtype=np.float32)[..., None, None] * (1 + i / 64)) for i in range(20)]
    for number, (name, (weight, values)) in enumerate(zip(names, weights, strict=True)):
        source, target = (f"x{number}" if number else "image"), f"x{number + 1}"
        graph.graph.node.insert(number, helper.make_node("Conv", [source, weight], [target], name))
        graph.graph.initializer.append(numpy_helper.from_array(values, weight))
    for node in graph.graph.node[20:]:
        node.input[:] = [{"image": "x20"}.get(source, source) for source in node.input]
    model = save_model(tmp_path / "deep.onnx", graph, dot_card())
    quantize(model, tmp_path / "small.onnx", pictures(), "int8", threads=1)
    stored = onnx.load(tmp_path / "small.onnx").graph
    kernels = {entry.name: entry.data_type for entry in stored.initializer if len(entry.dims) == 4}
    assert len(kernels) == 20
    assert {name for name, kind in kernels.items() if kind == TensorProto.FLOAT} == {"w18", "w19"}


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (7, 64)])
def test_weights_fill_their_bits(tmp_path: Path, bits: int, largest: int) -> None:
    quantize(mixing_model(tmp_path), tmp_path / "small.onnx", pictures(), "int8", weight_bits=bits, threads=1)
    kernels = [e for e in onnx.load(tmp_path / "small.onnx").graph.initializer if len(e.dims) == 4]
    assert {int(np.abs(numpy_helper.to_array(kernel).astype(int)).max()) for kernel in kernels} == {largest}


def test_older_opsets_are_raised(tmp_path: Path) -> None:
    model = mixing_model(tmp_path, opset=12)
    assert quantize(model, tmp_path / "small.onnx", pictures(), "int8", threads=1).drift.worst == 1
    assert weights(tmp_path / "small.onnx") == {TensorProto.INT8}


def test_weights_in_files_of_their_own_come_into_the_copy(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    model = tmp_path / "large" / "model.onnx"
    stored = onnx.load(mixing_model(tmp_path))
    onnx.save(stored, model, save_as_external_data=True, size_threshold=0, location="weights.bin")
    result = quantize(model, tmp_path / "small.onnx", pictures(), "fp16", threads=1)
    assert result.drift.worst == 1
    assert result.original_size == pytest.approx((tmp_path / "mixing.onnx").stat().st_size, abs=100)
    (tmp_path / "large" / "weights.bin").unlink()
    assert len(Estimator(tmp_path / "small.onnx", threads=1).predict(pictures()[0])) == 1


def test_models_that_find_persons_are_compared_with_the_nearest(tmp_path: Path) -> None:
    picture = crowd_picture(64, 96, [((20, 12), (30, 40)), ((60, 14), (70, 44))])
    result = quantize(crowd_model(tmp_path), tmp_path / "small.onnx", [picture], "fp16", threads=1)
    assert len(result.drift.oks) == 2
    assert result.drift.worst > 0.99


def pair_finder(folder: Path) -> Path:
    """Finds the two halves of a picture, and nobody where all is of one colour."""
    height, width = SIZE[0], 2 * SIZE[1]
    found = Crowd([[0, 0, width / 2, height], [width / 2, 0, width, height]], [0.9, 0.8]).labelled()
    return save_detector(folder / "pair.onnx", found, Crowd([], []).labelled(), size=(height, width))


@pytest.mark.parametrize(("mode", "measured"), [("fp16", 6), ("int8", 2)])
def test_persons_are_found_in_pictures_without_boxes(tmp_path: Path, mode: Any, measured: int) -> None:
    """Two in each of two pictures, nobody in the next; boxes given with the last one win."""
    first, second, third, last = (np.tile(picture, (1, 2, 1)) for picture in pictures(4))
    given = [first, second, np.zeros_like(third), (last, []), first]
    result = quantize(
        mixing_model(tmp_path), tmp_path / "small.onnx", given, mode, detector=pair_finder(tmp_path), threads=1
    )
    assert (len(result.drift.oks), result.drift.worst) == (measured, 1)


def test_the_packaged_detector_finds_them_for_models_of_a_body(tmp_path: Path) -> None:
    model, row = mixing_model(tmp_path), np.tile(load_image(ASTRONAUT), (1, 3, 1))
    body = {"keypoints.names": ["left_shoulder", "left_wrist", "left_hip"]}
    found = len(Estimator(model, card=body, threads=1).predict(row))
    assert found >= 3
    for card, detector, persons in (({}, "default", 1), (body, "default", found), (body, None, 1)):
        result = quantize(model, tmp_path / "small.onnx", [row], "fp16", card=card, detector=detector, threads=1)
        assert len(result.drift.oks) == persons


def test_drift_of_nobody_is_unknown(tmp_path: Path) -> None:
    result = quantize(mixing_model(tmp_path), tmp_path / "small.onnx", [(pictures()[0], [])], "fp16", threads=1)
    assert len(result.drift.oks) == 0
    assert np.isnan([result.drift.mean, result.drift.worst]).all()
    assert np.isnan(Drift(np.empty(0)).mean)


def test_nothing_is_printed_or_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tools warn on the root logger, which gives it a handler where it has none."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    for mode in ("fp16", "int8"):
        quantize(mixing_model(tmp_path), tmp_path / f"{mode}.onnx", pictures(), mode, threads=1)  # type: ignore[arg-type]
    assert root.handlers == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mode": "int4"}, ValueError, "mode: expected one of fp16, int8, got 'int4'"),
        ({"weight_bits": 6}, ValueError, "weight_bits: expected 7 or 8, got 6"),
        ({"pictures": []}, ValueError, "at least 2 to make and to measure int8, got 0"),
        ({"pictures": pictures()[:1]}, ValueError, "at least 2 to make and to measure int8, got 1"),
        ({"pictures": [], "mode": "fp16"}, ValueError, "at least 1 to make and to measure fp16, got 0"),
        ({"pictures": "photos"}, TypeError, "pictures: expected several pictures, got one str"),
        ({"pictures": pictures()[0]}, TypeError, "got one ndarray"),
        ({"pictures": 3}, TypeError, "got one int"),
        ({"pictures": [(picture, []) for picture in pictures()]}, ValueError, "expected somebody in them"),
        ({"pictures": [*pictures()[:2], "none.png"]}, FileNotFoundError, r"picture 2: image: there is no file"),
        ({"pictures": [*pictures()[:3], "none.png"]}, FileNotFoundError, r"picture 3: image: there is no file"),
        ({"pictures": [*pictures()[:2], (pictures()[2], [[0, 0, 0, 0]])]}, ValueError, "picture 2: boxes"),
        ({"pictures": [np.zeros((4, 4), np.float32)] * 2}, TypeError, "picture 0: image: expected a uint8 array"),
        ({"keep": "/head"}, TypeError, "keep: expected a sequence of names"),
        (
            {"keep": ["/neck"]},
            ValueError,
            "no operator's name begins with '/neck'; there are, among others, /stem/Conv",
        ),
        ({"model": "none.onnx"}, FileNotFoundError, "there is no file 'none.onnx'"),
        ({"model": "text.onnx"}, ValueError, "is not a sound ONNX model"),
        ({"model": "plain.onnx"}, ValueError, "'.*plain.onnx' cannot be converted to int8: it has no convolution"),
        ({"out": "."}, ValueError, "out: '.' is a folder"),
        ({"keep": [""]}, ValueError, "no operator's name begins with ''; there are, among others, /stem/Conv"),
        ({"out": "none/small.onnx"}, FileNotFoundError, "out: there is no folder 'none'"),
        ({"out": "mixing.onnx"}, ValueError, "out: 'mixing.onnx' is the model itself"),
        ({"card": {"input.size": [10, 10]}}, ValueError, "input.size"),
        ({"providers": "none"}, ValueError, "unknown provider 'none'"),
        ({"threads": 0}, ValueError, "threads: expected 1 to"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = mixing_model(tmp_path)
    save_model(tmp_path / "plain.onnx", dot_graph(), dot_card())
    (tmp_path / "text.onnx").write_text("no model")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    arguments = {"model": model, "out": "small.onnx", "pictures": pictures(), "mode": "int8", "threads": 1, **changes}
    with pytest.raises(error, match=message):
        quantize(**arguments)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("first", ["fp16", "int8"])
@pytest.mark.parametrize("second", ["fp16", "int8"])
def test_a_converted_model_is_refused(tmp_path: Path, first: Any, second: Any) -> None:
    quantize(mixing_model(tmp_path), tmp_path / "small.onnx", pictures(), first, threads=1)
    with pytest.raises(ValueError, match=f"small.onnx' is in {first} already; expected the original in fp32"):
        quantize(tmp_path / "small.onnx", tmp_path / "smaller.onnx", pictures(), second, threads=1)


def test_without_the_onnx_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mixing_model(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'leanpose\[quantize\]'"):
        quantize(model, tmp_path / "small.onnx", pictures(), "fp16", threads=1)


def coco_folder(folder: Path, annotations: list[Any], images: Any = None) -> Path:
    for number in range(4):
        save_picture(folder / "images" / f"{number}.png", number)
    listed = [{"id": number, "file_name": f"{number}.png"} for number in range(4)] if images is None else images
    (folder / "annotations.json").write_text(json.dumps({"images": listed, "annotations": annotations}))
    return folder


def person(image: int, bbox: Any = (0, 0, SIZE[1], SIZE[0]), **more: Any) -> dict[str, Any]:
    return {"image_id": image, "bbox": list(bbox), "num_keypoints": 3, **more}


def run(shop: Shop, folder: Path, *more: object) -> tuple[int, str, str]:
    model = mixing_model(shop.folder)
    return shop.run("quantize", model, "--calibration", folder, "-o", "small.onnx", "--threads", 1, *more)


def test_command_takes_a_folder_of_pictures(shop: Shop) -> None:
    for number in range(5):
        save_picture(shop.folder / "photos" / f"{number}.png", number - 2)
    (shop.folder / "photos" / "notes.txt").write_text("no picture")
    code, out, err = run(shop, shop.folder / "photos", "--mode", "fp16", "--pictures", 3)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "small.onnx: 0.0 MB in fp16, from 0.0 MB",
        "OKS with the original over 3 persons: mean 1.0000, worst 1.0000",
    ]
    assert len(Estimator("small.onnx", threads=1).predict(shop.picture)) == 1


@pytest.mark.parametrize(("whole", "persons"), [(True, 3), (False, 6)])
def test_command_finds_persons_in_pictures(shop: Shop, whole: bool, persons: int) -> None:
    folder = shop.folder / "photos"
    folder.mkdir()
    for number, picture in enumerate(pictures(3)):
        cv2.imwrite(str(folder / f"{number}.png"), np.tile(picture, (1, 2, 1)))
    words = ["--whole"] if whole else ["-d", pair_finder(shop.folder)]
    code, out, err = run(shop, folder, "--mode", "fp16", *words)
    assert (code, err) == (0, "")
    assert f"over {persons} persons" in out


def test_command_takes_the_boxes_of_coco_annotations(shop: Shop) -> None:
    annotations = [
        *(person(number) for number in range(4)),
        person(1),
        person(3),
        person(2, iscrowd=1),
        person(2, [5, 5, 0, 0], num_keypoints=0),
    ]
    code, out, err = run(shop, coco_folder(shop.folder / "data", annotations))
    assert (code, err) == (0, "")
    assert "over 4 persons: mean 1.0000" in out  # of pictures 1 and 3


def test_command_gives_whole_pictures_to_models_that_find_persons(shop: Shop) -> None:
    folder = coco_folder(shop.folder / "data", [person(number, [0, 0, 2, 2]) for number in range(4)])
    picture = crowd_picture(64, 96, [((20, 12), (30, 40)), ((60, 14), (70, 44))])
    for number in range(4):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
    model = crowd_model(shop.folder)
    words = ["--calibration", folder, "--mode", "fp16", "-o", "small.onnx", "--threads", 1]
    code, out, _ = shop.run("quantize", model, *words)
    assert code == 0
    assert "over 8 persons" in out


def test_command_leaves_out_what_cannot_be_read(shop: Shop) -> None:
    annotations = [*(person(number) for number in range(4)), person(1, [900, 900, 5, 5])]
    folder = coco_folder(shop.folder / "data", annotations)
    (folder / "images" / "2.png").write_bytes(b"\x89PNG")
    code, out, err = run(shop, folder)
    assert code == 1
    assert "over 1 persons" in out
    assert [line.split(": ")[2] for line in err.splitlines()] == ["'1.png'", "'2.png'"]
    assert "expected a box that overlaps the picture" in err
    assert (shop.folder / "small.onnx").is_file()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"images": [], "annotations": []}',
        '{"images": 3, "annotations": 4}',
        '{"images": [], "annotations": [3]}',
        '{"images": [], "annotations": [{"bbox": [1, 2, 3]}]}',
        '{"images": [], "annotations": [{"bbox": [1, 2, 3, 4], "image_id": [1]}]}',
        '{"images": [{"id": 1}], "annotations": [{"bbox": [1, 2, 3, 4], "image_id": 1}]}',
        '{"images": [{"id": 1, "file_name": 7}], "annotations": [{"bbox": [1, 2, 3, 4], "image_id": 1}]}',
        "[" * 100_000,
    ],
)
def test_command_refuses_annotations_that_are_none(shop: Shop, content: str) -> None:
    folder = shop.folder / "data"
    folder.mkdir()
    (folder / "annotations.json").write_text(content)
    code, out, err = run(shop, folder)
    assert (code, out) == (1, "")
    assert err.startswith("leanpose quantize: --calibration: ")
    assert not os.path.exists("small.onnx")


@pytest.mark.parametrize(
    "box", [["a", "b", "c", "d"], [1, 2, None, 4], [1e999, 0, 1, 1], [0, 0, 10**40, 1], [0, 0, 0, 0]]
)
def test_command_leaves_out_boxes_that_are_none(shop: Shop, box: list[Any]) -> None:
    folder = coco_folder(shop.folder / "data", [person(0, box), *(person(number) for number in (1, 2, 3))])
    code, _, err = run(shop, folder, "--mode", "fp16")
    assert code == 1
    assert err.startswith("leanpose quantize: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pictures", "0"], "--pictures: expected at least 2, to calibrate on and to measure with, got 0"),
        (["--pictures", "1"], "--pictures: expected at least 2"),
        (["--calibration", "none"], "--calibration: there is no folder 'none'"),
        (["--calibration", "empty"], "--calibration: the folder 'empty' holds no picture"),
        (["--keep", "/neck"], "no operator's name begins with '/neck'"),
        (["--set", "input.size=[1,1]"], "input.size"),
    ],
)
def test_command_says_what_is_wrong(shop: Shop, words: list[str], message: str) -> None:
    (shop.folder / "empty").mkdir()
    save_picture(shop.folder / "photos" / "0.png")
    save_picture(shop.folder / "photos" / "1.png")
    code, out, err = run(shop, shop.folder / "photos", *words)
    assert (code, out) == (1, "")
    assert message in err
    assert not os.path.exists("small.onnx")
