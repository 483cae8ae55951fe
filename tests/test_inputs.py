"""What graphs take in: layouts, dtypes, fixed batches, open shapes, weights among inputs; and cards from callers."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from leanpose import COCO17, Estimator, Heatmap, InputSpec, Keypoints, ModelCard, OneStage, SimCC
from leanpose.metadata import write_card
from models import DOTS, SIZE, constant_model, dot_card, dot_graph, dot_model, dots_picture, save_model, taking

CENTERS = [[6.0, 5.0], [17.0, 9.0], [12.0, 25.0]]
PICTURE = dots_picture(*SIZE, CENTERS)
PLAIN = {"input.mean": [0, 0, 0], "input.std": [1, 1, 1], "input.padding": 1}
DTYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
}


@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_and_dtypes_give_the_same_keypoints(dtype: str, layout: str, batch: Any, tmp_path: Path) -> None:
    graph = taking(dot_graph(batch=batch), DTYPES[dtype], layout)
    path = save_model(tmp_path / "model.onnx", graph, None)
    estimator = Estimator(path, threads=1, card=PLAIN)
    assert estimator.card.input.layout == layout
    for poses in estimator.predict([PICTURE] * 4):
        np.testing.assert_array_equal(poses.xy, [CENTERS])
        np.testing.assert_allclose(poses.keypoint_scores, 250)
    write_card(path, estimator.card)
    np.testing.assert_array_equal(Estimator(path, threads=1).predict(PICTURE).xy, [CENTERS])


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flip_test_mirrors_the_columns_of_any_layout(dtype: str, layout: str, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.onnx", taking(dot_graph(), DTYPES[dtype], layout), None)
    fields = {**PLAIN, "keypoints": replace(DOTS, flip_pairs=((0, 1),))}
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    poses = Estimator(path, threads=1, card=fields, flip_test=True).predict(picture)
    planes = Estimator(dot_model(tmp_path, keypoints=fields["keypoints"]), threads=1, flip_test=True)
    assert poses == planes.predict(picture)
    assert poses != Estimator(path, threads=1, card=fields).predict(picture)


def test_what_lies_outside_the_picture_has_the_border_s_grey(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["image", "0", "1", "2"], ["row"]),
        helper.make_node("Slice", ["row", "0", "1", "3"], ["corner"]),
        helper.make_node("Reshape", ["corner", "shape"], ["keypoints"]),
    ]
    tensors = [numpy_helper.from_array(np.array([value]), str(value)) for value in range(4)]
    graph = helper.make_graph(
        nodes,
        "corner",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, *SIZE])],
        [helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, ["batch", 1, 3])],
        [*tensors, numpy_helper.from_array(np.array([-1, 1, 3]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = save_model(tmp_path / "corner.onnx", model, None)
    for border in (0, 114, 127.5):
        fields = {**PLAIN, "codec.unit": "pixel", "input.border": border}
        poses = Estimator(path, threads=1, card=fields).predict(np.full((4, 240, 3), 200, np.uint8))
        assert poses.keypoint_scores.tolist() == [[border]]  # a wide picture leaves the corner free


@pytest.mark.parametrize("image", [["batch", 3, *SIZE], [1, 3, *SIZE], ["batch", 3, "height", "width"]])
def test_open_output_shapes_are_those_of_a_run(image: list[Any], tmp_path: Path) -> None:
    graph = dot_graph(hide_shapes=True)
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, image))
    path = save_model(tmp_path / "model.onnx", graph, None)
    estimator = Estimator(path, threads=1, card={**PLAIN, "input.size": SIZE})
    assert (estimator.card.codec, len(estimator.card.keypoints)) == (SimCC(1.0), 3)
    np.testing.assert_array_equal(estimator.predict(PICTURE).xy, [CENTERS])


def test_a_graph_that_fails_on_a_black_picture_says_so(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["image", "weights"], ["maps"])],
        "fixed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["batch", "keypoints", "rows", "columns"])],
        [numpy_helper.from_array(np.ones((24, 24), np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = save_model(tmp_path / "model.onnx", model, None)
    fails = r"leaves the shapes of its outputs open and fails on an input of shape \(1, 3, 32, 20\): "
    with pytest.raises(ValueError, match=rf"^model: '.*model\.onnx': the graph {fails}"):
        Estimator(path, threads=1, card={"input.size": [32, 20]})
    fields = {"input.size": [32, 24], "codec.type": "heatmap"}
    assert Estimator(path, threads=1, card=fields).card.codec == Heatmap(1.0, heatmaps="maps")


@pytest.mark.parametrize("ir_version", [3, 4, 8])
@pytest.mark.parametrize("with_card", [True, False])
def test_weights_listed_among_the_inputs_are_weights(ir_version: int, with_card: bool, tmp_path: Path) -> None:
    graph = dot_graph()
    graph.ir_version = ir_version
    graph.graph.input.append(helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]))
    path = save_model(tmp_path / "old.onnx", graph, dot_card() if with_card else None)
    onnx.checker.check_model(onnx.load(path))
    estimator = Estimator(path, threads=1, card=None if with_card else PLAIN)
    np.testing.assert_array_equal(estimator.predict(PICTURE).xy, [CENTERS])


@pytest.mark.parametrize("batch", ["batch", 1, 4])
@pytest.mark.parametrize(
    ("dtype", "layout"), [(TensorProto.INT32, "nhwc"), (TensorProto.FLOAT, "nhwc"), (TensorProto.FLOAT, "nchw")]
)
def test_movenet_gives_places_over_the_input(dtype: int, layout: str, batch: Any, tmp_path: Path) -> None:
    given = np.random.default_rng(0).random((1, 17, 3))
    shape = [batch, 3, 192, 192] if layout == "nchw" else [batch, 192, 192, 3]
    path = constant_model(tmp_path / "movenet.onnx", shape, {"output_0": given}, dtype=dtype)
    estimator = Estimator(path, threads=1)
    assert estimator.card.codec == Keypoints((192, 192), "normalised", "yx", "output_0", None)
    assert (estimator.card.input.mean, estimator.card.input.std) == ((0, 0, 0), (1, 1, 1))
    assert (estimator.card.input.padding, estimator.card.input.color) == (1.25, "rgb")
    poses = estimator.predict(np.zeros((500, 500, 3), np.uint8), [[100, 150, 180, 190], [0, 0, 10, 10]])
    y, x, scores = np.moveaxis(given[0], 1, 0)
    np.testing.assert_allclose(poses.xy[0], np.stack((90 + 100 * x, 120 + 100 * y), axis=1), rtol=1e-5)
    np.testing.assert_allclose(poses.keypoint_scores, [scores, scores], rtol=1e-5)
    mean = Estimator(path, threads=1, flip_test=True).predict(np.zeros((192, 192, 3), np.uint8), [[0, 0, 192, 192]])
    flip = COCO17.flip_index
    np.testing.assert_allclose(mean.keypoint_scores[0], (scores + scores[flip]) / 2, rtol=1e-5)
    middle = (192 * x + 191 - 192 * x[flip]) / 2
    np.testing.assert_allclose(mean.xy[0, :, 0], 1.25 * middle - 24, rtol=1e-4, atol=1e-3)


def test_keypoints_given_as_pairs_need_their_unit(tmp_path: Path) -> None:
    values = {"places": np.full((17, 2), 0.5), "confidence": np.full((17, 1), 0.25)}
    path = constant_model(tmp_path / "pairs.onnx", [1, 3, 128, 128], values)
    with pytest.raises(ValueError, match=r"does not tell codec\.unit: .*card=\{\"codec\.unit\": \"pixel\"\}"):
        Estimator(path, threads=1)
    estimator = Estimator(path, detector=None, threads=1, card={"codec.unit": "normalised", "input.padding": 1})
    poses = estimator.predict(np.zeros((100, 100, 3), np.uint8))
    np.testing.assert_allclose(poses.xy, np.full((1, 17, 2), 50))
    np.testing.assert_allclose(poses.keypoint_scores, np.full((1, 17), 0.25))


def test_parts_of_different_length_are_joined(tmp_path: Path) -> None:
    """Suppression inside a graph of batch 1 leaves another number of rows for each picture."""
    row = np.zeros((1, 57), np.float32)
    row[0, 2:5] = 10, 10, 0.5
    nodes = [
        helper.make_node("Slice", ["image", "0", "1", "2"], ["line"]),
        helper.make_node("Slice", ["line", "0", "1", "3"], ["corner"]),  # its red tells how many
        helper.make_node("Slice", ["corner", "0", "1", "1"], ["red"]),
        helper.make_node("Reshape", ["red", "one"], ["number"]),
        helper.make_node("Mul", ["number", "255"], ["levels"]),
        helper.make_node("Cast", ["levels"], ["count"], to=TensorProto.INT64),
        helper.make_node("Concat", ["one", "count", "one"], ["repeats"], axis=0),
        helper.make_node("Tile", ["row", "repeats"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, "persons", 57])],
        [
            *(numpy_helper.from_array(np.array([value]), str(value)) for value in range(4)),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([255.0], np.float32), "255"),
            numpy_helper.from_array(row[None], "row"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    estimator = Estimator(save_model(tmp_path / "rows.onnx", model, None), threads=1)
    assert estimator.card.codec == OneStage((64, 64), "yolo_end_to_end", nms_threshold=None)
    counts = [3, 0, 7, 1]
    pictures = [np.full((64, 64, 3), count, np.uint8) for count in counts]
    assert [len(poses) for poses in estimator.predict(pictures)] == counts


def test_a_whole_card_takes_the_place_of_the_file_s(tmp_path: Path) -> None:
    other = dot_card(color="bgr")
    for path in (dot_model(tmp_path), save_model(tmp_path / "bare.onnx", dot_graph(), None)):
        estimator = Estimator(path, threads=1, card=other)
        assert estimator.card == other
        np.testing.assert_array_equal(estimator.predict(PICTURE).xy, [CENTERS[::-1]])
    unsound = replace(other, input=replace(other.input, padding=-1.0))
    with pytest.raises(ValueError, match=r"^model: '.*dots\.onnx': model card: field input\.padding"):
        Estimator(dot_model(tmp_path), threads=1, card=unsound)
    misfit = replace(other, codec=Heatmap())
    with pytest.raises(ValueError, match=r"the graph has no output 'heatmaps'"):
        Estimator(dot_model(tmp_path), threads=1, card=misfit)


def test_fields_lie_over_the_file_s_card(tmp_path: Path) -> None:
    path = dot_model(tmp_path)
    estimator = Estimator(path, threads=1, card={"input.color": "bgr", "name": "other"})
    assert estimator.card == replace(dot_card(color="bgr"), name="other")
    assert Estimator(path, threads=1, card={}).card == dot_card()
    lying = save_model(tmp_path / "lying.onnx", dot_graph(), dot_card(size=(24, 32)))
    assert Estimator(lying, threads=1, card={"input.size": [32, 24]}).card == dot_card()
    broken = save_model(tmp_path / "broken.onnx", dot_graph(), "[]")
    with pytest.raises(ValueError, match=r"model card: expected a JSON object, got list"):
        Estimator(broken, threads=1, card={"input.size": [32, 24]})
    assert Estimator(broken, threads=1, card=dot_card()).card == dot_card()


def test_another_codec_comes_before_its_fields(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "maps.onnx", [1, 3, 64, 48], {"maps": np.zeros((17, 16, 12))}, None)
    spec = InputSpec((64, 48), "rgb", (0.0,) * 3, (1.0,) * 3, 1.25, "plain")
    stored = Keypoints((64, 48), keypoints="maps", scores="other")
    write_card(path, ModelCard("maps", spec, stored, COCO17))
    fields = {"codec.refine": "none", "codec.heatmaps": "maps", "codec.type": "heatmap"}
    assert Estimator(path, threads=1, card=fields).card.codec == Heatmap(refine="none", heatmaps="maps")


@pytest.mark.parametrize("card", ["card.json", 1, ["input.color=bgr"], {1: 2}, [("input.color", "bgr")], SimCC()])
def test_cards_of_other_types(card: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^card: expected a ModelCard or a mapping of fields, .* got "):
        Estimator(dot_model(tmp_path), threads=1, card=card)


def test_an_estimator_keeps_its_card_when_pickled(tmp_path: Path) -> None:
    fields = {**PLAIN, "input.color": "bgr"}
    estimator = Estimator(save_model(tmp_path / "bare.onnx", dot_graph(), None), threads=1, card=fields)
    again = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    assert again.card == estimator.card
    assert again.predict(PICTURE) == estimator.predict(PICTURE)


def test_a_flip_test_of_keypoints_without_names_is_refused(tmp_path: Path) -> None:
    path = save_model(tmp_path / "bare.onnx", dot_graph(), None)
    assert len(Estimator(path, threads=1, card=PLAIN).card.keypoints) == 3
    with pytest.raises(ValueError, match=r"flip_test: which of the 3 keypoints trade places .* keypoints\.flip_pairs"):
        Estimator(path, threads=1, card=PLAIN, flip_test=True)
    assert Estimator(path, threads=1, card={**PLAIN, "keypoints.flip_pairs": [[0, 1]]}, flip_test=True).flip_test


@pytest.mark.parametrize("sided", ["Left_ear", "l_ear", "rightear"])
def test_a_flip_test_of_sides_without_pairs_is_refused(tmp_path: Path, sided: str) -> None:
    path = save_model(tmp_path / "bare.onnx", dot_graph(), None)
    named = {**PLAIN, "keypoints.names": [sided, "nose", "tail"]}
    with pytest.raises(ValueError, match=r"keypoints\.flip_pairs"):
        Estimator(path, threads=1, card=named, flip_test=True)
    middle = {**PLAIN, "keypoints.names": ["bright_spot", "nose", "tail"]}
    assert Estimator(path, threads=1, card=middle, flip_test=True).flip_test
