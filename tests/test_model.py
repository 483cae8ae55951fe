from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from leanpose import DEFAULT_MODEL, Estimator, ModelCard, SimCC, packaged, packaged_models
from leanpose.metadata import read_card_json, write_card
from leanpose.model import Model
from models import SIZE, dot_card, dot_graph, dot_model, save_model


def open_model(graph: onnx.ModelProto, card: ModelCard | str | None, folder: Path) -> Model:
    return Model(save_model(folder / "model.onnx", graph, card), "cpu", 1)


def with_dynamic_size(graph: onnx.ModelProto) -> onnx.ModelProto:
    for axis, name in ((2, "height"), (3, "width")):
        graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    return graph


@pytest.mark.parametrize("batch", ["batch", None, -1, 1, 4])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_batch_runs_on_any_graph(batch: Any, count: int, tmp_path: Path) -> None:
    height, width = SIZE
    images = np.random.default_rng(0).random((count, 3, height, width), np.float32)
    x, y = Model(dot_model(tmp_path, batch=batch), "cpu", 1).run(images)
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(x, images.max(axis=2))
    np.testing.assert_array_equal(y, images.max(axis=3))


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_float_outputs_become_float32(dtype: int, tmp_path: Path) -> None:
    x, y = open_model(dot_graph(output_dtype=dtype), dot_card(), tmp_path).run(np.ones((2, 3, *SIZE), np.float32))
    assert x.dtype == y.dtype == np.float32
    assert x.min() == y.max() == 1


def renamed(graph: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.compose.add_prefix(graph, "head_")


@pytest.mark.parametrize(
    ("graph", "card", "message"),
    [
        (dot_graph(), dot_card(size=(24, 32)), r"field input\.size: \[24, 32\] does not fit .*\[batch, 3, 32, 24\]"),
        (dot_graph(channels=1), dot_card(), r"\[batch, 1, 32, 24\]; expected \(batch, 3, height, width\)"),
        (dot_graph(), dot_card(split_ratio=2), r"simcc_x \[batch, 3, 48\], but the graph gives .* 3, 24\]"),
        (dot_graph(split_ratio=2), dot_card(), r"simcc_x \[batch, 3, 24\], but the graph gives .* 3, 48\]"),
        (renamed(dot_graph()), dot_card(), r"the graph has no output 'simcc_x', only head_simcc_x, head_simcc_y"),
        (dot_graph(output_dtype=TensorProto.INT64), dot_card(), r"output simcc_x is tensor\(int64\), expected floats"),
        (dot_graph(inputs=("image", "mask")), dot_card(), r"expected one input, the graph has 2: image, mask"),
        (dot_graph(batch=0), dot_card(), r"expected a dynamic or positive batch size"),
    ],
)
def test_a_card_that_contradicts_the_graph(
    graph: onnx.ModelProto, card: ModelCard, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"^model: '.*model\.onnx': .*{message}"):
        open_model(graph, card, tmp_path)


def test_a_card_of_another_number_of_keypoints(tmp_path: Path) -> None:
    data = dot_card().to_dict()
    data["keypoints"] = {"names": ["a", "b"], "skeleton": [], "flip_pairs": [], "sigmas": [0.1, 0.1]}
    with pytest.raises(ValueError, match=r"ask for output simcc_x \[batch, 2, 24\]"):
        open_model(dot_graph(), json.dumps(data), tmp_path)


def test_contradictions_that_only_a_run_shows(tmp_path: Path) -> None:
    graph = with_dynamic_size(dot_graph(hide_shapes=True))
    estimator = Estimator(save_model(tmp_path / "model.onnx", graph, dot_card(split_ratio=2)), threads=1)
    with pytest.raises(ValueError, match=r"output simcc_x has shape \(1, 3, 24\).*should be \(1, 3, 48\)"):
        estimator.predict(np.zeros((9, 9, 3), np.uint8))


def test_a_graph_that_fails_on_a_batch_names_model_and_batch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph = dot_graph()
    for node in graph.graph.node:
        node.input[0] = "single" if node.input[0] == "image" else node.input[0]
    graph.graph.node.insert(0, helper.make_node("Reshape", ["image", "shape"], ["single"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 3, *SIZE]), "shape"))
    model = open_model(graph, dot_card(), tmp_path)
    assert len(model.run(np.zeros((1, 3, *SIZE), np.float32))) == 2
    with pytest.raises(RuntimeError, match=r"model: '.*model\.onnx' fails on a batch of shape \(2, 3, 32, 24\)"):
        model.run(np.zeros((2, 3, *SIZE), np.float32))
    assert capfd.readouterr() == ("", "")


