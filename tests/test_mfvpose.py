"""MfvPose: its sizes beside TokenPose's, HRFOV, the encoder against PyTorch's own, training and export."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

import collections
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")
from torch import nn

from leanpose import Heatmap
from model_defs.counting import count
from model_defs.hrnet import HRNet
from model_defs.mfvpose import (
    ABLATION,
    CONFIGS,
    DILATIONS,
    EMBEDDING,
    REFERENCE,
    EncoderLayer,
    HighResolutionFieldOfView,
    LayerScale,
    MfvPose,
    sine_position,
)
from model_defs.registry import build

# TokenPose's table of COCO val2017: millions of parameters, multiply-accumulates in units of 2**30.
PRINTED = {"tokenpose-l/d24-256x192": (27.5, 11.0), "tokenpose-l/d6-256x192": (20.8, 9.1)}
# 27,482,400 is what the trainable parameters of TokenPose's released code add up to.
SIZES = {
    "mfvpose-b-d8-256x192": (12_037_376, 5.913),
    "mfvpose-l-d6-256x192": (20_925_408, 10.194),
    "mfvpose-l-d24-256x192": (27_598_944, 12.521),
    "mfvpose-l-d6-mpii-256x256": (21_552_928, 13.328),
    "mfvpose/TokenPose-L/D6": (21_443_296, 12.891),
    "mfvpose/+HRFOV": (21_550_624, 13.328),
    "mfvpose/+HRFOV+LSW (full)": (21_552_928, 13.328),
    "mfvpose/tokenpose-l/d24-256x192": (27_482_400, 12.193),
    "mfvpose/tokenpose-l/d6-256x192": (20_815_776, 9.867),
}
NAME = "mfvpose-l-d6-256x192"
TINY: dict[str, Any] = {"input_size": (64, 48), "width": 8, "depth": 3, "heads": 4, "num_keypoints": 5}


def cost(name: str, **changes: Any) -> Any:
    with torch.device("meta"):
        model = build(name, **changes)
    return count(model, model.config.input_size)


def randomised(model: MfvPose, seed: int = 0) -> MfvPose:
    """As after a training: norms and scales that are not where they started."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0  # the one batch below gives the statistics
            elif isinstance(module, LayerScale):
                module.scale.uniform_(0.5, 1.5, generator=generator)
        model.train()(torch.randn(4, 3, *model.config.input_size, generator=generator))
    return model.eval()


def trained(**changes: Any) -> MfvPose:
    torch.manual_seed(1)
    return randomised(build(NAME, **{**TINY, **changes}))


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    got = cost(name)
    assert (got.parameters, round(got.macs / 1e9, 3)) == SIZES[name]


def test_every_configuration_has_its_sizes_tested() -> None:
    assert {*CONFIGS, *(f"mfvpose/{row}" for row in {**ABLATION, **REFERENCE})} == set(SIZES)


@pytest.mark.parametrize("name", PRINTED)
def test_without_its_two_modules_it_is_tokenpose(name: str) -> None:
    got, (parameters, gmacs) = cost(f"mfvpose/{name}"), PRINTED[name]
    assert round(got.parameters / 1e6, 1) == parameters
    assert got.macs / 2**30 == pytest.approx(gmacs, rel=0.035)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_two_modules_add_little_and_never_nothing(name: str) -> None:
    whole, plain = cost(name), cost(name, hrfov=False, layer_scale=False)
    assert plain.parameters < whole.parameters <= 1.05 * plain.parameters
    assert plain.macs < whole.macs <= 1.05 * plain.macs


@pytest.mark.parametrize(("switch", "kind"), [("hrfov", HighResolutionFieldOfView), ("layer_scale", LayerScale)])
def test_each_switch_removes_its_module(switch: str, kind: type) -> None:
    kinds = {HighResolutionFieldOfView, LayerScale}
    lacking = build(NAME, **TINY, **{switch: False}).eval()
    assert kinds <= {type(module) for module in build(NAME, **TINY).modules()}
    assert kinds - {type(module) for module in lacking.modules()} == {kind}
    with torch.no_grad():
        assert tuple(lacking(torch.zeros(1, 3, 64, 48))[0].shape) == (1, 5, 16, 12)


