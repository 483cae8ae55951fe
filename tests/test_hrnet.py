"""HRNet: its sizes, the names of official checkpoints, odd sizes, training and export."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")

from leanpose import Heatmap
from model_defs.counting import count
from model_defs.hrnet import ExchangeUnit, HRNet, Upsample
from model_defs.registry import build

SHARED = os.environ.get("LEANPOSE_SHARED", "")
needs_shared = pytest.mark.skipif(not SHARED, reason="set LEANPOSE_SHARED to the folder with the oracles")
# Parameters of the official network with its head; multiply-accumulates of table 1, in units of 2**30.
SIZES = {
    "hrnet-w32-256x192": (28_536_113, 7.1),
    "hrnet-w32-384x288": (28_536_113, 16.0),
    "hrnet-w48-256x192": (63_595_745, 14.6),
    "hrnet-w48-384x288": (63_595_745, 32.9),
}
TINY = "hrnet-w32-256x192", {"input_size": (64, 32), "width": 8}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
    cost = count(model, model.config.input_size)
    assert (cost.parameters, round(cost.macs / 2**30, 1)) == SIZES[name]


def oracle(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((Path(SHARED) / "oracles" / name).read_text())
    return data


@needs_shared
@pytest.mark.parametrize(("file", "multiscale"), [("srpose_hrnet_w32", True), ("srhead_bottomup_hrnet_w32", False)])
def test_names_and_shapes_are_those_of_official_checkpoints(file: str, multiscale: bool) -> None:
    state = oracle(f"{file}.json")["state"]
    prefix = "backbone."
    want = {name.removeprefix(prefix): shape for name, shape in state.items() if name.startswith(prefix)}
    with torch.device("meta"):
        model = HRNet(32, multiscale=multiscale)
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == want


@pytest.mark.parametrize("multiscale", [False, True])
@pytest.mark.parametrize("units", [(1, 4, 3), (1, 4)])
def test_branches_have_the_widths_and_strides_of_their_index(units: tuple[int, ...], multiscale: bool) -> None:
    model = HRNet(8, units, multiscale).eval()
    with torch.no_grad():
        branches = model(torch.randn(2, 3, 64, 96))
    want = [(2, 8 * 2**i, 16 // 2**i, 24 // 2**i) for i in range(len(units) + 1)]
    assert [tuple(x.shape) for x in branches] == (want if multiscale else want[:1])


def test_odd_maps_are_cut_on_the_way_up() -> None:
    (finest, *_, coarsest) = HRNet(8, multiscale=True).eval()(torch.zeros(1, 3, 101, 75))
    assert tuple(finest.shape) == (1, 8, 26, 19)
    assert tuple(coarsest.shape) == (1, 64, 4, 3)
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    up = Upsample(4)(x, torch.zeros(1, 1, 7, 10))
    torch.testing.assert_close(up, x.repeat_interleave(4, 2).repeat_interleave(4, 3)[..., :7, :10])


def test_an_exchange_sums_all_branches() -> None:
    torch.manual_seed(0)
    unit = ExchangeUnit((4, 8, 16), 3).eval()
    branches = [torch.randn(1, 4 * 2**i, 8 // 2**i, 12 // 2**i) for i in range(3)]
    with torch.no_grad():
        got = unit(branches)
        a, b, c = (blocks(x) for blocks, x in zip(unit.branches, branches, strict=True))
        fuse = unit.fuse_layers
        down_a = fuse[1][0][0](a)
        up_c = fuse[1][2][1](fuse[1][2][0](c)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(got[1], (down_a + b + up_c).relu())
        torch.testing.assert_close(got[2], (fuse[2][0][1](fuse[2][0][0](a)) + fuse[2][1][0](b) + c).relu())


def test_the_codec_is_that_of_the_paper() -> None:
    model = build("hrnet-w32-384x288", width=8)
    assert model.codec == Heatmap(4.0, "plain", "quarter")
    assert model.objective.sigma == 3
    with pytest.raises(ValueError, match="input_size: expected positive multiples of 4, got 66x48"):
        build("hrnet-w32-256x192", input_size=(66, 48))


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    name, changes = TINY
    model = build(name, **changes, num_keypoints=5)
    keypoints = torch.rand(2, 5, 2) * torch.tensor([31.0, 63.0])
    model.objective(model.training_outputs(torch.randn(2, 3, 64, 32)), keypoints, torch.ones(2, 5)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("size", [(64, 32), (100, 76)])
def test_the_exported_graph_equals_pytorch(size: tuple[int, int]) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    name, changes = TINY
    torch.manual_seed(0)
    model = build(name, **{**changes, "input_size": size}).eval()
    graph = script.export(model, name)
    assert script.compare(graph, model) < 1e-4
    cuts = {"Slice"} if size == (100, 76) else set()
    assert {node.op_type for node in graph.graph.node} == {"Conv", "Relu", "Add", "Resize"} | cuts


def test_building_is_deterministic() -> None:
    name, changes = TINY
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(name, **changes).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
