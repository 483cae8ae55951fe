from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leanpose import Estimator, Poses
from leanpose.sources import open_source
from models import DOTS, SIZE, dot_card, dot_graph, dot_model, dots_picture, heat_model, save_model

HEIGHT, WIDTH = SIZE
CENTERS = np.array([[3, 5], [12, 20], [20, 9]])  # red, green, blue, in a picture of the input's size
BATCH = 32  # persons that share a session run
Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def estimator(folder: Path) -> Estimator:
    return Estimator(dot_model(folder), threads=1)


@pytest.fixture
def picture() -> Picture:
    return dots_picture(HEIGHT, WIDTH, CENTERS)


def varied_pictures(count: int, seed: int = 0) -> list[tuple[Picture, npt.NDArray[np.float64]]]:
    """Pictures of several sizes, with zero to three boxes each."""
    random = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        height, width = random.integers(20, 70, 2)
        corners = random.uniform(0, [width - 9, height - 9], (random.integers(0, 4), 2))
        boxes = np.concatenate([corners, corners + random.uniform(5, 30, corners.shape)], axis=1)
        items.append((dots_picture(height, width, random.uniform(5, 15, (3, 2))), boxes))
    return items


# Known answers


def test_the_whole_chain_on_a_picture_of_the_input_size(estimator: Estimator, picture: Picture) -> None:
    poses = estimator.predict(picture)
    assert isinstance(poses, Poses)
    np.testing.assert_array_equal(poses.xy, [CENTERS])
    np.testing.assert_array_equal(poses.keypoint_scores, [[250, 250, 250]])
    np.testing.assert_array_equal(poses.boxes, [[0, 0, WIDTH, HEIGHT]])
    np.testing.assert_array_equal(poses.box_scores, [1])
    assert poses.keypoints == DOTS


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_color_order(color: str, folder: Path, picture: Picture) -> None:
    xy = Estimator(dot_model(folder, f"{color}.onnx", color=color), threads=1).predict(picture).xy[0]
    np.testing.assert_array_equal(xy, CENTERS if color == "rgb" else CENTERS[::-1])


@pytest.mark.parametrize("transform", ["plain", "udp"])
@pytest.mark.parametrize("split_ratio", [1, 2])
@pytest.mark.parametrize("padding", [1.0, 1.25])
@pytest.mark.parametrize("flip_test", [False, True])
def test_boxes_anywhere(transform: str, split_ratio: int, padding: float, flip_test: bool, folder: Path) -> None:
    model = dot_model(folder, "any.onnx", transform=transform, split_ratio=split_ratio, padding=padding)
    estimator = Estimator(model, threads=1, flip_test=flip_test)
    random = np.random.default_rng(0)
    for _ in range(10):
        corner, size = random.uniform(-20, 90, 2), random.uniform(30, 120, 2)
        box = np.concatenate([corner, corner + size])
        inside = np.clip(box.reshape(2, 2), 4, [155, 115])  # dots lie in the box and off the picture's edge
        centers = random.uniform(inside[0] + 0.1 * size, inside[1] - 0.1 * size, (3, 2)).clip(4, [155, 115])
        (xy,) = estimator.predict(dots_picture(120, 160, centers, radius=12), box).xy
        step = padding * max(size[0] / WIDTH, size[1] / HEIGHT) * WIDTH / (WIDTH - 1)
        # half an input pixel by rounding to bins, half a picture pixel by the picture's own raster
        assert np.abs(xy - centers).max() <= 0.5 * step + 0.5


@given(
    corner=st.tuples(st.integers(-WIDTH + 1, 39), st.integers(-HEIGHT + 1, 29)),
    dot=st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)),
)
def test_boxes_of_the_input_size_are_exact(estimator: Estimator, corner: tuple[int, int], dot: tuple[int, int]) -> None:
    x, y = np.add(corner, dot)
    picture = np.zeros((30, 40, 3), np.uint8)
    visible = 0 <= x < 40 and 0 <= y < 30
    if visible:
        picture[y, x] = 200
    poses = estimator.predict(picture, (*corner, corner[0] + WIDTH, corner[1] + HEIGHT))
    if visible:
        np.testing.assert_array_equal(poses.xy[0], [(x, y)] * 3)
    np.testing.assert_array_equal(poses.keypoint_scores, [[200 * visible] * 3])


