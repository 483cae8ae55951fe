"""Checkpoints of mmpose and of SRPose's authors: layouts, safety, refused weights, official outputs."""
# ruff: noqa: E402 (torch and onnx may be absent)

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

REASON = "converting needs PyTorch and onnx: pip install 'leanpose[export]'"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)

from test_srpose import oracle, oracle_weight

import convert as script
from checkpoints import Inert, read_checkpoint, recorded_input_size, state_of
from leanpose import Estimator, Heatmap, ModelCard
from leanpose.card import METADATA_KEY
from model_defs.registry import CONFIGS, build

SHARED = os.environ.get("LEANPOSE_SHARED", "")
needs_shared = pytest.mark.skipif(not SHARED, reason="set LEANPOSE_SHARED to the folder with the oracles")
large = pytest.mark.skipif("LEANPOSE_LARGE" not in os.environ, reason="set LEANPOSE_LARGE for networks of a minute")
NAME = "hrnet-w32-256x192"
TINY = {"input_size": (64, 48), "width": 8, "units": (1, 1, 1)}
State = dict[str, Any]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, NAME, replace(CONFIGS[NAME], **TINY))


def filled(name: str, **changes: Any) -> Any:
    """As after a training: norms with statistics, and outputs that are more than rounding."""
    torch.manual_seed(0)
    model = build(name, **changes).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value.add_(torch.rand_like(value))
            elif key.endswith(("running_mean", "bias")):
                value.normal_(0, 0.1)
            elif value.is_floating_point() and value.ndim == 4:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
    return model


@pytest.fixture
def model() -> Any:
    return filled(NAME)


def in_1x(state: State) -> State:
    """mmpose 1.x calls the keypoint head `head`."""
    return OrderedDict((key.replace("keypoint_head.", "head."), value) for key, value in state.items())


def in_parallel(state: State) -> State:
    return OrderedDict((f"module.{key}", value) for key, value in state.items())


def saved(path: Path, checkpoint: Any, **options: Any) -> Path:
    torch.save(checkpoint, path, **options)
    return path


def run(monkeypatch: pytest.MonkeyPatch, path: Path, name: str, *options: str) -> Path:
    output = path.with_suffix(".onnx")
    monkeypatch.setattr(sys, "argv", ["convert.py", str(path), "--model", name, "-o", str(output), *options])
    script.main()
    return output