@pytest.mark.parametrize(
    ("size", "changes"),
    [
        ((64, 48), {}),
        ((80, 36), {"num_keypoints": 16}),
        ((100, 76), {"patch_size": (5, 19), "num_keypoints": 14}),
        ((20, 28), {"patch_size": (1, 7), "stages": 1}),
        ((128, 96), {"num_keypoints": 1, "heads": 12}),
    ],
)
def test_any_size_of_whole_patches(size: tuple[int, int], changes: dict[str, Any]) -> None:
    model = trained(**{**changes, "input_size": size})
    with torch.no_grad():
        (maps,) = model(torch.randn(2, 3, *size))
    assert {"heatmaps": tuple(maps.shape[1:])} == model.codec.expected_shapes(model.config.num_keypoints, size)
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": (64, 50)}, r"input_size: .* multiples of 16 and a width in multiples of 12 .*, got 64x50"),
        ({"input_size": (0, 48)}, r"input_size: .* got 0x48; change it or patch_size"),
        ({"depth": 8}, r"depth: expected a positive multiple of the 3 stages, got 8"),
        ({"depth": 0}, r"depth: .* got 0"),
        ({"heads": 5}, r"heads: expected a divisor of the embedding size 192, got 5"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(NAME, **{**TINY, **changes})


def test_the_codec_and_the_targets() -> None:
    assert build(NAME, **TINY).transform == "plain"
    with torch.device("meta"):
        small, large = build(NAME), build(NAME, input_size=(384, 288), patch_size=(6, 4))
    assert (small.codec, small.objective.sigma) == (Heatmap(4.0, "plain", "dark", 11), 2)
    assert (large.codec, large.objective.sigma) == (Heatmap(4.0, "plain", "dark", 17), 3)


@pytest.mark.parametrize(("depth", "want"), [(6, 0.1), (18, 0.1), (24, 1e-5), (27, 1e-6)])
def test_scales_start_by_the_depth(depth: int, want: float) -> None:
    model = build(NAME, **{**TINY, "depth": depth})
    scales = [module.scale for module in model.modules() if isinstance(module, LayerScale)]
    assert len(scales) == 2 * depth
    for scale in scales:
        torch.testing.assert_close(scale.detach(), torch.full((EMBEDDING,), want))


def test_hrfov_sees_as_far_as_its_dilations_add_up() -> None:
    torch.manual_seed(0)
    module = HighResolutionFieldOfView(8).eval()
    reach, x = 0, torch.randn(1, 8, 99, 99)
    for branch, dilation in zip(module.cascade.branches, DILATIONS, strict=True):
        reach += dilation
        x = branch(x.detach().requires_grad_())
        probe = torch.randn(1, 8, 99, 99, requires_grad=True)
        y = probe
        for layer in module.cascade.branches[: DILATIONS.index(dilation) + 1]:
            y = layer[0](y)  # the convolutions alone: a closed ReLU would hide part of the field
        y[..., 49, 49].sum().backward()
        rows = probe.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        assert (int(rows.min()), int(rows.max())) == (49 - reach, 49 + reach)
        assert x.shape == y.shape


def test_hrfov_reads_both_inputs_and_all_branches() -> None:
    torch.manual_seed(0)
    module = HighResolutionFieldOfView(8).eval()
    low, high = torch.randn(2, 256, 16, 12), torch.randn(2, 8, 16, 12)
    with torch.no_grad():
        got = module(low, high)
        x = module.join[1](nn.functional.conv2d(torch.cat((low, high), 1), module.join[0].weight)).relu()
        fields = []
        for branch, rate in zip(module.cascade.branches, DILATIONS, strict=True):
            x = branch[1](nn.functional.conv2d(x, branch[0].weight, padding=rate, dilation=rate)).relu()
            fields.append(x)
        want = module.cascade.project[1](module.cascade.project[0](torch.cat(fields, 1))).relu()
        torch.testing.assert_close(got, want)
        assert (module(low + 1, high) != got).any()
        assert (module(low, high + 1) != got).any()


def test_low_features_are_those_of_layer1() -> None:
    model = trained(hrfov=False)
    seen = []
    model.backbone.layer1.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        image = torch.randn(1, 3, 64, 48)
        low = model.backbone.low(image)
        assert torch.equal(low, seen[0])
        assert torch.equal(model.features(image), model.backbone(image)[0])
    assert isinstance(model.backbone, HRNet)
    assert tuple(low.shape) == (1, 256, 16, 12)


def test_position_against_loops() -> None:
    got = sine_position((3, 5), 8).numpy()
    for row in range(3):
        for column in range(5):
            want = []
            for place, length in ((row, 3), (column, 5)):
                angle = (place + 1) / length * 2 * math.pi
                for pair in range(2):
                    slow = angle / 10000 ** (2 * pair / 4)
                    want += [math.sin(slow), math.cos(slow)]
            np.testing.assert_allclose(got[row * 5 + column], want, atol=1e-6)


def reference_layer(source: EncoderLayer) -> nn.TransformerEncoderLayer:
    """PyTorch's pre-norm layer with the weights of `source`, scales multiplied into its projections."""
    layer = nn.TransformerEncoderLayer(
        EMBEDDING, source.attention.heads, 3 * EMBEDDING, 0.0, "gelu", batch_first=True, norm_first=True
    )
    attention = layer.self_attn
    attention.in_proj_weight.copy_(source.attention.qkv.weight)
    attention.in_proj_bias.zero_()
    for own, theirs in ((layer.norm1, source.norm1), (layer.norm2, source.norm2), (layer.linear1, source.fc1)):
        own.load_state_dict(theirs.state_dict())
    for own, theirs, scale in (
        (attention.out_proj, source.attention.out, source.scale1),
        (layer.linear2, source.fc2, source.scale2),
    ):
        factor = scale.scale if isinstance(scale, LayerScale) else torch.ones(EMBEDDING)
        own.weight.copy_(theirs.weight * factor[:, None])
        own.bias.copy_(theirs.bias * factor)
    return layer


@pytest.mark.parametrize("changes", [{}, {"layer_scale": False}, {"depth": 6}, {"stages": 1, "heads": 8}])
def test_the_encoder_against_pytorch(changes: dict[str, Any]) -> None:
    model = trained(**changes)
    encoder, config = model.encoder, model.config
    features = torch.randn(2, 8, 16, 12)
    with torch.no_grad():
        got = encoder(features)
        patches = features.unfold(2, 4, 4).unfold(3, 3, 3).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        x = patches @ encoder.patches.weight.flatten(1).T + encoder.patches.bias + encoder.position
        x = torch.cat((encoder.tokens.expand(2, -1, -1), x), 1)
        states = []
        for stage in range(config.stages):
            for i in range(config.depth // config.stages):
                if i:
                    x[:, 5:] += encoder.position
                x = reference_layer(encoder.layers[stage * config.depth // config.stages + i])(x)
            states.append(x[:, :5].clone())
        torch.testing.assert_close(got, torch.cat(states, 2), rtol=1e-4, atol=1e-4)


def test_heads_are_narrow_or_wide_as_tokenposes() -> None:
    with torch.device("meta"):
        base, large = build("mfvpose-b-d8-256x192").head, build("mfvpose-l-d24-256x192").head
    assert [tuple(m.weight.shape) for m in base] == [(192,), (384, 192), (384,), (3072, 384)]
    assert [tuple(m.weight.shape) for m in large] == [(576,), (3072, 576)]


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = build(NAME, **TINY)
    keypoints = torch.rand(2, 5, 2) * torch.tensor([47.0, 63.0])
    outputs = model.training_outputs(torch.randn(2, 3, 64, 48))
    model.objective(outputs, keypoints, torch.ones(2, 5)).backward()
    lacking = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert lacking == []


def test_building_is_deterministic() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(NAME, **TINY).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depth": 6, "hrfov": False},
        {"stages": 1, "layer_scale": False},
        {"input_size": (80, 36), "num_keypoints": 17},
        {"input_size": (100, 76), "patch_size": (5, 19), "num_keypoints": 1},
    ],
)
def test_the_exported_graph_equals_pytorch(changes: dict[str, Any]) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    model = trained(**changes)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = script.export(model, NAME)
    assert script.compare(graph, model) < 1e-4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_operators_of_the_encoder_and_no_others() -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    model, depth, stages = trained(depth=6), 6, 3
    graph = script.export(model, NAME).graph
    got = collections.Counter(node.op_type for node in graph.node)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    for name in ("Conv", "Relu", "Resize", "Add"):
        assert got.pop(name) > 0
    assert sum(node.op_type == "Conv" for node in graph.node) == convolutions + 1  # HRFOV's first one in two
    assert got == {
        "Pad": 1,
        "LayerNormalization": 2 * depth + 1,
        # four projections and two products; the last layer projects queries of the keypoints alone, and the head
        "MatMul": 6 * depth + 1 + 1,
        "Split": depth,
        "Softmax": depth,
        "Erf": depth,  # GELU: x / sqrt(2), erf, times x, times a half
        "Div": depth,
        "Mul": 2 * depth,
        "Transpose": 3 * depth + 1 + 1,  # by head, keys, back; patches, queries of the last layer
        "Reshape": 2 * depth + 1 + 1 + 1,
        "Slice": 2 + stages - 1,  # keypoints: of the last layer's input and norm, of the stages before the last
        "Concat": 2,  # HRFOV's branches, the stages
    }
    stored = {entry.name for entry in graph.initializer if not entry.name.startswith("constant_")}
    assert stored == set(model.folded().state_dict())


def test_scales_are_part_of_the_exported_weights() -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    with_scales, without = (script.export(trained(layer_scale=on), NAME).graph for on in (True, False))
    assert [node.op_type for node in with_scales.node] == [node.op_type for node in without.node]