def test_mean_and_std_follow_the_order_of_the_channels(folder: Path, picture: Picture) -> None:
    card = dot_card()
    card = replace(card, input=replace(card.input, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 8.0)))
    scores = Estimator(save_model(folder / "norm.onnx", dot_graph(), card), threads=1).predict(picture).keypoint_scores
    np.testing.assert_allclose(scores, [[240 / 2, 230 / 4, 220 / 8]])


def test_temperature_makes_probabilities(folder: Path, picture: Picture) -> None:
    scores = Estimator(dot_model(folder, "t.onnx", temperature=10.0), threads=1).predict(picture).keypoint_scores
    expected = []
    for channel in (2, 1, 0):
        axes = [picture[..., channel].max(axis=axis).astype(np.float64) for axis in (0, 1)]
        expected.append(min(1 / np.exp((axis - axis.max()) / 10).sum() for axis in axes))
    np.testing.assert_allclose(scores, [expected], rtol=1e-5)


# Kinds of pictures


def test_every_kind_of_picture_gives_the_same(estimator: Estimator, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "größe.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    read_only = picture.copy()
    read_only.flags.writeable = False
    for kind in (
        path,
        str(path),
        Image.fromarray(picture[..., ::-1].copy()),
        cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA),
        np.asfortranarray(picture),
        np.repeat(picture, 2, axis=1)[:, ::2],
        picture[::-1].copy()[::-1],
        read_only,
    ):
        np.testing.assert_array_equal(estimator.predict(kind).xy, [CENTERS])
    np.testing.assert_array_equal(estimator.predict(picture[..., 1]).xy, [[CENTERS[1]] * 3])


def test_exif_orientation_is_applied(estimator: Estimator, picture: Picture, tmp_path: Path) -> None:
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(picture)[..., ::-1]))  # a quarter turn to the left
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to the right for display
    path = tmp_path / "turned.png"
    stored.save(path, exif=exif)
    with Image.open(path) as image:
        poses = estimator.predict([path, image])
    for each in poses:
        np.testing.assert_array_equal(each.xy, [CENTERS])


def test_inputs_are_not_changed(estimator: Estimator, picture: Picture) -> None:
    before, boxes = picture.copy(), np.array([[1, 2, 20, 30, 0.5]])
    estimator.predict(picture, boxes)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(boxes, [[1, 2, 20, 30, 0.5]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2)])
def test_tiny_and_narrow_pictures(shape: tuple[int, int], estimator: Estimator) -> None:
    picture = np.full((*shape, 3), 80, np.uint8)
    poses = estimator.predict(picture)
    assert poses.xy.shape == (1, 3, 2)
    assert np.isfinite(poses.xy).all()
    assert poses.keypoint_scores.min() > 0
    assert poses.keypoint_scores.max() <= 80


# Boxes


@pytest.mark.parametrize(
    "boxes",
    [
        [3, 1, 20, 30],
        (3, 1, 20, 30),
        [[3, 1, 20, 30]],
        np.array([3, 1, 20, 30]),
        np.array([[3, 1, 20, 30]], np.float16),
        np.array([[3, 1, 20, 30]], np.uint8),
        np.array([[3, 1, 20, 30]], np.longdouble),
        np.array([[3, 1, 20, 30]], np.float32, order="F"),
        np.array([[3, 9, 1, 9, 20, 9, 30, 9]])[:, ::2],
        memoryview(np.array([3.0, 1, 20, 30])),
        [[3, 1, 20, 30, 1]],
    ],
    ids=lambda boxes: f"{type(boxes).__name__} {getattr(boxes, 'dtype', '')}",
)
def test_every_kind_of_box(boxes: Any, estimator: Estimator, picture: Picture) -> None:
    assert estimator.predict(picture, boxes) == estimator.predict(picture, [[3.0, 1.0, 20.0, 30.0]])


@pytest.mark.parametrize("boxes", [[], (), np.empty((0, 4)), np.empty((0, 5), np.float32)], ids=repr)
def test_no_box_gives_an_empty_result(boxes: Any, estimator: Estimator, picture: Picture) -> None:
    assert estimator.predict(picture, boxes) == Poses.empty(DOTS)
    assert [len(poses) for poses in estimator.predict([picture, picture], [boxes, None])] == [0, 1]


