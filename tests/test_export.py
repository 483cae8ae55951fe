"""Exported graphs: what they hold, that they equal their PyTorch originals, and weights back out of them."""
# ruff: noqa: E402 (torch and onnx may be absent)

from __future__ import annotations

import collections
import copy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

REASON = "exporting needs PyTorch and onnx: pip install 'leanpose[export]'"
torch = pytest.importorskip("torch", reason=REASON)
onnx = pytest.importorskip("onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)
ROOT = Path(__file__).resolve().parents[1]

from operators import TENSORRT_8_6

import export as script
from leanpose import COCO17, Estimator, ModelCard
from leanpose.card import METADATA_KEY
from leanpose.quantization import quantize
from model_defs.amfacpose import ABLATION, AMFACPose, CoordConv2d
from model_defs.folding import Norm, _factor, fold, unfold
from model_defs.registry import build
from training.weights import fit_weights, read_input_size, read_weights, restore_statistics

NAME = "amfacpose-r18-256x256"
SIZE = (64, 48)


def randomised(model: AMFACPose, seed: int = 0) -> AMFACPose:
    """As after a training: batch norms that fit their inputs, scales and shifts that are not where they started."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Norm):
                module.momentum = 1.0  # the one batch below gives the statistics
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(module, CoordConv2d):
                module.scale.uniform_(0.5, 2, generator=generator)
                module.shift.normal_(0, 0.5, generator=generator)
        model.train()(torch.randn(4, 3, *model.config.input_size, generator=generator))
    return model.eval()


def trained(name: str = NAME, **changes: Any) -> AMFACPose:
    torch.manual_seed(1)
    return randomised(build(name, **{"input_size": SIZE, **changes}))


@pytest.fixture(scope="module")
def original() -> AMFACPose:
    return trained()


@pytest.fixture(scope="module")
def graph(original: AMFACPose) -> Any:
    return script.export(original, NAME)


@pytest.fixture
def file(graph: Any, tmp_path: Path) -> Path:
    path = tmp_path / "pose.onnx"
    onnx.save(graph, path)
    return path


def session(graph: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def assert_close(got: Any, want: Any, tolerance: float = 1e-4) -> None:
    for mine, theirs in zip(got, want, strict=True):
        mine, theirs = np.asarray(mine), np.asarray(theirs)
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() <= tolerance * theirs.std()


def test_versions_and_signature(graph: Any) -> None:
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 17)]
    assert graph.ir_version <= 8
    described = {
        value.name: (
            value.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
        )
        for value in (*graph.graph.input, *graph.graph.output)
    }
    assert described == {
        "image": (onnx.TensorProto.FLOAT, ["batch", 3, 64, 48]),
        "simcc_x": (onnx.TensorProto.FLOAT, ["batch", 17, 96]),
        "simcc_y": (onnx.TensorProto.FLOAT, ["batch", 17, 128]),
    }


def test_the_operators_and_no_others(graph: Any) -> None:
    blocks, stages, mish = 8, 4, 3 + 2 * 8 + 2
    assert collections.Counter(node.op_type for node in graph.graph.node) == {
        # stem; two separable ones and SCRM's two per block; shortcuts; SE, AFPN's lateral twice and DGCB; both ends
        "Conv": 3 + blocks * 6 + 3 + stages * (2 + 2 + 4) + 2,
        "Clip": mish,
        "Exp": mish,
        "Div": mish,
        "Add": 2 * mish + blocks + 2,  # residuals and coordinate maps
        "Mul": 2 * mish + blocks * 2 + stages * (1 + 1 + 2),  # SCRM, SE, DGCB and AFPN
        "Sigmoid": blocks * 2 + stages * (1 + 2),
        "Relu": stages * (1 + 2),
        "GlobalAveragePool": blocks + stages * 2,
        "Transpose": blocks * 2,  # SCRM's channels to a row and back
        "Resize": stages - 1,
        "Concat": 1,
        "Gemm": 4,
        "Reshape": 3,
    }


@pytest.mark.parametrize("name", ["amfacpose-r18-256x256", "amfacpose-r34-256x256"])
def test_tensorrt_reads_it(name: str) -> None:
    graph = script.export(trained(name), name).graph
    assert {node.op_type for node in graph.node} <= TENSORRT_8_6
    weights = {entry.name: entry for entry in graph.initializer}
    for node in graph.node:
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type == "Resize":
            assert attributes["mode"] == b"linear"
            assert attributes["coordinate_transformation_mode"] in (b"half_pixel", b"pytorch_half_pixel")
            assert list(node.input[1:2]) == [""]
            assert node.input[2] in weights
        elif node.op_type == "Conv":
            assert len(weights[node.input[1]].dims) == 4
        elif node.op_type in ("Clip", "Reshape"):
            assert all(entry in weights for entry in node.input[1:] if entry)


def test_nothing_is_left_to_compute_beforehand(graph: Any) -> None:
    constants = {entry.name for entry in graph.graph.initializer}
    assert [node.name for node in graph.graph.node if constants.issuperset(filter(None, node.input))] == []
    shapes = [onnx.numpy_helper.to_array(entry) for entry in graph.graph.initializer if entry.data_type == 7]
    assert sorted(shape.tolist() for shape in shapes) == [[-1, 17, 96], [-1, 17, 128], [-1, 2 * 4 * 3]]


def test_weights_keep_their_names_and_values(graph: Any, original: AMFACPose) -> None:
    folded = fold(original, SIZE).state_dict()
    stored = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.graph.initializer}
    assert {name for name in stored if not name.startswith("constant_")} == set(folded)
    for name, value in folded.items():
        np.testing.assert_array_equal(stored[name], value.numpy())


def test_equal_weights_keep_their_names_too() -> None:
    graph = script.export(build(NAME, input_size=SIZE).eval(), NAME).graph
    names = [entry.name for entry in graph.initializer]
    assert len(names) == len(set(names))
    assert {"afpn.lateral.0.bias", "afpn.lateral.1.bias", "afpn.dgcb.2.gate.2.bias"} <= set(names)


def test_nothing_of_this_machine_is_stored(graph: Any) -> None:
    assert str(ROOT).encode() not in graph.SerializeToString()
    assert graph.graph.name == NAME
    assert not graph.doc_string
    assert not any(entry.doc_string for entry in (graph.graph, *graph.graph.node))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_any_batch_size(graph: Any, original: AMFACPose, batch: int) -> None:
    image = torch.randn(batch, 3, *SIZE, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        want = original(image)
    assert_close(session(graph).run(None, {"image": image.numpy()}), want)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_size": (100, 76)},
        {"input_size": (33, 47), "num_keypoints": 1},
        {"num_keypoints": 21, "split_ratio": 3},
        {"blocks": (3, 4, 6, 3)},
        *({switch: False} for switch in ("afpn", "dgcb", "scrm", "se", "coord")),
    ],
)
def test_every_configuration_equals_pytorch(changes: dict[str, Any]) -> None:
    model = trained(**changes)
    assert script.compare(script.export(model, NAME), model) < 1e-4


def test_extreme_activations_equal_pytorch() -> None:
    model = trained()
    with torch.no_grad():
        model.stem[1].weight.mul_(33)  # to +-100, beyond where exp overflows
        model.train()(torch.randn(4, 3, *SIZE, generator=torch.Generator().manual_seed(1)))
        model.eval()
    assert script.compare(script.export(model, NAME), model) < 1e-4


def test_the_plain_resnet_needs_convolutions_and_mish_alone() -> None:
    graph = script.export(randomised(AMFACPose(replace(ABLATION["baseline"], input_size=SIZE))), "baseline").graph
    operators = {"Conv", "Clip", "Exp", "Add", "Mul", "Div", "Gemm", "Reshape"}
    assert {node.op_type for node in graph.node} == operators


def test_folding_leaves_the_original_alone(original: AMFACPose) -> None:
    before = copy.deepcopy(original.state_dict())
    fold(original.train(), SIZE)
    assert original.training
    original.eval()
    after = original.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


@given(st.integers(1, 400), st.integers(1, 400))
def test_resize_factors_give_the_wanted_length(a: int, b: int) -> None:
    wanted, length = sorted((a, b))
    factor = _factor(length, wanted)
    assert int(np.float32(length) * np.float32(factor)) == wanted
    assert int(length * factor) == wanted
    assert factor == pytest.approx(wanted / length, rel=1e-6)


def test_a_wrong_graph_does_not_pass(graph: Any, original: AMFACPose) -> None:
    wrong = onnx.ModelProto()
    wrong.CopyFrom(graph)
    bias = next(entry for entry in wrong.graph.initializer if entry.name == "head_x.2.bias")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[5] += 0.01
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    with pytest.raises(RuntimeError, match="differs from PyTorch"):
        script.compare(wrong, original)


def test_the_model_card(graph: Any, file: Path) -> None:
    (entry,) = (entry for entry in graph.metadata_props if entry.key == METADATA_KEY)
    card = ModelCard.from_json(entry.value)
    assert (card.name, card.input.size, card.input.color, card.keypoints) == (
        f"amfacpose-r18-{SIZE[0]}x{SIZE[1]}",
        SIZE,
        "rgb",
        COCO17,
    )
    poses = Estimator(file, providers="cpu").predict(np.zeros((50, 40, 3), np.uint8), [[5, 5, 30, 40]])
    assert poses.xy.shape == (1, 17, 2)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.py", *map(str, arguments)])
    script.main()


def test_command_with_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{i}.onnx" for i in range(3)]
    for path, seed in zip(files, (3, 3, 4), strict=True):
        run(monkeypatch, NAME, "-o", path, "--input-size", "48x40", "--keypoints", "5", "--seed", seed)
    assert capsys.readouterr().out.startswith(f"{files[0]}: 360 operators, differs from PyTorch by ")
    first, second, third = (path.read_bytes() for path in files)
    assert first == second != third
    x, y = session(onnx.load(files[0])).run(None, {"image": np.zeros((1, 3, 48, 40), np.float32)})
    assert (x.shape, y.shape) == ((1, 5, 80), (1, 5, 96))


def test_command_with_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, original: AMFACPose) -> None:
    checkpoint, output = tmp_path / "64x48.pt", tmp_path / "pose.onnx"
    torch.save({"config": NAME, "input_size": list(SIZE), "ema": original.state_dict()}, checkpoint)
    assert read_input_size(checkpoint) == SIZE
    run(monkeypatch, NAME, "-o", output, "--checkpoint", checkpoint)
    assert read_input_size(output) == SIZE
    assert script.compare(onnx.load(output), original) < 1e-4
    with pytest.raises(RuntimeError, match="size mismatch for head_x"):
        run(monkeypatch, NAME, "-o", output, "--checkpoint", checkpoint, "--input-size", "96x72")


def test_plain_state_dicts_are_read(tmp_path: Path, original: AMFACPose) -> None:
    torch.save(original.state_dict(), tmp_path / "plain.pt")
    assert read_input_size(tmp_path / "plain.pt") is None
    assert list(read_weights(tmp_path / "plain.pt")) == list(original.state_dict())


@pytest.mark.parametrize("changes", [{}, {"input_size": (100, 76), "num_keypoints": 3, "split_ratio": 3}])
def test_weights_come_back_from_an_exported_file(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = trained(**changes)
    onnx.save(script.export(model, NAME), tmp_path / "pose.onnx")
    weights = read_weights(tmp_path / "pose.onnx")
    fresh = build(NAME, **{"input_size": SIZE, **changes}).eval()
    fresh.load_state_dict(weights)
    image = torch.randn(3, 3, *model.config.input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want, got = model(image), fresh(image)
    assert_close(got, want)


def test_weights_come_back_from_a_copy_in_half_precision(file: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    quantize(file, small, [np.zeros((32, 32, 3), np.uint8)], "fp16", threads=1)
    exact, rounded = read_weights(file), read_weights(small)
    assert list(rounded) == list(exact)
    for name, value in rounded.items():
        assert value.dtype == exact[name].dtype
        torch.testing.assert_close(value, exact[name], rtol=1e-3, atol=1e-3)


def test_weights_fit_another_input_size(file: Path) -> None:
    model = build(NAME, input_size=(96, 72))
    fit_weights(model, read_weights(file))
    stored = read_weights(file)
    assert torch.equal(model.state_dict()["stages.1.0.conv1.0.weight"], stored["stages.1.0.conv1.0.weight"])
    assert torch.equal(model.state_dict()["stem.0.conv.weight"], stored["stem.0.conv.weight"])


def test_restored_statistics_keep_the_function_in_training_mode(file: Path, original: AMFACPose) -> None:
    model = build(NAME, input_size=SIZE)
    model.load_state_dict(read_weights(file))
    image = torch.randn(8, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = original(image)
        lost = copy.deepcopy(model).train()(image)
        restore_statistics(model, image)
        assert model.training
        assert_close(model(image), want)
        assert_close(model.eval()(image), want, 0.05)  # after one update by variances without bias, of small maps
    assert (lost[0] - want[0]).abs().max() > want[0].std()


def test_unfolding_names_the_weight_that_is_wrong(original: AMFACPose) -> None:
    weights = fold(original, SIZE).state_dict()
    fresh = build(NAME, input_size=SIZE)
    with pytest.raises(ValueError, match=r"'embed\.bias' is missing, expected shape \(34,\)"):
        unfold({name: value for name, value in weights.items() if name != "embed.bias"}, fresh, SIZE)
    with pytest.raises(ValueError, match=r"'stem\.0\.map' has shape \(1, 32, 32, 24\), expected shape \(32, 16, 12\)"):
        unfold(weights, build(NAME, input_size=(32, 24)), (32, 24))