def infer(path: Path, image: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": image}))


# Layouts.

LAYOUTS: dict[str, Callable[[State], Any]] = {
    "0.x": lambda state: {"meta": {"epoch": 210, "mmcv_version": "1.3"}, "state_dict": state, "optimizer": {}},
    "0.x, parallel": lambda state: {"state_dict": in_parallel(state)},
    "0.x, wrapped twice": lambda state: {"state_dict": in_parallel(in_parallel(state))},
    "1.x": lambda state: {"meta": {}, "state_dict": in_1x(state), "message_hub": {"runtime_info": {}}},
    "1.x, parallel, plain": lambda state: in_parallel(in_1x(state)),
    "plain": lambda state: state,
    "without counters": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
}


def check_equal(output: Path, model: Any) -> None:
    image = np.random.default_rng(0).standard_normal((2, 3, *model.config.input_size)).astype(np.float32)
    with torch.no_grad():
        (want,) = model(torch.from_numpy(image))
    (got,) = infer(output, image)
    assert np.abs(got - want.numpy()).max() < 1e-4 * want.std()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads(layout: str, model: Any, tmp_path: Path) -> None:
    loaded = script.load(saved(tmp_path / "checkpoint.pth", LAYOUTS[layout](model.state_dict())), NAME)
    want = model.state_dict()
    got = loaded.state_dict()
    assert got.keys() == want.keys()
    assert all(torch.equal(value, want[key]) for key, value in got.items())
    assert not loaded.training


def test_a_file_in_the_format_before_torch_1_6_converts(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"state_dict": model.state_dict()}
    path = saved(tmp_path / "old.pth", state, _use_new_zipfile_serialization=False)
    check_equal(run(monkeypatch, path, NAME), model)


def test_simple_baseline_of_1x_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "srpose-resnet50-simple"
    original = filled(name, input_size=(64, 32), num_keypoints=14)
    path = saved(tmp_path / "checkpoint.pth", {"state_dict": in_1x(original.state_dict())})
    check_equal(run(monkeypatch, path, name, "--input-size", "64x32"), original)


def test_the_card_holds_the_authors_inference(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(monkeypatch, saved(tmp_path / "checkpoint.pth", model.state_dict()), NAME)
    session = onnxruntime.InferenceSession(output.read_bytes(), providers=["CPUExecutionProvider"])
    card = ModelCard.from_json(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert card.codec == Heatmap(4.0, "plain", "quarter", shift_heatmap=True)
    assert (card.input.padding, card.input.transform, card.input.color) == (1.25, "plain", "rgb")
    assert card.input.mean == pytest.approx((123.675, 116.28, 103.53))
    assert card.input.std == pytest.approx((58.395, 57.12, 57.375))
    assert card.input.size == (64, 48)
    picture = np.random.default_rng(0).integers(0, 255, (90, 80, 3), np.uint8)
    poses = Estimator(output, flip_test=True).predict(picture, [[5, 5, 70, 80]])
    assert poses.xy.shape == (1, 17, 2)


@pytest.mark.parametrize("count", [1, 14, 16])
@pytest.mark.parametrize(
    "name",
    [
        "hrnet-w48-384x288",
        "srpose-resnet50-simple",
        "srpose-hrnet-w32-srhead",
        "srpose-transpose-r-a4-srpose",
        "srpose-bottomup-resnet50-simple",
        "srpose-bottomup-hrnet-w32-srhead",
    ],
)
def test_keypoints_are_counted_in_the_weights(name: str, count: int) -> None:
    with torch.device("meta"):
        state = build(name, num_keypoints=count).state_dict()
    assert script.count_keypoints(name, state) == count


@pytest.mark.parametrize(
    ("meta", "want"),
    [
        ({"config": "data_cfg = dict(\n    image_size=[288, 384],\n    heatmap_size=[72, 96])"}, (384, 288)),
        ({"cfg": "codec = dict(type='MSRAHeatmap', input_size=(192, 256), sigma=2)"}, (256, 192)),
        ({"cfg": "input_size=(192, 256)\nimage_size=[288, 384]"}, None),
        ({"config": "image_size=512"}, None),
        ({"config": 3}, None),
        (None, None),
    ],
)
def test_the_recorded_input_size(meta: Any, want: tuple[int, int] | None) -> None:
    assert recorded_input_size({"meta": meta}) == want


def test_the_size_asked_for_comes_before_the_recorded_one(model: Any, tmp_path: Path) -> None:
    meta = {"config": "image_size=[96, 64]"}
    path = saved(tmp_path / "checkpoint.pth", {"meta": meta, "state_dict": model.state_dict()})
    assert script.load(path, NAME).config.input_size == (64, 96)
    assert script.load(path, NAME, (32, 64)).config.input_size == (32, 64)


def test_training_only_heads_are_dropped_whatever_they_hold() -> None:
    name = "srpose-resnet50-srpose"
    state = filled(name, input_size=(64, 48)).state_dict()
    training = [key for key in state if key.startswith(("keypoint_head.kp_encoder.0", "keypoint_head.converge.0"))]
    assert len(training) == 4
    del state[training[0]]
    state[training[1]].fill_(float("nan"))
    state[training[2]] = torch.zeros(3)
    loaded = script.fill(name, state, input_size=(64, 48)).state_dict()
    assert not any(".kp_encoder.2." in key or ".converge.2." in key for key in loaded)
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


# What files hold beside tensors.


def test_what_mmengine_keeps_becomes_inert(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HistoryBuffer as mmengine has it: arrays, numbers and references to its own methods; its module is gone later."""
    calls = []

    class HistoryBuffer:
        def __init__(self) -> None:
            self.history, self.last = np.arange(5.0), np.float64(3)
            self.methods = {"mean": HistoryBuffer.mean}

        def __setstate__(self, state: Any) -> None:
            calls.append(state)

        def mean(self) -> None:
            """Found by name."""

    HistoryBuffer.__module__ = "mmengine.logging.history_buffer"
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    HistoryBuffer.mean.__module__, HistoryBuffer.mean.__qualname__ = HistoryBuffer.__module__, "HistoryBuffer.mean"
    modules = {name: ModuleType(name) for name in ("mmengine", "mmengine.logging", HistoryBuffer.__module__)}
    modules[HistoryBuffer.__module__].HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    scalars = {"loss": HistoryBuffer(), "rate": np.float32(0.1)}
    checkpoint = {"state_dict": in_1x(model.state_dict()), "message_hub": {"log_scalars": scalars}}
    with monkeypatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        path = saved(tmp_path / "mmengine.pth", checkpoint)
    assert "mmengine" not in sys.modules
    read = read_checkpoint(path)["message_hub"]["log_scalars"]
    assert isinstance(read["loss"], Inert)
    assert isinstance(read["rate"], Inert)
    assert vars(read["loss"]) == {}
    assert calls == []
    assert not any(str(HistoryBuffer.__module__) in str(known) for known in torch.serialization.get_safe_globals())
    check_equal(run(monkeypatch, path, NAME), model)


class Call:
    """Asks its reader to call a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("name", "function", "first"),
    [(f"{os.name}.system", os.system, "echo >"), ("shutil.copyfile", shutil.copyfile, __file__)],
)
def test_hostile_pickles_are_refused_by_name_and_do_nothing(
    name: str, function: Any, first: str, zipped: bool, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    call = Call(function, f"{first} {marker}") if function is os.system else Call(function, first, str(marker))
    path = saved(
        tmp_path / "hostile.pth",
        {"state_dict": model.state_dict(), "meta": call},
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(SystemExit, match=rf"convert\.py: .*hostile\.pth: refers to '{name}', which is no tensor"):
        run(monkeypatch, path, NAME)
    assert not marker.exists()
    path.write_bytes(pickle.dumps(call, 2))
    with pytest.raises(ValueError, match=f"refers to '{name}'"):
        read_checkpoint(path)
    assert not marker.exists()
    assert not path.with_suffix(".onnx").exists()
    pickle.loads(path.read_bytes())  # noqa: S301 (shows that the pickle does what it says)
    assert marker.exists()


def test_getattr_of_a_pickle_is_never_the_real_one(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path / "hostile.pth", {"meta": Call(getattr, torch.Size, "__mro__"), "state_dict": {}})
    assert isinstance(read_checkpoint(path)["meta"], Inert)
    path.write_bytes(pickle.dumps(Call(eval, f"open({str(marker)!r}, 'w')"), 2))
    with pytest.raises(ValueError, match="refers to 'eval'"):
        read_checkpoint(path)
    assert not marker.exists()


def test_other_classes_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "checkpoint.pth", {"meta": {"path": Path("a")}, "state_dict": {}})
    with pytest.raises(ValueError, match=r"refers to 'pathlib\.\w*Path'"):
        read_checkpoint(path)


# Files and weights that cannot be used.


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_files_are_refused(
    share: float, zipped: bool, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "cut.pth", model.state_dict(), _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SystemExit, match=r"cut.pth: not a readable checkpoint \(\w+: "):
        run(monkeypatch, path, NAME)


def test_a_file_that_is_no_checkpoint_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    path = tmp_path / "text.pth"
    path.write_text("# Models\n")
    with pytest.raises(ValueError, match=r"text\.pth: not a readable checkpoint .* expected a whole file") as error:
        read_checkpoint(path)
    assert "weights_only" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pth: there is no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")


def test_a_file_without_a_dictionary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a dictionary of tensors, got list"):
        read_checkpoint(saved(tmp_path / "list.pth", [torch.zeros(2)]))


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({}, "expected a dictionary of tensors, alone or under 'state_dict'"),
        ({"state_dict": [1]}, "expected a dictionary of tensors, alone or under 'state_dict'"),
        ({"epoch": 3}, "'epoch': expected a tensor, got int"),
        ({"state_dict": {3: torch.zeros(1)}}, "3: expected a tensor"),
        ({"a": torch.eye(2).to_sparse()}, "'a': expected a dense tensor"),
        ({"a": torch.zeros(2, device="meta")}, "'a': expected a dense tensor"),
    ],
)
def test_what_is_no_state_is_refused(checkpoint: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        state_of(checkpoint)


def test_a_name_that_comes_twice_is_refused() -> None:
    state = {"keypoint_head.final_layer.bias": torch.zeros(1), "module.head.final_layer.bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"holds 'keypoint_head.final_layer.bias' twice, .* 'module.head.final_layer"):
        script.renamed(state)


def test_differences_are_listed(model: Any) -> None:
    state = model.state_dict()
    del state["backbone.conv1.weight"], state["backbone.bn1.bias"]
    state["backbone.extra.weight"] = torch.zeros(1)
    state["backbone.conv2.weight"] = torch.zeros(64, 3)
    state["backbone.bn2.weight"] = torch.zeros(64, dtype=torch.int64)
    with pytest.raises(ValueError, match="does not hold the weights of 'hrnet-w32-256x192' with 17 keypoints") as error:
        script.fill(NAME, state)
    assert str(error.value).splitlines()[1:] == [
        "  missing (2): backbone.conv1.weight, backbone.bn1.bias",
        "  unexpected (1): backbone.extra.weight",
        "  of another shape (2): backbone.conv2.weight [64, 3] instead of [64, 64, 3, 3], "
        "backbone.bn2.weight integer [64] instead of [64]",
    ]


def test_long_lists_are_cut(model: Any) -> None:
    with pytest.raises(ValueError, match=r"missing \(\d+\): (backbone\.[\w.]+, ){7}backbone\.[\w.]+ and \d+ more"):
        script.fill(NAME, {"keypoint_head.final_layer.bias": torch.zeros(17)})


def test_keypoints_that_the_weights_do_not_have_are_refused(model: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "checkpoint.pth", model.state_dict())
    with pytest.raises(ValueError, match=r"final_layer.weight \[17, 8, 1, 1\] instead of \[14, 8, 1, 1\]"):
        script.load(path, NAME, keypoints=14)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(value: float, model: Any) -> None:
    state = model.state_dict()
    state["backbone.bn1.running_var"][3] = value
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 tensors: backbone.bn1.running_var; expected numbers"):
        script.fill(NAME, state)


# The official networks.


@needs_shared
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("srpose-resnet50-srpose", "srpose_resnet50"),
        pytest.param("srpose-hrnet-w32-srpose", "srpose_hrnet_w32", marks=large),
    ],
)
def test_official_checkpoints_give_the_official_outputs(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = oracle(file)
    state = {}
    for key, shape in data["state"].items():
        counter = key.endswith("num_batches_tracked")
        weight = np.int64(0) if counter else np.asarray(oracle_weight(key, tuple(shape)), np.float32)
        state[key] = torch.from_numpy(np.asarray(weight))
    path = saved(tmp_path / "official.pth", {"meta": {}, "state_dict": state})
    image = np.random.default_rng(7).standard_normal((1, 3, *data["input"])).astype(np.float32)
    (got,) = infer(run(monkeypatch, path, name), image)
    (wanted,) = data["outputs"]
    assert list(got.shape) == wanted["shape"]
    sample = np.random.default_rng(11).integers(0, got.size, 2000)
    assert np.abs(got.reshape(-1)[sample] - wanted["values"]).max() < 1e-4 * got.std()