def test_box_scores_are_passed_on(estimator: Estimator, picture: Picture) -> None:
    poses = estimator.predict(picture, [[0, 0, 24, 32, 0.25], [1, 2, 9, 9, 1]])
    np.testing.assert_array_equal(poses.box_scores, np.float32([0.25, 1]))
    np.testing.assert_array_equal(poses.boxes, [[0, 0, 24, 32], [1, 2, 9, 9]])


def test_extreme_boxes_stay_finite(estimator: Estimator, picture: Picture) -> None:
    boxes = [[-1e9, -1e9, 1e9, 1e9], [5, 5, 5 + 1e-6, 5 + 1e-6], [0, 0, 5e-324, 5e-324], [-1e9, 3, 1e9, 3.001]]
    poses = estimator.predict(picture, boxes)
    assert np.isfinite(poses.xy).all()
    assert np.isfinite(poses.keypoint_scores).all()
    np.testing.assert_allclose(poses.xy[1], [[5, 5]] * 3, atol=1e-5)


BAD_BOXES: list[tuple[Any, type[Exception], str]] = [
    ([0, 0, np.nan, 9], ValueError, "row 0 is .*finite"),
    ([[0, 0, 9, 9], [0, 0, np.inf, 9]], ValueError, "row 1 is .*finite"),
    ([9, 0, 0, 9], ValueError, "x1 < x2"),
    ([3, 3, 3, 9], ValueError, "x1 < x2"),
    ([24, 0, 30, 9], ValueError, "overlaps the picture, 24 x 32"),
    ([-9, 0, -1, 9], ValueError, "overlaps"),
    ([0, 0, 9, 9, 1.5], ValueError, "score in 0..1"),
    ([0, 0, 9, 9, np.nan], ValueError, "finite"),
    ([0, 0, 9], ValueError, "shape"),
    ([[]], ValueError, "shape"),
    (np.zeros((1, 1, 4)), ValueError, "shape"),
    (np.array(3.0), ValueError, "shape"),
    ([[0, 0, 9, 9], [0, 0, 9]], ValueError, "different lengths"),
    ([2**62, 0, 2**63 - 1, 5], ValueError, "finite"),
    ("0,0,9,9", TypeError, "got .*str"),
    ({"x1": 0}, TypeError, "got .*dict"),
    (np.array([[True, False, True, True]]), TypeError, "got bool"),
    (np.array([[0, 0, 9, 9]], object), TypeError, "got object"),
    (np.array([[0, 0, 9, 9]], complex), TypeError, "got complex"),
    (iter([[0, 0, 9, 9]]), TypeError, "got object"),
]


@pytest.mark.parametrize(("boxes", "kind", "message"), BAD_BOXES, ids=lambda value: f"{value!r:.30}")
def test_unsound_boxes(boxes: Any, kind: type[Exception], message: str, estimator: Estimator, picture: Picture) -> None:
    with pytest.raises(kind, match=rf"^boxes: .*{message}"):
        estimator.predict(picture, boxes)
    with pytest.raises(kind, match=rf"^picture 1: boxes: .*{message}"):
        estimator.predict([picture, picture], [None, boxes])


BAD_PICTURES: list[tuple[Any, type[Exception]]] = [
    ("none.png", FileNotFoundError),
    (Path("none.png"), FileNotFoundError),
    (Path("/"), ValueError),
    ("\ud800.png", ValueError),
    ("a\0b.png", ValueError),
    (None, TypeError),
    (3, TypeError),
    (b"bytes", TypeError),
    (np.zeros((9, 9, 3)), TypeError),
    (np.zeros((9, 9, 3), bool), TypeError),
    (np.zeros((9, 9, 3), object), TypeError),
    (np.zeros((9, 9, 3), np.uint16), TypeError),
    (np.zeros((0, 9, 3), np.uint8), ValueError),
    (np.zeros((9, 9, 2), np.uint8), ValueError),
    (np.zeros((1, 9, 9, 3), np.uint8), ValueError),
    (np.array(3, np.uint8), ValueError),
    (memoryview(np.zeros((9, 9, 3), np.uint8)), TypeError),
    (iter([]), TypeError),
    ({}, TypeError),
]


