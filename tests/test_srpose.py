"""SRPose: printed sizes, official names and outputs, heads, backbones, training and export."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")

from operators import TENSORRT_8_6

from leanpose import AssociativeEmbedding, Estimator, Heatmap
from model_defs import hrformer
from model_defs.counting import count
from model_defs.embedding import EmbeddingObjective, pull_and_push
from model_defs.registry import CONFIGS, build
from model_defs.resnet import ResNet
from model_defs.srpose.heads import Deconvolutions, Refinement, SRHead
from model_defs.transpose import EncoderLayer, TransPoseR, sine_embedding

SHARED = os.environ.get("LEANPOSE_SHARED", "")
needs_shared = pytest.mark.skipif(not SHARED, reason="set LEANPOSE_SHARED to the folder with the oracles")
SIZE = (64, 64)
# Tables 1, 3 and 6: millions of parameters, billions of multiply-accumulates.
PRINTED: dict[str, tuple[float, float | None]] = {
    "srpose-resnet50-simple": (23.51 + 10.49, 5.46),
    "srpose-resnet50-srhead": (23.51 + 10.59, 5.77),
    "srpose-resnet50-srpose": (23.51 + 1.29, 4.61),
    "srpose-hrnet-w32-simple": (28.54, 7.70),
    "srpose-hrnet-w32-srhead": (28.54 + 0.09, 7.98),
    "srpose-hrnet-w32-srpose": (29.30 + 0.65, 8.28),
    "srpose-transpose-r-a4-simple": (4.93 + 1.06, 8.91),
    "srpose-transpose-r-a4-srhead": (4.93 + 1.16, 9.23),
    "srpose-transpose-r-a4-srpose": (4.93 + 0.55, 6.26),
    "srpose-hrformer-s-simple": (7.89, 2.82),
    "srpose-hrformer-s-srhead": (7.89 + 0.09, 3.09),
    "srpose-hrformer-s-srpose": (8.21 + 0.65, 3.34),
    "srpose-bottomup-resnet50-simple": (23.51 + 10.49, 29.20),
    "srpose-bottomup-resnet50-srhead": (23.51 + 10.60, 30.86),
    "srpose-bottomup-hrnet-w32-simple": (28.54, 41.10),
    "srpose-bottomup-hrnet-w32-srhead": (28.54 + 0.09, 42.57),
    "srpose/k=0.25": (24.71, 4.36),
    "srpose/k=0.5": (24.73, 4.41),
    "srpose/k=1": (24.80, 4.61),
    "srpose/k=2": (25.06, 5.43),
    "srpose/kernels 1, 1, 1, 1": (24.71, None),
    "srpose/kernels 3, 3, 3, 3": (24.72, None),
    "srpose/kernels 3, 5, 7, 9": (24.80, None),
}
# Where the printed figure counts something else: what it counts, and what is exact. See docs/models.md.
COUNTED_OTHERWISE: dict[tuple[str, str], float] = {
    ("srpose-transpose-r-a4-simple", "gmacs"): 6.320,  # printed with the deconvolution at its output
    ("srpose-transpose-r-a4-srhead", "gmacs"): 6.631,
    ("srpose-hrformer-s-simple", "gmacs"): 3.259,  # printed without attention products and padding
    ("srpose-hrformer-s-srhead", "gmacs"): 3.535,
    ("srpose-hrformer-s-srpose", "gmacs"): 3.740,
    ("srpose-hrformer-s-srpose", "parameters"): 8.540,  # printed with the training heads
}


def test_the_table_lists_every_configuration() -> None:
    assert {name for name in CONFIGS if name.startswith("srpose")} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_the_printed_ones(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
    cost = count(model, model.config.input_size)
    got = {"parameters": cost.parameters / 1e6, "gmacs": cost.macs / 1e9}
    for (figure, printed), tolerance in zip(
        zip(("parameters", "gmacs"), PRINTED[name], strict=True), (0.005, 0.03), strict=True
    ):
        if (name, figure) in COUNTED_OTHERWISE:
            assert got[figure] == pytest.approx(COUNTED_OTHERWISE[name, figure], abs=5e-4)
        elif printed is not None:
            assert got[figure] == pytest.approx(printed, rel=tolerance)


def test_backbones_have_their_published_sizes() -> None:
    with torch.device("meta"):
        backbones = ResNet(), TransPoseR((256, 192)), hrformer.HRFormer()
    sizes = [sum(p.numel() for p in backbone.parameters()) for backbone in backbones]
    assert sizes == [23_508_032, 4_931_648, 7_891_050]


def test_training_heads_do_not_count() -> None:
    with torch.device("meta"):
        model = build("srpose-resnet50-srpose")
    whole = sum(p.numel() for p in model.parameters())
    assert whole - count(model, SIZE).parameters == 317_696


# The official networks: names, shapes and outputs for weights that are functions of their names.


def oracle(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((Path(SHARED) / "oracles" / f"{name}.json").read_text())
    return data


def oracle_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        return 1 + np.float32(0.1) * np.abs(z)
    if name.endswith("running_mean"):
        return np.float32(0.1) * z
    if len(shape) == 1 and name.endswith(".weight"):
        return 1 + np.float32(0.1) * z
    if name.endswith(".bias"):
        return np.float32(0.05) * z
    inputs = np.prod(shape[1:]) if len(shape) > 1 else shape[0]
    return z * np.float32(np.sqrt(2 / inputs) * 0.7)


def oracle_network(name: str) -> Any:
    model = build(name)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.from_numpy(np.asarray(oracle_weight(key, tuple(value.shape)), np.float32)))
    return model.eval()


def official(outputs: list[np.ndarray]) -> np.ndarray:
    """One tensor as the official network gives it: the tags resized to the heatmaps and behind them."""
    if len(outputs) == 1:
        return outputs[0]
    heatmaps, tags = outputs
    factor = heatmaps.shape[2] // tags.shape[2]
    return np.concatenate((heatmaps, tags.repeat(factor, 2).repeat(factor, 3)), 1)


ORACLES = {
    "srpose-resnet50-srpose": "srpose_resnet50",
    "srpose-hrnet-w32-srpose": "srpose_hrnet_w32",
    "srpose-bottomup-hrnet-w32-srhead": "srhead_bottomup_hrnet_w32",
}


@needs_shared
@pytest.mark.parametrize(
    ("name", "file"), [*ORACLES.items(), ("srpose-hrformer-s-srpose", "srpose_hrformer_s.names_only")]
)
def test_names_and_shapes_are_those_of_official_checkpoints(name: str, file: str) -> None:
    with torch.device("meta"):
        state = build(name).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == oracle(file)["state"]


@needs_shared
@pytest.mark.parametrize("name", ORACLES)
def test_outputs_are_those_of_the_official_network(name: str) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    onnxruntime = pytest.importorskip("onnxruntime")
    data = oracle(ORACLES[name])
    image = np.random.default_rng(7).standard_normal((1, 3, *data["input"])).astype(np.float32)
    (wanted,) = data["outputs"]
    model = oracle_network(name)
    with torch.no_grad():
        from_pytorch = official([output.numpy() for output in model(torch.from_numpy(image))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = script.export(model, name).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    for got in (from_pytorch, official(session.run(None, {"image": image}))):
        assert list(got.shape) == wanted["shape"]
        sample = np.random.default_rng(11).integers(0, got.size, 2000)
        assert np.abs(got.reshape(-1)[sample] - wanted["values"]).max() < 1e-4 * got.std()


# Parts, against plain references.


def test_the_sr_head_interleaves_the_maps_of_each_keypoint() -> None:
    torch.manual_seed(0)
    head = SRHead(Deconvolutions(8, 0, (5, 4)), 3, 2).eval()
    x = torch.randn(2, 8, 5, 4)
    with torch.no_grad():
        (heatmaps,) = head(x)
        encoded = (torch.einsum("oc,bchw->bohw", head.kp_encoder[0].weight[..., 0, 0], x)).add(
            head.kp_encoder[0].bias[:, None, None]
        )
        for j in range(3):  # equations 2 to 4, keypoint by keypoint
            embedding = encoded[:, 4 * j : 4 * j + 4].relu()
            weight, bias = head.heatmap_head.weight[4 * j : 4 * j + 4], head.heatmap_head.bias[4 * j : 4 * j + 4]
            maps = torch.nn.functional.conv2d(embedding, weight, bias, padding=4)
            for i in range(4):
                torch.testing.assert_close(heatmaps[:, j, i // 2 :: 2, i % 2 :: 2], maps[:, i], rtol=1e-4, atol=1e-5)


def test_refinement_is_a_residual_block_with_linear_layers_over_channels() -> None:
    torch.manual_seed(0)
    block = Refinement(6).eval()
    x = torch.randn(2, 6, 9, 7)
    with torch.no_grad():
        normed = block.norm(block.dwconv(x)).permute(0, 2, 3, 1)
        linear = torch.nn.functional.linear
        hidden = torch.nn.functional.gelu(linear(normed, block.pwconv1.weight, block.pwconv1.bias))
        want = x + linear(hidden, block.pwconv2.weight, block.pwconv2.bias).permute(0, 3, 1, 2)
        torch.testing.assert_close(block(x), want)


def attention_of_one_picture(block: Any, x: Any) -> Any:
    """Window attention of (H, W, C) as the paper tells it: window after window, head after head."""
    height, width, channels = x.shape
    down, across = -(-height // 7), -(-width // 7)
    top, left = (7 * down - height) // 2, (7 * across - width) // 2
    padded = torch.zeros(7 * down, 7 * across, channels)
    padded[top : top + height, left : left + width] = block.norm1(x)
    mixed = torch.zeros_like(padded)
    layer = block.attn.attn
    for i in range(down):
        for j in range(across):
            window = slice(7 * i, 7 * i + 7), slice(7 * j, 7 * j + 7)
            tokens = padded[window].reshape(49, channels)
            q, k, v = layer.q_proj(tokens), layer.k_proj(tokens), layer.v_proj(tokens)
            heads = [slice(32 * h, 32 * h + 32) for h in range(channels // 32)]
            parts = [((q[:, h] @ k[:, h].T) / 32**0.5).softmax(-1) @ v[:, h] for h in heads]
            mixed[window] = layer.out_proj(torch.cat(parts, 1)).reshape(7, 7, channels)
    return x + mixed[top : top + height, left : left + width]


@pytest.mark.parametrize("channels", [32, 96])
@pytest.mark.parametrize("size", [(14, 7), (10, 9), (8, 6), (3, 20)])
def test_a_transformer_block_attends_within_windows(size: tuple[int, int], channels: int) -> None:
    torch.manual_seed(0)
    block = hrformer.TransformerBlock(channels).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        x = torch.randn(2, channels, *size)
        attended = torch.stack([attention_of_one_picture(block, picture) for picture in x.permute(0, 2, 3, 1)])
        want = attended.permute(0, 3, 1, 2) + block.mlp(block.norm2(attended).permute(0, 3, 1, 2))
        torch.testing.assert_close(block(x), want, rtol=1e-4, atol=1e-4)


def test_an_encoder_layer_equals_pytorchs_attention() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer().eval()
    with torch.no_grad():
        layer.self_attn.in_proj_weight.normal_(std=0.05)
        layer.self_attn.in_proj_bias.normal_(std=0.05)
        theirs = torch.nn.MultiheadAttention(256, 8, batch_first=True).eval()
        theirs.load_state_dict(layer.self_attn.state_dict())
        x, position = torch.randn(2, 30, 256), torch.randn(1, 30, 256)
        placed = x + position
        hidden = layer.norm1(x + theirs(placed, placed, x, need_weights=False)[0])
        want = layer.norm2(hidden + layer.linear2(layer.linear1(hidden).relu()))
        torch.testing.assert_close(layer(x, position, 30), want, rtol=1e-4, atol=1e-5)


def test_the_sine_embedding() -> None:
    got = sine_embedding(4, 6, 8).reshape(4, 6, 8).numpy()
    y, x = 3 / 4 * 2 * np.pi, 2 / 6 * 2 * np.pi  # row 2, column 1, counted from 1
    want = [wave(angle) for angle in (y, y / 100, x, x / 100) for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(got[2, 1], want, atol=1e-5)


# Whole networks.


@pytest.mark.parametrize(
    ("name", "size", "keypoints"),
    [
        ("srpose-resnet50-srpose", (100, 76), 14),
        ("srpose-hrnet-w32-srhead", (64, 96), 16),
        ("srpose-transpose-r-a4-srpose", (36, 60), 17),
        ("srpose-transpose-r-a4-simple", (64, 48), 14),
        ("srpose-hrformer-s-srpose", (100, 76), 3),
        ("srpose-hrformer-s-simple", (64, 48), 17),
        ("srpose/k=2", (64, 48), 16),
        ("srpose/k=0.5", (36, 60), 1),
        ("srpose-bottomup-resnet50-simple", (64, 76), 14),
        ("srpose-bottomup-hrnet-w32-srhead", (64, 96), 17),
    ],
)
def test_outputs_have_the_shapes_of_the_codec(name: str, size: tuple[int, int], keypoints: int) -> None:
    torch.manual_seed(0)
    model = build(name, input_size=size, num_keypoints=keypoints).eval()
    with torch.no_grad():
        outputs = model(torch.randn(2, 3, *size))
    want = model.codec.expected_shapes(keypoints, size)
    assert [tuple(output.shape) for output in outputs] == [(2, *shape) for shape in want.values()]
    assert all(torch.isfinite(output).all() for output in outputs)


def test_transpose_is_supervised_at_three_levels() -> None:
    torch.manual_seed(0)
    model = build("srpose-transpose-r-a4-srpose", input_size=(64, 48), num_keypoints=2).eval()
    with torch.no_grad():
        shapes = [tuple(output.shape) for output in model.training_outputs(torch.randn(1, 3, 64, 48))]
    assert shapes == [(1, 2, 8, 6), (1, 2, 16, 12), (1, 2, 16, 12), (1, 2, 64, 48)]
    assert model.objective.scale_weights == (1e-4, 1, 1, 1)


@pytest.mark.parametrize("k", [0.25, 0.5, 1.0, 2.0])
def test_supervision_is_at_a_quarter_of_the_input(k: float) -> None:
    torch.manual_seed(0)
    model = build("srpose-resnet50-srpose", input_size=(64, 96), num_keypoints=2, scale_factor=k).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        low, *inner, last = model.training_outputs(x)
        (exported,) = model(x)
    assert tuple(low.shape) == (1, 2, 2, 3)
    assert [tuple(output.shape) for output in inner] == [(1, 2, 16, 24)] * 3
    assert tuple(last.shape) == (1, 2, round(64 * k), round(96 * k))
    torch.testing.assert_close(exported, last)
    assert model.objective.sigma == 2 * k * 96 / 64
    assert model.objective.scale_weights == (1e-4, 1, 1, 1, 1)
    assert model.codec == Heatmap(1 / k, "plain", "quarter")


def test_kernels_are_those_of_the_heads() -> None:
    with torch.device("meta"):
        model = build("srpose-resnet50-srpose", kernels=(1, 3, 5, 11))
    assert [layer.conv.kernel_size for layer in model.keypoint_head.converge] == [(1, 1), (3, 3), (5, 5), (11, 11)]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("srpose-resnet50-srpose", {"input_size": (66, 48)}, "input_size: expected positive multiples of 4, got 66x48"),
        ("srpose-resnet50-srpose", {"scale_factor": 0.3}, "scale_factor: expected a positive multiple of 1/4, got 0.3"),
        ("srpose-resnet50-simple", {"scale_factor": 1.0}, "scale_factor: a simple head's is 0.25, got 1"),
        ("srpose-resnet50-simple", {"head": "sr"}, "head: expected one of simple, srhead, srpose, got 'sr'"),
        ("srpose-bottomup-resnet50-simple", {"head": "srpose"}, "head: expected one of simple, srhead, got 'srpose'"),
        ("srpose-resnet50-simple", {"backbone": "vgg"}, "backbone: expected one of resnet50, .*, got 'vgg'"),
    ],
)
def test_wrong_configurations_are_named(name: str, changes: dict[str, Any], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build(name, **changes)


@pytest.mark.parametrize(
    "name", [f"srpose-{b}-srpose" for b in ("resnet50", "hrnet-w32", "transpose-r-a4", "hrformer-s")]
)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, input_size=SIZE, num_keypoints=5)
    keypoints = torch.rand(2, 5, 2) * 63
    model.objective(model.training_outputs(torch.randn(2, 3, *SIZE)), keypoints, torch.ones(2, 5)).backward()
    trained = [(key, p) for key, p in model.named_parameters() if p.requires_grad]
    assert [key for key, p in trained if p.grad is None or not p.grad.any()] == []
    frozen = {key.rpartition(".")[2] for key, p in model.named_parameters() if not p.requires_grad}
    assert frozen <= {"pos_embedding", "relative_position_bias_table"}


@pytest.mark.parametrize("name", ["srpose-bottomup-resnet50-srhead", "srpose-bottomup-hrnet-w32-simple"])
def test_every_parameter_of_bottom_up_networks_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, input_size=SIZE, num_keypoints=5)
    keypoints = torch.rand(2, 3, 5, 2) * 63
    outputs = model.training_outputs(torch.randn(2, 3, *SIZE))
    model.objective(outputs, keypoints, torch.ones(2, 3, 5)).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bottom_up_codecs() -> None:
    with torch.device("meta"):
        simple, fine = (build(f"srpose-bottomup-hrnet-w32-{head}").codec for head in ("simple", "srhead"))
    assert simple == AssociativeEmbedding(4.0, 4.0)
    assert fine == AssociativeEmbedding(1.0, 4.0, nms_window=11)


def naive_pull_and_push(tags: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    means, pull, push = [], 0.0, 0.0
    for person, seen in zip(tags, known, strict=True):
        if seen.any():
            means.append(person[seen].mean())
            pull += ((person[seen] - means[-1]) ** 2).mean()
    n = len(means)
    for i in range(n):
        for j in range(n):
            push += np.exp(-((means[i] - means[j]) ** 2)) if i != j else 0.0
    return pull / max(n, 1), 0.5 * push / max(n * (n - 1), 1)


def test_pull_and_push_against_loops() -> None:
    generator = np.random.default_rng(0)
    tags = generator.standard_normal((6, 4, 5))
    known = generator.random((6, 4, 5)) < 0.6
    known[0] = False
    known[1, 1:] = False
    known[1, 0, 0] = True
    pull, push = pull_and_push(torch.from_numpy(tags), torch.from_numpy(known))
    want = [naive_pull_and_push(*picture) for picture in zip(tags, known, strict=True)]
    np.testing.assert_allclose(np.stack((pull, push), 1), want, rtol=1e-6)
    assert (pull[0], push[0], push[1]) == (0, 0, 0)


def test_the_bottom_up_loss_samples_tags_under_keypoints_and_takes_the_largest_gaussian() -> None:
    objective = EmbeddingObjective((16, 24), sigma=2, tag_weight=1)
    keypoints = torch.tensor([[[[3.0, 4.0]], [[12.0, 7.0]], [[30.0, 2.0]]]])  # the third is outside
    weights = torch.tensor([[[1.0], [1.0], [1.0]]])
    tags = torch.zeros(1, 1, 4, 6)
    tags[0, 0, 1, 0], tags[0, 0, 1, 3] = 5.0, 7.0  # under pixels 0..3 x 4..7 and 12..15 x 4..7
    sampled, known = objective.sample(tags, keypoints, weights > 0)
    assert known.flatten().tolist() == [True, True, False]
    assert sampled.flatten()[:2].tolist() == [5.0, 7.0]
    rows, columns = np.mgrid[:16, :24]
    bells = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in keypoints[0, :, 0].tolist()]
    targets = objective.targets(torch.zeros(1, 1, 16, 24), keypoints, weights > 0)
    np.testing.assert_allclose(targets[0, 0], np.maximum.reduce(bells), atol=1e-6)
    coarse = objective.targets(torch.zeros(1, 1, 4, 6), torch.tensor([[[[5.5, 1.5]]]]), torch.ones(1, 1, 1) > 0)
    assert coarse[0, 0, 0, 1] == 1  # input pixel 5.5 is the centre of cell 1
    loss = objective((targets, tags), keypoints, weights)
    assert float(loss) == pytest.approx(0.5 * np.exp(-4), rel=1e-5)  # heatmaps fit, each person's tags agree


# Export.


@pytest.mark.parametrize(
    ("name", "size", "operators"),
    [
        ("srpose-resnet50-srpose", (64, 64), {"Conv", "Relu", "MaxPool", "Add", "Resize", "Concat", "DepthToSpace"}),
        ("srpose-resnet50-simple", (64, 32), {"Conv", "Relu", "MaxPool", "Add", "ConvTranspose"}),
        (
            "srpose-bottomup-resnet50-srhead",
            (36, 48),
            {"Conv", "Relu", "MaxPool", "Add", "ConvTranspose", "DepthToSpace", "Slice"},
        ),
    ],
)
def test_graphs_need_few_operators_and_equal_pytorch(name: str, size: tuple[int, int], operators: set[str]) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    torch.manual_seed(0)
    model = build(name, input_size=size, num_keypoints=3).eval()
    graph = script.export(model, name)
    assert script.compare(graph, model) < 1e-4
    gelu = {"Div", "Erf", "Mul"} if name.endswith("srpose") else set()
    assert {node.op_type for node in graph.graph.node} == operators | gelu


@pytest.mark.parametrize(("size", "padding"), [((36, 60), {"Pad", "Slice"}), ((224, 224), set())])
def test_transformer_graphs_keep_norms_whole_and_pad_only_where_windows_do_not_fit(
    size: tuple[int, int], padding: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    monkeypatch.setattr(hrformer, "UNITS", (1, 1, 1))
    torch.manual_seed(0)
    model = build("srpose-hrformer-s-srhead", input_size=size, num_keypoints=3).eval()
    graph = script.export(model, "hrformer")
    assert script.compare(graph, model) < 1e-4
    used = {node.op_type for node in graph.graph.node}
    assert used & {"Pad", "Slice", "Shape", "Gather", "BatchNormalization", "ReduceMean"} == padding
    assert {"LayerNormalization", "Gemm", "Erf"} <= used <= TENSORRT_8_6
    constants = {entry.name for entry in graph.graph.initializer}
    assert [node.name for node in graph.graph.node if constants.issuperset(filter(None, node.input))] == []


def test_transpose_graph_equals_pytorch() -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    torch.manual_seed(0)
    model = build("srpose-transpose-r-a4-srpose", input_size=(68, 36), num_keypoints=3).eval()
    graph = script.export(model, "transpose")
    assert script.compare(graph, model) < 1e-4
    used = {node.op_type for node in graph.graph.node}
    assert not used & {"Shape", "Gather", "BatchNormalization", "ReduceMean"}
    assert used <= TENSORRT_8_6


def test_an_estimator_groups_what_a_bottom_up_graph_gives(tmp_path: Path) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    torch.manual_seed(0)
    model = build("srpose-bottomup-resnet50-srhead", input_size=(64, 96)).eval()
    with torch.no_grad():  # heatmaps of random weights are flat
        model.keypoint_head.heatmap_head.weight.mul_(30)
    (tmp_path / "pose.onnx").write_bytes(script.export(model, "srpose-bottomup-resnet50-srhead").SerializeToString())
    estimator = Estimator(tmp_path / "pose.onnx", providers="cpu", threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    poses = estimator.predict(picture)
    assert estimator.card.input.padding == 1
    assert len(poses.xy) > 1
    assert poses.xy.shape[1:] == (17, 2)
    assert np.isfinite(poses.person_scores).all()


def test_official_checkpoints_are_read(tmp_path: Path) -> None:
    script = pytest.importorskip("training.weights")
    torch.manual_seed(0)
    state = build("srpose-resnet50-srpose").state_dict()
    torch.save({"meta": {"epoch": 210}, "state_dict": state, "optimizer": {}}, tmp_path / "epoch_210.pth")
    weights = script.read_weights(tmp_path / "epoch_210.pth")
    assert list(weights) == list(state)
    assert script.read_input_size(tmp_path / "epoch_210.pth") is None


def test_weights_come_back_from_an_exported_file(tmp_path: Path) -> None:
    script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
    weights = pytest.importorskip("training.weights")
    torch.manual_seed(0)
    model = build("srpose-resnet50-simple", input_size=SIZE, num_keypoints=3)
    model.train()(torch.randn(4, 3, *SIZE))  # running statistics that are not where they started
    (tmp_path / "pose.onnx").write_bytes(script.export(model.eval(), "srpose-resnet50-simple").SerializeToString())
    fresh = build("srpose-resnet50-simple", input_size=SIZE, num_keypoints=3).eval()
    fresh.load_state_dict(weights.read_weights(tmp_path / "pose.onnx"))
    x = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        (want,), (got,) = model(x), fresh(x)
    assert (got - want).abs().max() < 1e-4 * want.std()


def test_a_position_embedding_fits_its_own_input_size() -> None:
    weights = pytest.importorskip("training.weights")
    torch.manual_seed(0)
    small, large = (build("srpose-transpose-r-a4-simple", input_size=size) for size in ((32, 32), (64, 32)))
    own = large.backbone.pos_embedding.clone()
    weights.fit_weights(large, small.state_dict())
    assert torch.equal(large.backbone.pos_embedding, own)
    assert torch.equal(large.backbone.reduce.weight, small.backbone.reduce.weight)


def test_building_is_deterministic() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build("srpose-transpose-r-a4-srpose", input_size=SIZE).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
