from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from detectors import SIZE, Crowd, save_detector
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper
from PIL import Image

from leanpose import Detections, Detector, Estimator, Poses
from models import DOTS, crowd_model, dot_model, heat_model

HEIGHT, WIDTH = SIZE
BOXES = [[1, 2, 20, 30], [30.5, 5.25, 50, 40.75], [50, 30, 95, 63.5]]
SCORES = [0.5, 0.9, 0.7]
NAN, INF = np.nan, np.inf
Picture = npt.NDArray[np.uint8]


def noise(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A detector with NMS inside that finds the boxes in every picture of more than one colour."""
    nobody = {"dets": np.empty((1, 0, 5), np.float32), "labels": np.empty((1, 0), np.int64)}
    return save_detector(tmp_path / "finished.onnx", Crowd(BOXES, SCORES).labelled(), nobody)


def finished_rows(path: Path, rows: Any, **keywords: Any) -> Path:
    """One that finds rows of x1, y1, x2, y2, score."""
    dets = np.array(rows, np.float32).reshape(1, -1, 5)
    return save_detector(path, {"dets": dets, "labels": np.zeros(dets.shape[:2], np.int64)}, **keywords)


def pixel_detector(path: Path, channel: int, row: int, column: int) -> Path:
    """One that finds a person around the whole input, whose score is one value of the input."""
    starts, stops = [0, channel, row, column], [1, channel + 1, row + 1, column + 1]
    constants = {"starts": starts, "stops": stops, "shape": [1, 1, 1]}
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["image", "starts", "stops"], ["value"]),
            helper.make_node("Reshape", ["value", "shape"], ["score"]),
            helper.make_node("Concat", ["box", "score"], ["dets"], axis=2),
            helper.make_node("Identity", ["zero"], ["labels"]),
        ],
        "pixel",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *SIZE])],
        [
            helper.make_tensor_value_info("dets", TensorProto.FLOAT, [1, 1, 5]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1]),
        ],
        [
            *(helper.make_tensor(name, TensorProto.INT64, [len(v)], v) for name, v in constants.items()),
            helper.make_tensor("box", TensorProto.FLOAT, [1, 1, 4], [0, 0, WIDTH, HEIGHT]),
            helper.make_tensor("zero", TensorProto.INT64, [1, 1], [0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


# What the input holds


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_color_order_and_normalisation(color: Any, channel: int, tmp_path: Path) -> None:
    picture, mean, std = noise(), (10.0, 20.0, 30.0), (300.0, 400.0, 500.0)
    picture[7, 9] = 200, 210, 220
    keywords: Any = {"color": color, "mean": mean, "std": std, "score_threshold": 0}
    detector = Detector(pixel_detector(tmp_path / "m.onnx", channel, 7, 9), **keywords)
    value = (picture[7, 9, channel if color == "bgr" else 2 - channel] - mean[channel]) / std[channel]
    np.testing.assert_allclose(detector.predict(picture).scores, [value], rtol=1e-5)


def test_padding_and_resize(tmp_path: Path) -> None:
    model, white = pixel_detector(tmp_path / "m.onnx", 0, HEIGHT - 1, 0), np.full((20, 60, 3), 255, np.uint8)
    plain: Any = {"mean": (0, 0, 0), "std": (255, 255, 255), "score_threshold": 0}
    for keywords, score in (({}, 114 / 255), ({"pad": 51}, 0.2), ({"resize": "stretch"}, 1)):
        found = Detector(model, **plain, **keywords).predict(white)
        np.testing.assert_allclose(found.scores, [score], rtol=1e-5)
    for resize, box in (("letterbox", [0, 0, 60, 20]), ("stretch", [0, 0, 60, 20])):
        np.testing.assert_allclose(Detector(model, **plain, resize=resize).predict(white).boxes, [box], rtol=1e-6)


def test_input_sizes_left_open(tmp_path: Path) -> None:
    open_size: Any = {"size": ("height", "width"), "batch": "batch"}
    model = finished_rows(tmp_path / "m.onnx", [[0, 0, 32, 32, 0.9]], **open_size)
    assert Detector(model).input_size == (320, 320)
    assert Detector(model, family="yolox").input_size == (640, 640)
    detector = Detector(model, input_size=(64, 32), resize="stretch")
    np.testing.assert_allclose(detector.predict(noise(100, 100)).boxes, [[0, 0, 100, 50]], rtol=1e-6)
    grid = save_detector(tmp_path / "grid.onnx", Crowd(BOXES, SCORES).yolox(), **open_size)
    assert len(Detector(grid, input_size=SIZE).predict(noise())) == 3


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT32])
@pytest.mark.parametrize("nhwc", [False, True])
def test_other_inputs(dtype: int, nhwc: bool, tmp_path: Path) -> None:
    model = save_detector(tmp_path / "m.onnx", Crowd(BOXES, SCORES).labelled(), dtype=dtype, nhwc=nhwc)
    detector = Detector(model, threads=1)
    assert detector.input_size == SIZE
    assert detector.std == ((57.375, 57.12, 58.395) if dtype == TensorProto.FLOAT16 else (1, 1, 1))
    assert len(detector.predict(noise())) == 3
    if dtype != TensorProto.FLOAT16:
        with pytest.raises(ValueError, match="mean, std: the input takes integers"):
            Detector(model, std=(2, 2, 2))


def test_outputs_of_half_precision(tmp_path: Path) -> None:
    outputs = {name: array.astype(np.float16) for name, array in Crowd(BOXES, SCORES).picodet().items()}
    found = Detector(save_detector(tmp_path / "m.onnx", outputs)).predict(noise())
    np.testing.assert_allclose(found.boxes, np.array(BOXES)[[1, 2, 0]], atol=0.05)


# Which persons


def test_thresholds(tmp_path: Path) -> None:
    model = finished_rows(tmp_path / "m.onnx", [[0, 0, 20, 20, 0.5], [1, 0, 20, 20, 0.8], [50, 9, 60, 19, 0.3]])
    assert Detector(model).predict(noise()).scores.tolist() == np.float32([0.8, 0.5]).tolist()
    assert len(Detector(model, score_threshold=0.29).predict(noise())) == 3
    assert len(Detector(model, score_threshold=0.8001).predict(noise())) == 0
    assert len(Detector(model, nms_threshold=0.5).predict(noise())) == 1
    grid = save_detector(tmp_path / "grid.onnx", Crowd([[5, 5, 40, 40], [6, 5, 40, 40]], [0.8, 0.9]).yolov8())
    assert Detector(grid).predict(noise()).scores.tolist() == pytest.approx([0.9])
    assert len(Detector(grid, nms_threshold=1).predict(noise())) == 2


def test_the_class_of_persons(tmp_path: Path) -> None:
    other = Crowd(BOXES, SCORES, person=3).yolov8()
    assert len(Detector(save_detector(tmp_path / "m.onnx", other)).predict(noise())) == 0
    assert len(Detector(tmp_path / "m.onnx", person_class=3).predict(noise())) == 3
    for names in ("{0: 'car', 3: 'Person'}", "['car', 'bus', 'dog', 'person']"):
        named = save_detector(tmp_path / "named.onnx", other, metadata={"names": names})
        assert Detector(named).person_class == 3
        assert Detector(named, person_class=0).person_class == 0
    for names in ("{0: 1}", "__import__('os')", "(", "{'a': 'person'}", "{[]: 1}", "7"):
        assert Detector(save_detector(tmp_path / "x.onnx", other, metadata={"names": names})).person_class == 0
    helmets = save_detector(tmp_path / "helmets.onnx", other, metadata={"names": "{0: 'helmet', 1: 'vest'}"})
    with pytest.raises(ValueError, match="person_class: none of the classes helmet, vest is a person"):
        Detector(helmets)


def test_boxes_are_clipped_and_empty_ones_dropped(tmp_path: Path) -> None:
    rows = [
        [-10, -20, 30, 40, 0.9],
        [90, 60, 200, 300, 0.8],
        [-50, 0, 0, 10, 0.9],
        [97, 3, 120, 9, 0.9],
        [20, 20, 20, 30, 0.9],
        [40, 30, 30, 40, 0.9],
        [-1e30, -1e30, 1e30, 1e30, 0.6],
    ]
    found = Detector(finished_rows(tmp_path / "m.onnx", rows)).predict(noise())
    np.testing.assert_array_equal(found.boxes, [[0, 0, 30, 40], [90, 60, 96, 64], [0, 0, 96, 64]])
    assert Estimator(dot_model(tmp_path)).predict(noise(), found).boxes.tolist() == found.boxes.tolist()


HOSTILE = st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0, NAN, INF, -INF, 3e38, -3e38, 1e-45])


@given(rows=arrays(np.float32, (6, 5), elements=HOSTILE))
def test_hostile_rows_never_leave_the_detector(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    rows[:, 4] = np.where(rows[:, 4] > 1, 0.5, rows[:, 4])
    found = Detector(finished_rows(tmp_path_factory.mktemp("m") / "m.onnx", rows), threads=1).predict(noise(30, 40))
    assert isinstance(found, Detections)  # which refuses what is not sound
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [40, 30, 40, 30]).all()
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("value", [NAN, INF, -INF, 3e38, -3e38])
@pytest.mark.parametrize(
    "outputs",
    [
        Crowd(BOXES, SCORES).yolox(),
        Crowd(BOXES, SCORES).yolov5(),
        Crowd(BOXES, SCORES).yolov8(),
        Crowd(BOXES, SCORES).picodet(),
        Crowd(BOXES, SCORES).nanodet(),
        Crowd(BOXES, SCORES).levels(),
        Crowd(BOXES, SCORES, classes=91, person=1).detr(),
        Crowd(BOXES, SCORES).detr(exclusive=False),
    ],
    ids=["yolox", "yolov5", "yolov8", "picodet", "nanodet", "levels", "detr", "rt_detr"],
)
def test_hostile_outputs_give_nobody_or_an_error(value: float, outputs: Any, tmp_path: Path) -> None:
    hostile = {name: np.full_like(array, value) for name, array in outputs.items()}
    detector = Detector(save_detector(tmp_path / "m.onnx", hostile, outputs), threads=1)
    if value == 3e38 and detector.family not in ("detr", "rt_detr", "yolox", "yolov5"):
        with pytest.raises(ValueError, match=r"expected 0\.\.1"):
            detector.predict(noise())
    else:
        assert len(detector.predict(noise())) == 0


def test_scores_that_are_none_are_refused(tmp_path: Path) -> None:
    model = finished_rows(tmp_path / "m.onnx", [[0, 0, 9, 9, 7.5]])
    with pytest.raises(ValueError, match=r"a score of 7.5, expected 0..1, as family rtmdet has it"):
        Detector(model).predict(noise())
    rounded = finished_rows(tmp_path / "r.onnx", [[0, 0, 9, 9, 1.0000002]])
    assert Detector(rounded).predict(noise()).scores.tolist() == [1]


def test_outputs_that_change_their_form_are_refused(tmp_path: Path) -> None:
    black = Crowd([], []).yolov8()
    model = save_detector(tmp_path / "m.onnx", {"output0": black["output0"][:, :, :-1].copy()}, black)
    with pytest.raises(ValueError, match=r"outputs of shapes \[\(84, 125\)\].*but for a black one \[\(84, 126\)\]"):
        Detector(model).predict(noise())
    nobody = {"dets": np.empty((1, 0, 5), np.float32), "labels": np.empty((1, 0), np.int64)}
    crooked = {"dets": np.zeros((1, 3, 5), np.float32), "labels": np.zeros((1, 2), np.int64)}
    with pytest.raises(ValueError, match="outputs of shapes"):
        Detector(save_detector(tmp_path / "n.onnx", crooked, nobody)).predict(noise())


# Which family


def test_names_tell_what_shapes_leave_open(tmp_path: Path, finished: Path) -> None:
    assert Detector(finished).family == "rtmdet"
    renamed = finished.rename(tmp_path / "YOLOX_m_humanart.onnx")
    assert Detector(renamed).family == "yolox"
    assert Detector(renamed).mean == (0, 0, 0)
    assert Detector(renamed, family="rtmdet").family == "rtmdet"
    one = Crowd(BOXES, SCORES, classes=1).detr(exclusive=False)
    with pytest.raises(ValueError, match="family='deformable_detr' or family='rt_detr'"):
        Detector(save_detector(tmp_path / "queries.onnx", one), person_class=0)
    assert Detector(save_detector(tmp_path / "rtdetr_r18.onnx", one)).family == "rt_detr"
    assert len(Detector(tmp_path / "queries.onnx", family="rt_detr").predict(noise())) == 3
    odd = Crowd(BOXES, SCORES, classes=40).yolox()
    with pytest.raises(ValueError, match=r"family='yolox' or family='nanodet' or family='yolov8'.*outputs: output"):
        Detector(save_detector(tmp_path / "odd.onnx", odd))
    assert len(Detector(tmp_path / "odd.onnx", family="yolox").predict(noise())) == 3


UNKNOWN: dict[str, dict[str, Any]] = {
    "rank": {"x": np.zeros((1, 3, 4, 5), np.float32)},
    "count": {"x": np.zeros((1, 84, 100), np.float32)},
    "width": {"x": np.zeros((1, 126, 4), np.float32)},
    "vector": {"x": np.zeros(1, np.float32)},
    "three": {name: np.zeros((1, 5, 4), np.float32) for name in "xyz"},
    "five": {name: np.zeros((1, 5, 4), np.float32) for name in "vwxyz"},
    "two boxes": {name: np.zeros((1, 5, 4), np.float32) for name in "xy"},
    "labels": {"x": np.zeros((1, 5, 5), np.float32), "y": np.zeros((1, 4), np.int64)},
    "levels": {name: array for name, array in Crowd([], []).levels().items() if name != "cls_64"},
    "classes": {**Crowd([], []).levels(), "cls_8": np.zeros((1, 96, 79), np.float32)},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_graphs_are_refused(name: str, tmp_path: Path) -> None:
    model = save_detector(tmp_path / "m.onnx", UNKNOWN[name])
    with pytest.raises(ValueError, match=r"m.onnx.*fit no family of detectors that family= could name \(yolox: .*"):
        Detector(model)
    with pytest.raises(ValueError, match=r"family: 'picodet' has outputs scores \[b, classes, n\]"):
        Detector(model, family="picodet")


BAD_GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "batch": ({"batch": 2}, "expected one input .* batch of one"),
    "channels": ({"channels": 1}, "expected one input"),
    "inputs": ({"inputs": ("image", "scale")}, "expected one input"),
    "no pixels": ({"size": (0, 64)}, "expected height and width of the input from 1 to 4096; its inputs: image"),
    "too many pixels": ({"size": (64, 10**5)}, "expected height and width of the input from 1 to 4096; its inputs"),
    "dtype": ({"dtype": TensorProto.DOUBLE}, "expected one input .* of float32, float16, uint8, int32"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graphs(name: str, tmp_path: Path) -> None:
    keywords, message = BAD_GRAPHS[name]
    with pytest.raises(ValueError, match=message):
        Detector(finished_rows(tmp_path / "m.onnx", [[0, 0, 9, 9, 0.9]], **keywords))


def test_bad_outputs(tmp_path: Path) -> None:
    two = {"dets": np.zeros((2, 3, 5), np.float32), "labels": np.zeros((2, 3), np.int64)}
    with pytest.raises(ValueError, match=r"output dets came with shape \(2, 3, 5\).* batch axis of length 1 first"):
        Detector(save_detector(tmp_path / "m.onnx", two))
    with pytest.raises(ValueError, match=r"output dets came with shape .* and dtype bool"):
        Detector(save_detector(tmp_path / "b.onnx", {"dets": np.zeros((1, 2), bool)}))


def test_pose_models_are_refused(tmp_path: Path) -> None:
    for model in (dot_model(tmp_path), heat_model(tmp_path, 4), crowd_model(tmp_path)):
        with pytest.raises(ValueError, match="it has a model card, so it is a pose model"):
            Detector(model)
        bare = onnx.load(model)
        del bare.metadata_props[:]
        model.write_bytes(bare.SerializeToString())
        with pytest.raises(ValueError, match="fit no family of detectors"):
            Detector(model)


def test_one_stage_pose_models_are_refused(tmp_path: Path) -> None:
    keypoints = np.tile(np.float32([[50], [40], [0.9]]), (17, 126))
    rows = np.concatenate([Crowd(BOXES, SCORES, classes=1).yolov8()["output0"][0], keypoints])[None]
    with pytest.raises(ValueError, match="fit no family of detectors"):
        Detector(save_detector(tmp_path / "yolov8n-pose.onnx", {"output0": rows}))


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Detector(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match="not a sound ONNX model"):
        Detector(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="is a folder"):
        Detector(tmp_path)
    with pytest.raises(TypeError, match="expected a path"):
        Detector(7)  # type: ignore[arg-type]


BAD_KEYWORDS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"family": "yolo"}, ValueError, "family: expected one of yolox, rtmdet, .*, got 'yolo'"),
    ({"family": ["yolox"]}, ValueError, "family: expected one of"),
    ({"family": "yolov8"}, ValueError, r"family: 'yolov8' has outputs \[b, 4 \+ classes, n\]"),
    ({"input_size": (64, 64)}, ValueError, r"input_size: \(64, 64\) is not the height and width of the graph's input"),
    ({"input_size": 64}, TypeError, "input_size: expected two integers"),
    ({"input_size": (64.0, 96)}, TypeError, "input_size: expected two integers"),
    ({"input_size": (0, 96)}, ValueError, "input_size: expected height and width from 1 to 4096"),
    ({"resize": "crop"}, ValueError, "resize must be one of"),
    ({"color": "grey"}, ValueError, "color must be one of"),
    ({"mean": (1, 2)}, ValueError, "mean must have shape"),
    ({"std": (0, 1, 1)}, ValueError, "std must be positive"),
    ({"pad": 256}, ValueError, "pad: expected a grey level from 0 to 255, got 256"),
    ({"pad": NAN}, ValueError, "pad: expected a grey level from 0 to 255, got nan"),
    ({"pad": "grey"}, TypeError, "pad: expected a number, got 'grey'"),
    ({"resize": 5}, TypeError, "resize: expected a string, got 5"),
    ({"color": 5}, TypeError, "color: expected a string, got 5"),
    ({"person_class": -1}, ValueError, "person_class: expected a class from 0, got -1"),
    ({"person_class": "person"}, TypeError, "person_class: expected an integer or None"),
    ({"score_threshold": 1.5}, ValueError, "score_threshold: expected a number from 0 to 1, got 1.5"),
    ({"score_threshold": None}, TypeError, "score_threshold: expected a number"),
    ({"nms_threshold": NAN}, ValueError, "nms_threshold: expected a number from 0 to 1"),
    ({"threads": 0}, ValueError, "threads: expected 1 to"),
    ({"providers": "abacus"}, ValueError, "unknown provider"),
]


@pytest.mark.parametrize(("keywords", "error", "message"), BAD_KEYWORDS)
def test_bad_keywords(keywords: dict[str, Any], error: type[Exception], message: str, finished: Path) -> None:
    with pytest.raises(error, match=message):
        Detector(finished, **keywords)


def test_a_class_beyond_the_last(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="person_class: expected a class from 0 to 79, got 80"):
        Detector(save_detector(tmp_path / "m.onnx", Crowd([], []).yolox()), person_class=80)


# Pictures


def test_every_kind_of_picture(finished: Path, tmp_path: Path) -> None:
    detector, picture = Detector(finished), noise()
    path = tmp_path / "größe.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    expected = detector.predict(picture)
    assert len(expected) == 3
    for kind in (
        path,
        str(path),
        Image.fromarray(picture[..., ::-1].copy()),
        cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA),
        picture[..., 0],
        picture[..., :1],
        np.asfortranarray(picture),
        picture[::-1].copy()[::-1],
    ):
        assert detector.predict(kind) == expected
    assert detector.predict([path, picture]) == [expected, expected]
    assert detector.predict([]) == []
    assert len(detector.predict(np.zeros((1, 1, 3), np.uint8))) == 3  # the pad sets it apart
    assert len(Detector(finished, pad=0).predict(np.zeros((1, 1), np.uint8))) == 0
    assert len(detector.predict(noise(1, 3000))) == 0  # one row of the input
    assert len(detector.predict(noise(3000, 1))) == 0


BAD_PICTURES: list[tuple[Any, type[Exception], str]] = [
    (np.zeros((0, 5, 3), np.uint8), ValueError, "expected at least one pixel"),
    (np.zeros((5, 5, 3)), TypeError, "expected a uint8 array, got float64"),
    (np.zeros((3, 5, 5), np.uint8), ValueError, "channels come last"),
    (np.zeros((2, 5, 5, 3), np.uint8), ValueError, "one at a time"),
    ("missing.png", FileNotFoundError, "there is no file"),
    (None, TypeError, "expected a path"),
]


@pytest.mark.parametrize(("picture", "error", "message"), BAD_PICTURES)
def test_bad_pictures(picture: Any, error: type[Exception], message: str, finished: Path) -> None:
    detector = Detector(finished)
    with pytest.raises(error, match=message):
        detector.predict(picture)
    with pytest.raises(error, match=f"picture 1: .*{message}"):
        detector.predict([noise(), picture])


# Sharing


def test_pickling_and_copies(finished: Path) -> None:
    detector = Detector(finished, score_threshold=0.6, person_class=0, input_size=SIZE, threads=1)
    expected = detector.predict(noise())
    assert len(expected) == 2
    for twin in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):  # noqa: S301
        assert twin.predict(noise()) == expected
        assert (
            repr(twin)
            == repr(detector)
            == f"Detector({str(finished)!r}, family='rtmdet', input_size={SIZE}, "
            + (f"providers={detector.providers})")
        )


def test_threads_share_a_detector(tmp_path: Path) -> None:
    detector = Detector(save_detector(tmp_path / "m.onnx", Crowd(BOXES, SCORES).nanodet()), threads=1)
    pictures = [noise(40 + index, 50) for index in range(24)]
    expected = [detector.predict(picture) for picture in pictures]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(detector.predict, pictures)) == expected


# Detections


def test_detections_are_values() -> None:
    found = Detections(np.array(BOXES), np.array(SCORES))
    assert found == Detections(BOXES, SCORES)  # type: ignore[arg-type]
    assert found != found[:2]
    assert found != "found"
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):  # noqa: S301
        assert twin == found
        assert (twin.boxes.flags.writeable, twin.scores.flags.writeable) == (False, False)
    assert len(found) == len(list(found)) == 3
    assert found[1] == found[-2] == found[[1]] == found[np.array([False, True, False])] == list(found)[1]
    assert len(found[found.scores > 0.6]) == 2
    assert len(Detections.empty()) == 0
    assert Detections.empty() == found[:0]
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(ValueError, match="read-only"):
        found.boxes[0, 0] = 5
    np.testing.assert_array_equal(np.asarray(found), np.column_stack([BOXES, SCORES]).astype(np.float32))
    assert np.asarray(found, np.float64).dtype == np.float64
    assert np.asarray(Detections.empty()).shape == (0, 5)
    assert found[:1].to_dict() == {"persons": [{"box": [1.0, 2.0, 20.0, 30.0], "score": 0.5}]}


@pytest.mark.parametrize(
    ("boxes", "scores", "error", "message"),
    [
        ([[0, 0, 1]], [1], ValueError, r"boxes: expected shape \(N, 4\)"),
        ([[0, 0, 1, 1]], [1, 1], ValueError, r"scores: expected shape \(N,\)"),
        ([["a", "b", "c", "d"]], [1], TypeError, "boxes: expected an array of real numbers"),
        ([[0, 0, NAN, 1]], [1], ValueError, "boxes: expected finite"),
        ([[0, 0, 1e39, 1]], [1], ValueError, "boxes: expected finite"),
        ([[0, 0, 0, 1]], [1], ValueError, "boxes: expected x1 < x2"),
        ([[0, 0, 1, 1]], [1.1], ValueError, "scores: expected numbers in 0..1"),
        ([[0, 0, 1, 1]], [NAN], ValueError, "scores: expected numbers in 0..1"),
    ],
)
def test_unsound_detections(boxes: Any, scores: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Detections(boxes, scores)


# With an estimator


def test_an_estimator_takes_the_boxes_of_its_detector(finished: Path, tmp_path: Path) -> None:
    model, detector, picture = dot_model(tmp_path), Detector(finished, threads=1), noise()
    plain = Estimator(model, threads=1)
    expected = plain.predict(picture, detector.predict(picture))
    for source in (detector, finished, str(finished)):
        estimator = Estimator(model, detector=source, threads=1)
        assert estimator.predict(picture) == expected
    assert isinstance(estimator.detector, Detector)
    assert plain.detector is None
    np.testing.assert_array_equal(expected.box_scores, np.float32([0.9, 0.7, 0.5]))
    np.testing.assert_array_equal(expected.boxes, detector.predict(picture).boxes)

    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert estimator.predict(black) == Poses.empty(DOTS)
    assert estimator.predict(picture, [0, 0, 9, 9]) == plain.predict(picture, [0, 0, 9, 9])
    assert estimator.predict(picture, []) == Poses.empty(DOTS)
    listed = [expected, Poses.empty(DOTS), plain.predict(picture, [0, 0, 9, 9])]
    pictures = [picture, black, picture]
    assert estimator.predict(pictures, [None, None, [0, 0, 9, 9]]) == listed
    assert estimator.predict(pictures[:2]) == listed[:2]
    assert list(estimator.stream([picture, (black, None), (picture, [0, 0, 9, 9])])) == listed
    assert list(plain.stream((each, detector.predict(each)) for each in pictures[:2])) == listed[:2]
    assert pickle.loads(pickle.dumps(estimator)).predict(picture) == expected  # noqa: S301
    with ThreadPoolExecutor(4) as pool:
        for poses in pool.map(estimator.predict, [picture] * 12):
            assert poses == expected


def test_errors_of_a_detector_come_after_the_results_before_them(tmp_path: Path) -> None:
    nobody = {"dets": np.empty((1, 0, 5), np.float32), "labels": np.empty((1, 0), np.int64)}
    wild = {"dets": np.float32([[[0, 0, 9, 9, 5]]]), "labels": np.zeros((1, 1), np.int64)}
    detector = save_detector(tmp_path / "m.onnx", wild, nobody)
    results = Estimator(dot_model(tmp_path), detector=detector).stream([np.zeros((*SIZE, 3), np.uint8), noise()])
    assert next(results) == Poses.empty(DOTS)
    with pytest.raises(ValueError, match=r"picture 1: .*a score of 5"):
        next(results)


def test_no_detector_for_models_that_find_persons(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finds persons in whole pictures itself; leave the detector out"):
        Estimator(crowd_model(tmp_path), detector=finished)
    with pytest.raises(TypeError, match="expected a path"):
        Estimator(dot_model(tmp_path), detector=5)  # type: ignore[arg-type]