@pytest.mark.parametrize(("image", "kind"), BAD_PICTURES, ids=lambda value: f"{value!r:.30}")
def test_unsound_pictures(image: Any, kind: type[Exception], estimator: Estimator, picture: Picture) -> None:
    with pytest.raises(kind):
        estimator.predict(image)
    results = estimator.stream([picture, image, picture])
    assert len(next(results)) == 1
    with pytest.raises(kind, match=r"^picture 1: "):
        next(results)


def test_unreadable_and_truncated_files(estimator: Estimator, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    for data in (b"", b"no picture", *(cv2.imencode(end, picture)[1].tobytes()[:-99] for end in (".png", ".jpg"))):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="picture'"):
            estimator.predict(path)


# Many persons and pictures


def test_many_persons_equal_single_ones(estimator: Estimator) -> None:
    picture = dots_picture(90, 90, [[20, 30], [60, 40], [45, 70]], radius=20)
    random = np.random.default_rng(1)
    for count in (BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5):
        corners = random.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + random.uniform(5, 50, (count, 2)), random.random((count, 1))], 1)
        together = estimator.predict(picture, boxes)
        assert together == Poses.concatenate([estimator.predict(picture, box) for box in boxes])


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(
    ("stride", "refine", "worst"), [(1, "none", 0.0), (2, "dark", 0.05), (4, "dark", 0.15), (4, "udp", 0.05)]
)
def test_heatmaps(stride: int, refine: Any, worst: float, flip_test: bool, folder: Path) -> None:
    # the mean of a square of pixels lies at its centre
    model = heat_model(folder, stride, mapping="half_pixel", refine=refine, kernel=3, shift_heatmap=False)
    height, width = SIZE
    centers = np.array([[8, 9], [15, 12], [10, 20]])
    poses = Estimator(model, threads=1, flip_test=flip_test).predict(dots_picture(height, width, centers, radius=7))
    assert np.abs(poses.xy[0] - centers).max() <= worst
    assert ((poses.keypoint_scores > 0.6) & (poses.keypoint_scores < 1)).all()


@pytest.mark.parametrize("batch", ["batch", 1, 4])
@pytest.mark.parametrize("flip_test", [False, True])
def test_lists_equal_single_calls_on_any_graph(batch: Any, flip_test: bool, folder: Path) -> None:
    estimator = Estimator(dot_model(folder, "fixed.onnx", batch), threads=1, flip_test=flip_test)
    reference = Estimator(dot_model(folder, "free.onnx"), threads=1, flip_test=flip_test)
    items = varied_pictures(50)
    expected = [reference.predict(*item) for item in items]
    pictures, boxes = [list(column) for column in zip(*items, strict=True)]
    assert estimator.predict(pictures, boxes) == expected
    assert estimator.predict(tuple(pictures), tuple(boxes)) == expected
    assert list(estimator.stream(iter(items))) == expected
    assert {len(poses) for poses in expected} == {0, 1, 2, 3}


def test_lists_without_boxes_and_of_none(estimator: Estimator, picture: Picture) -> None:
    assert estimator.predict([]) == estimator.predict((), []) == []
    assert estimator.predict([picture]) == [estimator.predict(picture)]
    assert estimator.predict((picture, picture[5:])) == [estimator.predict(picture), estimator.predict(picture[5:])]


def test_lists_of_boxes_that_do_not_fit(estimator: Estimator, picture: Picture) -> None:
    with pytest.raises(ValueError, match=r"^boxes: expected one entry per picture, got 1 for 2 pictures$"):
        estimator.predict([picture, picture], [None])
    with pytest.raises(TypeError, match=r"^boxes: expected a list with one entry per picture, got ndarray$"):
        estimator.predict([picture, picture], np.zeros((2, 4)))  # type: ignore[call-overload]


