"""SAFFNet: its printed sizes, its modules against the paper's equations, training and export."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")

from leanpose import COCO17, Heatmap
from leanpose.keypoints import CROWDPOSE14, MPII16
from model_defs.counting import count
from model_defs.folding import unfold
from model_defs.hrnet import HRNetPoseConfig
from model_defs.registry import build
from model_defs.saffnet import (
    ABLATION,
    CONFIGS,
    AttentionalFusion,
    CoordinateAttention,
    FoldedCoordinateAttention,
    SAFFBackbone,
    SAFFNet,
    SAFuseUnit,
    SAUpSample,
    SCBottle,
    SeparateAndResplice,
    StackedAttention,
    StackedCoordinateAttention,
    sa_down_sample,
)

# Tables 1 to 5: millions of parameters, multiply-accumulates in units of 2**30.
PRINTED = {
    "saffnet-256x192": (8.0, 4.2),
    "saffnet-384x288": (8.0, 9.4),
    "saffnet-mpii-256x256": (8.0, 5.6),
    "saffnet/hrnet-w32": (28.5, 7.1),
    "saffnet/hrnet-df (no Transition3, Stage4)": (7.8, 4.41),
    "saffnet/SCBottle": (7.75, 4.18),
    "saffnet/SAFuseBlock": (8.07, 4.4),
    "saffnet/SATransitionBlock": (7.86, 4.41),
    "saffnet/SAStem": (7.83, 4.41),
    "saffnet/SCBottle+SAFuseBlock": (8.0, 4.19),
    "saffnet/SCBottle+SAFuseBlock+SATransitionBlock": (8.02, 4.19),
    "saffnet/all four": (8.03, 4.2),
}
# 13.3 and 5.8 are printed, which no reading of its description gives; this is the literal one.
HRNET_SF = ("saffnet/hrnet-sf", 12.713, 4.589)
SWITCHES = ("scbottle", "safuse", "satransition", "sastem")
TINY = replace(CONFIGS["saffnet-256x192"], input_size=(64, 32), num_keypoints=5, width=8)


def cost(model: Any) -> tuple[float, float]:
    counted = count(model, model.config.input_size)
    return counted.parameters / 1e6, counted.macs / 2**30


def on_meta(name: str) -> Any:
    with torch.device("meta"):
        return build(name)


def lively(config: Any = TINY, seed: int = 0) -> SAFFNet:
    """As after a training: weights of usual size, batch norms that fit their inputs and are not identities."""
    torch.manual_seed(seed)
    model = SAFFNet(config)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0  # the one batch below gives the statistics
                module.weight.uniform_(0.3, 0.8)
                module.bias.normal_(0, 0.2)
        model.train()(torch.randn(4, 3, *config.input_size))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.clamp_(min=0.3)  # four averages over a picture may hardly differ
    return model.eval()


@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_the_printed_ones(name: str) -> None:
    parameters, gmacs = cost(on_meta(name))
    assert parameters == pytest.approx(PRINTED[name][0], rel=0.02)
    assert gmacs == pytest.approx(PRINTED[name][1], rel=0.015)


def test_hrnet_sf_is_the_literal_reading() -> None:
    name, parameters, gmacs = HRNET_SF
    assert cost(on_meta(name)) == pytest.approx((parameters, gmacs), abs=1e-3)


@pytest.mark.parametrize("row", ["SCBottle", "SATransitionBlock", "SAStem"])
def test_with_the_outputs_that_nothing_reads_the_printed_sizes_are_met_to_the_last_digit_but_one(row: str) -> None:
    model = on_meta(f"saffnet/{row}")
    with torch.device("meta"):
        model.backbone = SAFFBackbone(model.config, multiscale=True)
    assert cost(model) == pytest.approx(PRINTED[f"saffnet/{row}"], abs=0.0125)


def test_every_row_is_in_the_registry() -> None:
    assert {*CONFIGS, *(f"saffnet/{row}" for row in ABLATION)} == {*PRINTED, HRNET_SF[0]}
    assert on_meta("saffnet-mpii-256x256").config.num_keypoints == 16


def test_each_switch_brings_its_modules() -> None:
    kinds = {
        "scbottle": {SCBottle, SeparateAndResplice},
        "safuse": {SAFuseUnit, SAUpSample, StackedAttention, AttentionalFusion},
        "satransition": {StackedCoordinateAttention, CoordinateAttention, AttentionalFusion},
        "sastem": {StackedCoordinateAttention, CoordinateAttention, AttentionalFusion},
    }
    everything = set().union(*kinds.values())
    nothing = replace(TINY, **dict.fromkeys(SWITCHES, False))
    for switch in SWITCHES:
        model = SAFFNet(replace(nothing, **{switch: True}))
        assert {type(module) for module in model.modules()} & everything == kinds[switch]
    transitions = SAFFNet(replace(nothing, satransition=True)).backbone
    assert [type(layer[1]) for name in ("transition1", "transition2") for layer in transitions.get_submodule(name)] == [
        StackedCoordinateAttention
    ] * 5
    assert [type(block) for block in SAFFNet(TINY).backbone.layer1[1:]] == [SCBottle] * 3


def test_without_modules_it_is_the_reduced_hrnet() -> None:
    plain = SAFFNet(replace(TINY, **dict.fromkeys(SWITCHES, False))).state_dict()
    reduced = build("saffnet/hrnet-df (no Transition3, Stage4)", num_keypoints=5, width=8).state_dict()
    assert {name: value.shape for name, value in plain.items()} == {name: v.shape for name, v in reduced.items()}
    assert isinstance(ABLATION["hrnet-w32"], HRNetPoseConfig)


def test_separation_follows_the_equations() -> None:
    torch.manual_seed(0)
    layer = SeparateAndResplice(64).eval()
    assert [function[0].in_channels for function in layer.functions] == [8, 12, 14, 15, 15, 15, 15]
    x = torch.randn(2, 64, 5, 7)
    groups = [x[:, 8 * i : 8 * i + 8] for i in range(8)]
    with torch.no_grad():
        got = layer(x)
        parts, passed = [groups[0]], groups[1][:, :0]
        for i, function in enumerate(layer.functions):
            convolved = function[1](function[0](torch.cat((groups[i + 1], passed), 1)))
            y = torch.where(convolved > 0, convolved, 0.01 * convolved)
            half = -(-y.shape[1] // 2) if i < 6 else y.shape[1]
            parts.append(y[:, :half])
            passed = y[:, half:]
    torch.testing.assert_close(got, torch.cat(parts, 1))


def literal_fusion(fusion: AttentionalFusion, attended: Any, value: Any) -> Any:
    total = attended + value
    weight = (fusion.local(total) + fusion.context(total.mean((2, 3), keepdim=True))).sigmoid()
    return weight * attended + (1 - weight) * value


def test_stacked_attentions_follow_their_equations() -> None:
    model = lively()
    x = torch.randn(2, 64, 6, 9)
    with torch.no_grad():
        stem = model.backbone.stem_attention
        hidden = stem.attention.shared(torch.cat((x.mean(3), x.mean(2)), 2)[..., None])
        rows, columns = hidden[:, :, :6], hidden[:, :, 6:].transpose(2, 3)
        attended = x * stem.attention.rows(rows).sigmoid() * stem.attention.columns(columns).sigmoid()
        torch.testing.assert_close(stem(x), literal_fusion(stem.fusion, attended, x))
        torch.testing.assert_close(FoldedCoordinateAttention(stem.attention)(x), attended)

        stacked = next(module for module in model.modules() if isinstance(module, StackedAttention))
        x = torch.randn(2, stacked.full.in_channels, 6, 9)
        pooled = x.mean((2, 3), keepdim=True)
        gate = (stacked.expand(stacked.reduce(pooled).relu()) + stacked.full(pooled)).sigmoid()
        torch.testing.assert_close(stacked(x), literal_fusion(stacked.fusion, gate * x, x))


def test_attention_before_and_after_the_resize_are_the_same() -> None:
    model = lively()
    up = next(module for module in model.modules() if isinstance(module, SAUpSample))
    x = torch.randn(2, up[0].in_channels, 4, 3)
    like = torch.zeros(2, 1, 4 * up[3].factor, 3 * up[3].factor)
    with torch.no_grad():
        torch.testing.assert_close(up(x, like), up[2](up[3](up[1](up[0](x)), like)))


def test_the_way_down_refines_every_halving() -> None:
    steps = sa_down_sample(8, 32, 3)
    assert [[type(layer).__name__ for layer in step] for step in steps] == [
        ["Conv2d", "BatchNorm2d", "StackedAttention", "ReLU"],
        ["Conv2d", "BatchNorm2d", "StackedAttention", "ReLU"],
        ["Conv2d", "BatchNorm2d", "StackedAttention"],
    ]
    assert [step[0].out_channels for step in steps] == [8, 8, 32]
    assert tuple(steps.eval()(torch.zeros(1, 8, 25, 19)).shape) == (1, 32, 4, 3)


@pytest.mark.parametrize(("size", "keypoints"), [((100, 76), 14), ((36, 28), 1), ((4, 8), 17)])
def test_any_input_size_and_number_of_keypoints(size: tuple[int, int], keypoints: int) -> None:
    model = build("saffnet-256x192", input_size=size, num_keypoints=keypoints, width=8).eval()
    with torch.no_grad():
        (heatmaps,) = model(torch.randn(2, 3, *size))
    assert heatmaps.shape == (2, *model.codec.expected_shapes(keypoints, size)["heatmaps"])
    assert torch.isfinite(heatmaps).all()


def test_codec_and_objective_are_those_of_hrnet() -> None:
    model = build("saffnet-384x288", width=8)
    assert model.codec == Heatmap(4.0, "plain", "quarter")
    assert (model.transform, model.objective.sigma) == ("plain", 3)


def test_every_parameter_gets_a_gradient() -> None:
    model = lively().train()
    keypoints = torch.rand(4, 5, 2) * torch.tensor([31.0, 63.0])
    model.objective(model.training_outputs(torch.randn(4, 3, 64, 32)), keypoints, torch.ones(4, 5)).backward()
    lacking = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert lacking == []
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []


@pytest.mark.parametrize("size", [(64, 32), (100, 76)])
def test_the_exported_graph_equals_pytorch(size: tuple[int, int]) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    model = lively(replace(TINY, input_size=size))
    graph = script.export(model, "saffnet-256x192")
    assert script.compare(graph, model) < 1e-4
    attention = {"Sub", "Mul", "Sigmoid", "GlobalAveragePool", "ReduceMean", "HardSwish"}
    cuts = {"Slice"} if size == (100, 76) else set()
    separation = {"Split", "Concat", "LeakyRelu"}
    want = {"Conv", "Relu", "Add", "Resize"} | separation | attention | cuts
    assert {node.op_type for node in graph.graph.node} == want


@pytest.mark.parametrize("keypoints", [COCO17, MPII16, CROWDPOSE14])
def test_the_card_names_the_keypoints_of_a_known_set(keypoints: Any) -> None:
    model = build("saffnet-mpii-256x256", num_keypoints=len(keypoints), width=8)
    card = model.card("saffnet-mpii-256x256")
    assert (card.name, card.keypoints, card.codec) == ("saffnet-mpii-256x256", keypoints, model.codec)


def test_weights_come_back_from_the_folded_form() -> None:
    model = lively()
    fresh = SAFFNet(TINY).eval()
    fresh.load_state_dict(unfold(model.folded().state_dict(), fresh, TINY.input_size))
    image = torch.randn(2, 3, *TINY.input_size)
    with torch.no_grad():
        (want,), (got,) = model(image), fresh(image)
    assert (got - want).abs().max() < 1e-4 * want.std()


def test_building_is_deterministic() -> None:
    first, second = (lively(seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
