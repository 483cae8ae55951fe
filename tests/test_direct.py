"""Keypoints that a network gives itself: the codec, and heatmaps decoded inside the graph."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from leanpose import COCO17, Estimator, Heatmap, Keypoints, ModelCard
from models import SIZE, dot_card, save_model

HEIGHT, WIDTH = 32, 24


def transforms(count: int) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.uniform(-2, 2, (count, 2, 3)) + np.eye(2, 3)


def to_picture(matrices: np.ndarray, xy: np.ndarray) -> np.ndarray:
    ones = np.ones((*xy.shape[:-1], 1))
    return np.einsum("bij,bkj->bki", matrices, np.concatenate((xy, ones), -1))


@pytest.mark.parametrize("order", ["xy", "yx"])
@pytest.mark.parametrize("unit", ["pixel", "normalised"])
def test_units_and_orders_give_the_same(unit: Any, order: Any) -> None:
    generator = np.random.default_rng(0)
    xy = generator.uniform(-5, 40, (3, 4, 2))
    scores = generator.random((3, 4)).astype(np.float32)
    given_xy = xy / (WIDTH, HEIGHT) if unit == "normalised" else xy
    given_xy = (given_xy[..., ::-1] if order == "yx" else given_xy).astype(np.float32)
    untouched = given_xy.copy()
    decoded = Keypoints((HEIGHT, WIDTH), unit, order).decode([given_xy, scores], transforms(3))
    np.testing.assert_allclose(decoded.xy, to_picture(transforms(3), xy), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(decoded.scores, scores)
    assert decoded.items.tolist() == [0, 1, 2]
    assert (decoded.xy.dtype, decoded.scores.dtype, decoded.boxes) == (np.float32, np.float32, None)
    np.testing.assert_array_equal(given_xy, untouched)


@pytest.mark.parametrize("order", ["xy", "yx"])
def test_a_flip_test_takes_means_of_the_places(order: Any) -> None:
    generator = np.random.default_rng(1)
    a, b = generator.uniform(0, 20, (2, 2, 3, 2))
    scores_a, scores_b = generator.random((2, 2, 3)).astype(np.float32)
    flip_index = np.array([1, 0, 2])
    mirrored_back = b[:, flip_index] * (-1, 1) + (WIDTH - 1, 0)
    turn = slice(None, None, -1 if order == "yx" else 1)
    decoded = Keypoints((HEIGHT, WIDTH), "pixel", order).decode_flipped(
        [a[..., turn].astype(np.float32), scores_a],
        [b[..., turn].astype(np.float32), scores_b],
        transforms(2),
        flip_index,
    )
    np.testing.assert_allclose(decoded.xy, to_picture(transforms(2), (a + mirrored_back) / 2), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(decoded.scores, (scores_a + scores_b[:, flip_index]) / 2, rtol=1e-6)


def test_no_person_gives_an_empty_result() -> None:
    decoded = Keypoints().decode([np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.float32)], np.zeros((0, 2, 3)))
    assert (decoded.xy.shape, decoded.scores.shape) == ((0, 5, 2), (0, 5))


@given(
    st.builds(
        Keypoints,
        size=st.tuples(st.integers(2, 4096), st.integers(2, 4096)),
        unit=st.sampled_from(["pixel", "normalised"]),
        order=st.sampled_from(["xy", "yx"]),
        keypoints=st.just("places"),
        scores=st.text(min_size=1).filter(lambda name: name != "places"),
    )
)
def test_card_round_trip(codec: Keypoints) -> None:
    card = replace(dot_card(), codec=codec)
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", [32]),
        ("size", [32.5, 24]),
        ("size", [0, 24]),
        ("unit", "metre"),
        ("order", "zx"),
        ("keypoints", ""),
        ("scores", 3),
        ("scores", "keypoints"),
        ("more", 1),
    ],
)
def test_each_wrong_field_is_named(name: str, value: Any) -> None:
    card = dot_card().to_dict()
    card["codec"] = {"type": "keypoints", **Keypoints(SIZE).to_dict(), name: value}
    with pytest.raises(ValueError, match=rf"model card: field.* codec\.{name}|model card: .*codec.*{name}"):
        ModelCard.from_dict(card)


def mean_model(folder: Path, codec: Keypoints) -> Path:
    """Its keypoints are the channel means of the input and their doubles, its scores those means over 256."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["x"]),
        helper.make_node("Add", ["x", "x"], ["y"]),
        helper.make_node("Concat", ["x", "y"], ["keypoints"], axis=2),
        helper.make_node("Mul", ["mean", "small"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, *SIZE])],
        [
            helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, ["batch", 3, 2]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3]),
        ],
        [
            helper.make_tensor("last", TensorProto.INT64, [1], [2]),
            helper.make_tensor("small", TensorProto.FLOAT, [1], [1 / 256]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return save_model(folder / "means.onnx", model, replace(dot_card(), codec=codec))


def test_an_estimator_reads_them(tmp_path: Path) -> None:
    picture = np.empty((*SIZE, 3), np.uint8)
    picture[:] = (12, 8, 4)  # BGR
    poses = Estimator(mean_model(tmp_path, Keypoints(SIZE)), providers="cpu").predict(picture)
    np.testing.assert_allclose(poses.xy, [[[4, 8], [8, 16], [12, 24]]], atol=1e-4)
    np.testing.assert_allclose(poses.keypoint_scores, [[4 / 256, 8 / 256, 12 / 256]], rtol=1e-5)


def test_a_size_that_is_not_the_inputs_is_named(tmp_path: Path) -> None:
    path = mean_model(tmp_path, Keypoints((64, 48)))
    with pytest.raises(ValueError, match=r"field codec\.size: expected that of the input, \[32, 24\], got \[64, 48\]"):
        Estimator(path, providers="cpu")


# Heatmaps decoded in the graph.

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")
script = pytest.importorskip("export", reason="exporting needs onnx: pip install 'leanpose[export]'")
from operators import TENSORRT_8_6

from model_defs.decoding import DecodedInGraph, HeatmapDecoder
from model_defs.registry import build


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 2**16),
    codec=st.sampled_from(
        [
            Heatmap(1.0, "plain", "quarter"),
            Heatmap(4.0, "plain", "none"),
            Heatmap(2.0, "half_pixel", "quarter"),
            Heatmap(4.0, "udp", "quarter"),
        ]
    ),
)
def test_decoding_in_the_graph_equals_the_codec(height: int, width: int, seed: int, codec: Heatmap) -> None:
    size = round(height * codec.stride), round(width * codec.stride)
    maps = np.random.default_rng(seed).standard_normal((2, 3, height, width)).astype(np.float32)
    rows, columns = np.random.default_rng(seed + 1).integers(0, [[height], [width]], (2, 6))
    for i, (row, column) in enumerate(zip(rows, columns, strict=True)):  # anywhere, corners included
        maps[i // 3, i % 3, row, column] += 9
    keypoints, scores = HeatmapDecoder(codec, 3, size)(torch.from_numpy(maps))
    decoded = codec.decode([maps], np.tile(np.eye(2, 3), (2, 1, 1)))
    np.testing.assert_allclose(keypoints.numpy(), decoded.xy, rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(scores.numpy(), decoded.scores)


@pytest.mark.parametrize("refine", ["dark", "udp"])
def test_other_refinements_are_refused(refine: Any) -> None:
    with pytest.raises(ValueError, match=f"decoding in the graph refines by 'none' or 'quarter', got '{refine}'"):
        HeatmapDecoder(Heatmap(4.0, "plain", refine), 17, (64, 48))


def test_other_codecs_are_refused() -> None:
    with torch.device("meta"):
        network = build("amfacpose-r18-256x256", input_size=(64, 48))
    with pytest.raises(ValueError, match="only heatmaps are decoded in the graph, its codec is 'simcc'"):
        DecodedInGraph(network)


def test_both_ways_give_the_same_keypoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poses = []
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    for flag in ([], ["--decode-in-graph"]):
        path = tmp_path / f"pose{len(flag)}.onnx"
        arguments = ["export.py", "srpose/k=1", "-o", str(path), "--input-size", "100x76", *flag]
        monkeypatch.setattr("sys.argv", arguments)
        script.main()
        estimator = Estimator(path, providers="cpu", threads=1)
        assert estimator.card.keypoints == COCO17
        poses.append(estimator.predict(picture, [[10, 5, 90, 110], [0, 0, 160, 120]]))
    graph = onnx.load(path).graph
    assert {node.op_type for node in graph.node} <= TENSORRT_8_6
    outputs = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.output
    }
    assert outputs == {"keypoints": ["batch", 17, 2], "scores": ["batch", 17]}
    np.testing.assert_allclose(poses[1].xy, poses[0].xy, atol=1e-3)
    np.testing.assert_allclose(poses[1].keypoint_scores, poses[0].keypoint_scores, rtol=1e-3, atol=1e-6)


def test_training_goes_through_the_wrapper() -> None:
    torch.manual_seed(0)
    network = build("srpose-resnet50-srpose", input_size=(64, 64), num_keypoints=2).eval()
    wrapped = DecodedInGraph(network)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for mine, theirs in zip(wrapped.training_outputs(x), network.training_outputs(x), strict=True):
            torch.testing.assert_close(mine, theirs)
    assert wrapped.transform == network.transform
    assert wrapped.codec == Keypoints((64, 64))