def test_a_sound_file_opens_by_any_kind_of_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dot_model(tmp_path, "größer 姿.onnx")
    monkeypatch.chdir(tmp_path)
    for given in (path, str(path), path.name, Path(path.name)):
        model = Model(given, "cpu", 1)
        assert model.path == path
        assert model.card == dot_card()
        assert model.providers == ("CPUExecutionProvider",)


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xff.onnx")
    try:
        path.write_bytes(dot_model(tmp_path).read_bytes())
    except OSError:
        pytest.skip("this file system knows no such names")
    with pytest.raises(ValueError, match=r"model: the name of b'.*\\xff.onnx' is not UTF-8, which ONNX Runtime needs"):
        Model(path, "cpu", 1)


def test_external_weights_lie_beside_a_link(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "folder"
    store.mkdir()
    folder.mkdir()
    graph = dot_graph()
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(600, np.float32), "bias"))
    graph.graph.node.append(helper.make_node("Identity", ["bias"], ["spare"]))
    graph.graph.output.append(helper.make_tensor_value_info("spare", TensorProto.FLOAT, [600]))
    onnx.save_model(graph, str(store / "graph"), save_as_external_data=True, location="weights", size_threshold=100)
    write_card(store / "graph", dot_card())
    (folder / "weights").write_bytes((store / "weights").read_bytes())
    (store / "weights").unlink()
    (folder / "model.onnx").symlink_to(store / "graph")
    link = folder / "model.onnx"
    assert Model(link, "cpu", 1).path == link


NOT_MODELS = {
    "empty": b"",
    "text": b"this is a text file\n",
    "JSON": b'{"leanpose": 1}',
    "zeros": bytes(100),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "metadata only": onnx.ModelProto(metadata_props=[{"key": "leanpose", "value": "{}"}]).SerializeToString(),
    **{f"noise {seed}": np.random.default_rng(seed).bytes(200 * seed + 1) for seed in range(5)},
}


@pytest.mark.parametrize("data", NOT_MODELS.values(), ids=NOT_MODELS)
def test_files_that_are_no_models(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^model: '{re.escape(str(path))}' is not a sound ONNX model"):
        Estimator(path)
    for use in (read_card_json, lambda path: write_card(path, dot_card())):
        with pytest.raises(ValueError, match=r"is not an ONNX model"):
            use(path)
    assert path.read_bytes() == data


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = dot_model(tmp_path).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in [*range(0, len(data), max(1, len(data) // 97)), len(data) - 2, len(data) - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"^model: '.*cut\.onnx'"):
            Estimator(cut, threads=1)


def test_a_broken_card_names_file_and_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^model: '.*model\.onnx': model card: not valid JSON"):
        open_model(dot_graph(), "{", tmp_path)
    with pytest.raises(ValueError, match=r"^model: '.*model\.onnx': model card: field version is missing"):
        open_model(dot_graph(), "{}", tmp_path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder; expected an ONNX file"):
        Estimator(tmp_path)
    for missing in (tmp_path / "none.onnx", "none.onnx", f"{tmp_path}/{DEFAULT_MODEL}", "a\0b", "\ud800"):
        with pytest.raises(FileNotFoundError, match=r"^model: there is no file .*; packaged models: \S"):
            Estimator(missing)
    for wrong in (None, 3, b"model.onnx", ["model.onnx"]):
        with pytest.raises(TypeError, match=r"^model: expected a path or the name of a packaged model, got "):
            Estimator(wrong)  # type: ignore[arg-type]


def test_packaged_models_are_found_by_name_and_an_existing_file_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, here = tmp_path / "package", tmp_path / "here"
    package.mkdir()
    here.mkdir()
    monkeypatch.setattr(packaged, "_FOLDER", package)
    monkeypatch.chdir(here)
    assert packaged_models() == ()
    with pytest.raises(FileNotFoundError, match=r"packaged models: none$"):
        Model("b.onnx")
    for name in ("b.onnx", "a.onnx"):
        dot_model(package, name)
    assert packaged_models() == ("a.onnx", "b.onnx")
    with pytest.raises(FileNotFoundError, match=r"there is no file 'c\.onnx'; packaged models: a\.onnx, b\.onnx$"):
        Model("c.onnx")
    assert Model("a.onnx", "cpu", 1).path == package / "a.onnx"
    with pytest.raises(FileNotFoundError):
        Model("here/a.onnx")
    dot_model(here, "a.onnx")
    assert Model("a.onnx", "cpu", 1).path == here / "a.onnx"


def test_outputs_are_taken_by_name_not_by_place(tmp_path: Path) -> None:
    graph = dot_graph((32, 32))
    outputs = list(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend(reversed(outputs))
    images = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    x, y = open_model(graph, dot_card(size=(32, 32)), tmp_path).run(images)
    np.testing.assert_array_equal(x, images.max(axis=2))
    swapped = replace(dot_card(size=(32, 32)), codec=SimCC(1.0, x="simcc_y", y="simcc_x"))
    crossed_x, crossed_y = open_model(graph, swapped, tmp_path).run(images)
    np.testing.assert_array_equal(crossed_x, y)
    np.testing.assert_array_equal(crossed_y, x)