class Counting:
    """Hands out pictures and counts how many were taken."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Counting:
        return self

    def __next__(self) -> Any:
        self.taken += 1
        return next(self.items)


@pytest.mark.parametrize("persons", [0, 1, 2, 40])
def test_stream_is_lazy_and_reads_ahead_one_batch_at_most(persons: int, estimator: Estimator, picture: Picture) -> None:
    boxes = [[0, 0, 24, 32]] * persons
    source = Counting((picture, boxes) for _ in iter(int, 1))  # endless
    results = estimator.stream(source)
    assert source.taken == 0
    for index in range(100):
        assert len(next(results)) == persons
        assert index < source.taken <= index + BATCH
    assert inspect.isgenerator(results)
    results.close()


def test_pictures_without_persons_do_not_pile_up_behind_a_half_full_batch(
    estimator: Estimator, picture: Picture
) -> None:
    source = Counting((picture, [[0, 0, 24, 32]] if index == 0 else []) for index in range(1000))
    lengths = []
    for index, poses in enumerate(estimator.stream(source)):
        lengths.append(len(poses))
        assert source.taken <= index + BATCH + 1
    assert lengths == [1] + [0] * 999


@pytest.mark.parametrize("before", [0, 1, 5, BATCH, 70])
def test_everything_before_a_bad_picture_is_delivered(before: int, estimator: Estimator, picture: Picture) -> None:
    def bad_picture() -> Iterator[Any]:
        yield from [picture] * before
        yield "none.png"
        pytest.fail("asked for more after a bad picture")

    def bad_boxes() -> Iterator[Any]:
        yield from [picture] * before
        yield picture, [9, 9, 1, 1]

    class Broken(Exception):
        def __init__(self, first: int, second: int) -> None:
            super().__init__("the caller's own")

    def broken() -> Iterator[Any]:
        yield from [picture] * before
        raise Broken(1, 2)

    for source, kind, message in (
        (bad_picture, FileNotFoundError, rf"^picture {before}: image: there is no file 'none\.png'"),
        (bad_boxes, ValueError, rf"^picture {before}: boxes: row 0"),
        (broken, Broken, r"^the caller's own$"),
    ):
        delivered: list[Poses] = []
        with pytest.raises(kind, match=message):
            delivered.extend(estimator.stream(source()))
        assert len(delivered) == before


def test_a_file_that_cannot_be_read_does_not_cost_earlier_results(
    estimator: Estimator, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.png"

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    results = estimator.stream([picture, path])
    assert len(next(results)) == 1
    with pytest.raises(OSError, match=r"^picture 1: .*Permission denied.*secret\.png"):
        next(results)


@pytest.mark.parametrize(
    "single", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.uint8), Image.new("RGB", (9, 9)), None, 3.0], ids=repr
)
def test_stream_of_one_picture_points_to_predict(single: Any, estimator: Estimator) -> None:
    with pytest.raises(TypeError, match=r"expected several pictures, got one .*call predict"):
        estimator.stream(single)


def test_streams_of_sources(estimator: Estimator, picture: Picture, tmp_path: Path) -> None:
    for index in range(40):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.roll(picture, index % 3, axis=1))
    (tmp_path / "7.png").write_bytes(b"broken")
    expected = [estimator.predict(np.roll(picture, index % 3, axis=1)) for index in range(40) if index != 7]
    for source in (tmp_path, str(tmp_path / "*.png"), open_source(tmp_path)):
        assert list(estimator.stream(source)) == expected
    assert list(estimator.stream(tmp_path / "0.png")) == [estimator.predict(picture)]
    with pytest.raises(FileNotFoundError, match="there is no file"):
        estimator.stream(tmp_path / "none.avi")
    with pytest.raises(ValueError, match="camera index from 0 to 2147483647"):
        estimator.stream(-1)


def test_a_stream_that_is_left_closes_its_source(estimator: Estimator, picture: Picture, tmp_path: Path) -> None:
    for index in range(99):
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
    results = estimator.stream(tmp_path)
    next(results)
    del results
    for thread in threading.enumerate():
        if thread.name == "leanpose-source":
            thread.join(10)
            assert not thread.is_alive()


def test_pairs_are_tuples(estimator: Estimator, picture: Picture) -> None:
    box = [0, 0, 24, 32]
    assert len(list(estimator.stream([(picture, box), picture, (picture, None)]))) == 3
    for item in ([picture, box], (picture,), (picture, box, 1)):
        with pytest.raises(TypeError, match=r"^picture 0: image: expected "):
            list(estimator.stream([item]))  # type: ignore[list-item]


# Flip test


@pytest.mark.parametrize("split_ratio", [1, 2, 3])
@pytest.mark.parametrize("transform", ["plain", "udp"])
def test_flip_test_does_not_shift_the_answer(split_ratio: int, transform: str, folder: Path) -> None:
    model = dot_model(folder, "flip.onnx", split_ratio=split_ratio, transform=transform)
    plain, flipped = (Estimator(model, threads=1, flip_test=flip) for flip in (False, True))
    assert (plain.flip_test, flipped.flip_test) == (False, True)
    random = np.random.default_rng(3)
    for _ in range(20):
        centers = random.integers(0, [WIDTH, HEIGHT], (3, 2))
        picture = dots_picture(HEIGHT, WIDTH, centers)
        expected, averaged = plain.predict(picture), flipped.predict(picture)
        np.testing.assert_array_equal(averaged.xy, expected.xy)
        np.testing.assert_array_equal(averaged.keypoint_scores, expected.keypoint_scores)


def test_flip_test_swaps_the_flip_pairs(folder: Path) -> None:
    keypoints = replace(DOTS, flip_pairs=((0, 2),))
    estimator = Estimator(dot_model(folder, "pairs.onnx", keypoints=keypoints), threads=1, flip_test=True)
    picture = dots_picture(HEIGHT, WIDTH, CENTERS)
    picture[..., 0] //= 2
    poses = estimator.predict(picture)
    # The network does not know the pair, so that red and blue mix: each is the mean of both, and red is brighter.
    np.testing.assert_array_equal(poses.xy, [[CENTERS[0], CENTERS[1], CENTERS[0]]])
    np.testing.assert_array_equal(poses.keypoint_scores, [[125, 250, 125]])


@pytest.mark.parametrize("flip_test", ["yes", 1, 0, None, np.True_], ids=repr)
def test_flip_test_is_a_bool(flip_test: Any, folder: Path) -> None:
    with pytest.raises(TypeError, match=r"^flip_test: expected True or False"):
        Estimator(dot_model(folder, "bool.onnx"), flip_test=flip_test)


# One estimator in many places


class Special(Estimator):
    """Module-level, so that it can be pickled."""


def test_pickles_keep_a_subclass(folder: Path) -> None:
    special = Special(dot_model(folder, "special.onnx"), threads=1)
    for twin in (pickle.loads(pickle.dumps(special)), copy.copy(special), copy.deepcopy(special)):  # noqa: S301
        assert type(twin) is Special
        assert repr(twin) == repr(special)


def test_pickling(folder: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    model = dot_model(folder, "pickled.onnx", padding=1.25)
    monkeypatch.chdir(folder)
    estimator = Estimator("pickled.onnx", providers=("cpu", {}), threads=1, flip_test=True)
    data = pickle.dumps(estimator)
    monkeypatch.chdir("/")
    twin = pickle.loads(data)  # noqa: S301
    assert repr(twin) == repr(estimator)
    assert str(model) in repr(twin)
    assert (twin.card, twin.providers, twin.flip_test) == (estimator.card, ("CPUExecutionProvider",), True)
    assert twin.predict(picture) == estimator.predict(picture)
    with pytest.raises(AttributeError):
        estimator.flip_test = False  # type: ignore[misc]


def test_process_pool(estimator: Estimator, picture: Picture) -> None:
    pictures = [picture, picture[3:], picture[:, 4:]]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(estimator.predict, pictures)) == [estimator.predict(each) for each in pictures]


@pytest.mark.parametrize("flip_test", [False, True])
def test_threads_share_an_estimator(flip_test: bool, folder: Path) -> None:
    estimator = Estimator(dot_model(folder, "threads.onnx", 4), threads=1, flip_test=flip_test)
    work = [varied_pictures(15, seed) for seed in range(8)]
    expected = [[estimator.predict(*item) for item in items] for items in work]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda items: list(estimator.stream(items)), work)) == expected


def test_streams_can_interleave(estimator: Estimator) -> None:
    work = [varied_pictures(60, seed) for seed in (1, 2)]
    expected = [estimator.predict(*map(list, zip(*items, strict=True))) for items in work]
    pairs = list(zip(*(estimator.stream(items) for items in work), strict=True))
    assert [list(column) for column in zip(*pairs, strict=True)] == expected
