from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose import AssociativeEmbedding, Estimator, Heatmap, Poses, _core
from leanpose.evaluation import evaluate_coco
from leanpose.metadata import write_card
from leanpose.oks import oks_nms
from models import CROWD, CROWD_SIZE, crowd_model, crowd_picture, dot_model

HEIGHT, WIDTH = CROWD_SIZE
TWO = [((20, 12), (30, 40)), ((60, 14), (70, 44))]
Person = tuple[tuple[int, int] | None, tuple[int, int] | None]
Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def estimator(folder: Path) -> Estimator:
    return Estimator(crowd_model(folder), threads=1)


@pytest.fixture
def picture() -> Picture:
    return crowd_picture(HEIGHT, WIDTH, TWO)


def varied_pictures(count: int) -> list[tuple[Picture, Any]]:
    """Pictures of several sizes with zero to three persons, as a whole, in no region, or in two."""
    random = np.random.default_rng(0)
    items = []
    for index in range(count):
        height, width = random.integers(50, 130, 2)
        places = random.permutation(6)[: random.integers(0, 4)]
        persons = [((8 + 15 * (p % 3), 10 + 24 * (p // 3)), (10 + 15 * (p % 3), 20 + 24 * (p // 3))) for p in places]
        boxes = (None, [], [[0, 0, 24, 48], [20.5, 3, 49, 50]])[index % 3]
        items.append((crowd_picture(height, width, persons), boxes))
    return items


# Known answers


@pytest.mark.parametrize("flip_test", [False, True])
def test_two_persons(flip_test: bool, folder: Path, picture: Picture) -> None:
    poses = Estimator(crowd_model(folder, "two.onnx"), threads=1, flip_test=flip_test).predict(picture)
    np.testing.assert_array_equal(poses.xy, TWO)
    scores = np.array([[250, 250], [245, 245]]) / 255
    np.testing.assert_allclose(poses.keypoint_scores, scores, rtol=1e-6)
    np.testing.assert_array_equal(poses.boxes, [[20, 12, 30, 40], [60, 14, 70, 44]])
    np.testing.assert_allclose(poses.scores, [250 / 255, 245 / 255], rtol=1e-6)
    np.testing.assert_array_equal(poses.box_scores, poses.scores)
    assert poses.keypoints == CROWD


@pytest.mark.parametrize("flip_test", [False, True])
def test_no_person(flip_test: bool, folder: Path) -> None:
    estimator = Estimator(crowd_model(folder, "none.onnx"), threads=1, flip_test=flip_test)
    poses = estimator.predict(np.zeros((70, 50, 3), np.uint8))
    assert poses == Poses.empty(CROWD)
    assert poses.xy.shape == (0, 2, 2)
    assert poses.to_coco(1) == []


@pytest.mark.parametrize("limit", [30, 40, 70])
def test_more_persons_than_are_compared_at_once(limit: int, folder: Path) -> None:
    persons: list[Person] = [((5 + 9 * (i % 10), 4 + 9 * (i // 10)), None) for i in range(60)]
    picture = crowd_picture(HEIGHT, WIDTH, persons[:12], radius=4)
    for x, y in (person[0] for person in persons[12:] if person[0]):
        picture[y, x] = 0, 0, 100  # all with one tag
    poses = Estimator(crowd_model(folder, "many.onnx", max_persons=limit, refine=False), threads=1).predict(picture)
    assert len(poses) == min(limit, 60)
    np.testing.assert_array_equal(poses.xy[:12, 0], [person[0] for person in persons[:12]])
    assert np.isnan(poses.xy[:, 1]).all()
    assert (np.diff(poses.scores) <= 0).all()


def grid(places: list[int]) -> list[Person]:
    """Persons in cells of 24 by 32 pixels of a picture of the input's size, each a red above a green dot."""
    corners = [(24 * (place % 4), 32 * (place // 4)) for place in places]
    return [((x + 10, y + 8), (x + 13, y + 23)) for x, y in corners]


@given(places=st.lists(st.integers(0, 7), unique=True, max_size=8), missing=st.sets(st.tuples(st.integers(0, 7))))
def test_any_persons_are_found_with_what_is_seen_of_them(
    estimator: Estimator, places: list[int], missing: set[tuple[int]]
) -> None:
    persons = [(red, None if (number,) in missing else green) for number, (red, green) in enumerate(grid(places))]
    poses = estimator.predict(crowd_picture(HEIGHT, WIDTH, persons))
    assert len(poses) == len(persons)
    found = {tuple(person.xy[0, 0]): person for person in poses}
    for red, green in persons:
        person = found[red]
        if green is None:
            assert np.isnan(person.xy[0, 1]).all()
            assert person.keypoint_scores[0, 1] == 0
            assert person.boxes[0].tolist() == [*red, *red]
        else:
            assert tuple(person.xy[0, 1]) == green
            assert person.boxes[0].tolist() == [*red, *green]
    assert (np.diff(poses.scores) <= 0).all()


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("transform", ["plain", "udp"])
@pytest.mark.parametrize(("stride", "tag_stride"), [(1, 1), (1, 4), (2, 4), (4, 2)])
@pytest.mark.parametrize("shape", [(64, 96), (128, 192), (200, 130), (90, 400)])
def test_the_whole_picture_is_fitted_into_the_input(
    shape: tuple[int, int], stride: int, tag_stride: int, transform: str, flip_test: bool, folder: Path
) -> None:
    model = crowd_model(folder, "fit.onnx", stride=stride, tag_stride=tag_stride, card={"transform": transform})
    height, width = shape
    scale = max(height / HEIGHT, width / WIDTH)
    persons = [
        ((round(width * a), round(height * 0.3)), (round(width * (a + 0.1)), round(height * 0.75))) for a in (0.2, 0.7)
    ]
    picture = crowd_picture(height, width, persons, radius=8 * scale)
    poses = Estimator(model, threads=1, flip_test=flip_test).predict(picture)
    assert len(poses) == 2
    found = poses.xy[np.argsort(poses.xy[:, 0, 0])]  # cells see the same of one dot and less of another
    assert np.abs(found - persons).max() <= scale * (0.25 * stride + 0.5)


def test_scores_above_one_stay_but_box_scores_do_not(folder: Path, picture: Picture) -> None:
    model = crowd_model(folder, "bright.onnx", card={"std": (100.0, 100.0, 255.0)})
    poses = Estimator(model, threads=1).predict(picture)
    np.testing.assert_allclose(poses.scores, [2.5, 2.45], rtol=1e-6)
    np.testing.assert_array_equal(poses.box_scores, [1, 1])


@pytest.mark.parametrize(("column", "x", "clipped"), [(0, -23.5, 0), (33, 56.5, 34)])
def test_boxes_of_persons_end_at_the_picture(column: int, x: float, clipped: float, folder: Path) -> None:
    # the picture is 34 pixels wide, and its first and last column light up cells whose centres lie in the margins
    model = crowd_model(folder, "edge.onnx", stride=32, tag_stride=32, detection_threshold=0.01)
    picture = np.zeros((HEIGHT, 34, 3), np.uint8)
    picture[:, column, 2] = 200
    poses = Estimator(model, threads=1).predict(picture)
    np.testing.assert_array_equal(poses.xy[:, 0], [[x, 15.5]])
    np.testing.assert_array_equal(poses.boxes, [[clipped, 15.5, clipped, 15.5]])


# Flip test


def test_a_mirror_image_helps_to_tell_persons_apart() -> None:
    """Two persons whose tags in the picture are the same: those in the mirror image decide."""
    heatmaps, tags, mirrored_tags = np.zeros((3, 2, 2, 12, 16), np.float32)
    for x, tag, value in ((3, 2.0, 0.9), (12, 8.0, 0.8)):
        for k, y in ((0, 2), (1, 9)):
            x_k = x if k == 0 else 15 - x  # the nearer green dot is the other person's
            heatmaps[:, k, y, x_k] = value
            mirrored_tags[:, 1 - k, :, 15 - x_k] = tag
    codec = AssociativeEmbedding(1.0, 1.0, use_detection_val=False, adjust=False)
    transforms = np.tile(np.eye(2, 3), (2, 1, 1))
    mirrored_heatmaps = heatmaps[:, ::-1, :, ::-1]
    found = codec.decode_flipped([heatmaps, tags], [mirrored_heatmaps, mirrored_tags], transforms, np.array([1, 0]))
    assert found.items.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.xy[:2], [[[3, 2], [12, 9]], [[12, 2], [3, 9]]])
    np.testing.assert_array_equal(found.xy[2:], found.xy[:2])


@given(
    maps=hnp.arrays(np.float32, (4, 3, 8, 12), elements=st.floats(0, 1, width=32)),
    tags=hnp.arrays(np.float32, (2, 3, 4, 6), elements=st.floats(-3, 3, width=32)),
)
def test_a_flip_test_is_the_grouping_of_means_and_pairs(
    maps: npt.NDArray[np.float32], tags: npt.NDArray[np.float32]
) -> None:
    flip_index = np.array([0, 2, 1])
    transform = np.array([[[0.5, 0.0, 3.0], [0.0, 0.75, -2.0]]])
    codec = AssociativeEmbedding(1.0, 2.0)
    found = codec.decode_flipped([maps[:1], tags[:1]], [maps[1:2], tags[1:]], transform, flip_index)
    mean = (maps[0] + np.flip(maps[1], axis=2)[flip_index]) / 2
    pairs = np.stack([tags[0], np.flip(tags[1], axis=2)[flip_index]], axis=3)
    xy, scores, person_scores, _ = _core.group_keypoints(mean, pairs, transform[0], [0, 1, 2])
    order = sorted(range(len(xy)), key=lambda person: -person_scores[person])
    np.testing.assert_array_equal(found.xy, xy[order])
    np.testing.assert_array_equal(found.scores, scores[order])
    assert found.person_scores is not None
    np.testing.assert_array_equal(found.person_scores, person_scores[order])


def test_maps_that_are_not_finite_make_no_persons_and_no_warnings() -> None:
    bad = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32)
    maps, transforms = np.tile(bad, (2, 1, 2, 6, 2)), np.eye(2, 3)[None]
    codec = AssociativeEmbedding(1.0, 1.0, detection_threshold=1e38)
    for outputs in (maps, maps[::-1]):
        found = codec.decode_flipped(list(outputs), list(outputs[::-1, ..., ::-1]), transforms, np.arange(2))
        for array in (found.xy, found.scores, found.boxes, found.person_scores):
            assert array is not None
            assert np.isfinite(array).all()


# The codec


@pytest.mark.parametrize("mapping", ["half_pixel", "udp"])
@given(
    stride=st.sampled_from([1.0, 2.0, 4.0, 2.5]),
    peak=st.tuples(st.integers(2, 9), st.integers(2, 5)),  # at edges the two take quarter steps by other rules
    random=st.integers(0, 2**32 - 1),
)
def test_cells_lie_where_those_of_heatmaps_do(mapping: Any, stride: float, peak: tuple[int, int], random: int) -> None:
    rng = np.random.default_rng(random)
    heatmap = rng.random((1, 1, 8, 12)).astype(np.float32) / 2
    heatmap[0, 0, peak[1], peak[0]] = 0.9
    transforms = rng.normal(size=(1, 2, 3))
    one = Heatmap(stride, mapping, "quarter").decode([heatmap], transforms)
    codec = AssociativeEmbedding(stride, stride, mapping, nms_window=31)
    many = codec.decode([heatmap, np.zeros_like(heatmap)], transforms)
    assert len(many.xy) == 1
    np.testing.assert_allclose(many.xy, one.xy, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(many.scores, one.scores)


@pytest.mark.parametrize("keypoints", [2, 16, 17])
def test_the_order_of_grouping_is_published_for_coco_and_else_natural(keypoints: int) -> None:
    random = np.random.default_rng(0)
    maps = random.random((1, keypoints, 16, 16)).astype(np.float32)
    tags = random.normal(0, 2, maps.shape).astype(np.float32)
    transforms = np.eye(2, 3)[None]

    def scores(order: tuple[int, ...] | None) -> Any:
        return AssociativeEmbedding(1.0, 1.0, joint_order=order, refine=False).decode([maps, tags], transforms).scores

    natural, published = tuple(range(keypoints)), _core.COCO_JOINT_ORDER
    np.testing.assert_array_equal(scores(None), scores(published if keypoints == 17 else natural))
    assert not np.array_equal(scores(natural), scores(natural[::-1]))
    assert keypoints != 17 or not np.array_equal(scores(natural), scores(None))


def test_every_parameter_reaches_the_grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    grouped = _core.group_keypoints

    def record(*arguments: Any, **options: Any) -> Any:
        given.update(options, joint_order=arguments[3])
        return grouped(*arguments, **options)

    monkeypatch.setattr(_core, "group_keypoints", record)
    wanted: dict[str, Any] = {
        "joint_order": (1, 0),
        "max_persons": 7,
        "detection_threshold": 0.2,
        "tag_threshold": 3.0,
        "use_detection_val": False,
        "ignore_too_much": True,
        "adjust": False,
        "refine": False,
        "nms_window": 9,
    }
    maps = np.zeros((1, 2, 4, 4), np.float32)
    AssociativeEmbedding(**wanted).decode([maps, maps], np.eye(2, 3)[None])
    assert given == wanted


def test_a_batch_of_no_inputs() -> None:
    maps = np.zeros((0, 3, 8, 8), np.float32)
    found = AssociativeEmbedding().decode([maps, maps], np.zeros((0, 2, 3)))
    assert found.xy.shape == (0, 3, 2)
    assert found.items.shape == (0,)


# Regions


def test_persons_are_found_in_each_region(estimator: Estimator, picture: Picture) -> None:
    whole = estimator.predict(picture)
    poses = estimator.predict(picture, [[0, 0, WIDTH, HEIGHT, 0.5], [48, 0, 96, 32, 0.25], [0, 56, 12, 64, 1]])
    assert len(poses) == 3  # two in the first, the red dot of the second person in the second, none in the third
    np.testing.assert_array_equal(poses.xy[:2], whole.xy)
    np.testing.assert_array_equal(poses.scores[:2], 0.5 * whole.scores)
    np.testing.assert_array_equal(poses.boxes[:2], whole.boxes)
    assert np.abs(poses.xy[2, 0] - TWO[1][0]).max() <= 0.5
    assert np.isnan(poses.xy[2, 1]).all()
    assert poses.scores[2] == pytest.approx(0.25 * 245 / 255 / 2, rel=0.05)


def test_no_region_gives_no_person(estimator: Estimator, picture: Picture) -> None:
    assert estimator.predict(picture, []) == Poses.empty(CROWD)
    assert [len(poses) for poses in estimator.predict([picture] * 3, [[], None, []])] == [0, 2, 0]


def test_persons_that_two_regions_share_can_be_told(estimator: Estimator, picture: Picture) -> None:
    poses = estimator.predict(picture, [[0, 0, WIDTH, HEIGHT], [0, 0, WIDTH, HEIGHT]])
    assert len(poses) == 4
    assert poses[oks_nms(poses)] == estimator.predict(picture)


# Many pictures


@pytest.mark.parametrize("batch", ["batch", 1, 4])
@pytest.mark.parametrize("flip_test", [False, True])
def test_lists_and_streams_equal_single_calls_on_any_graph(batch: Any, flip_test: bool, folder: Path) -> None:
    estimator = Estimator(crowd_model(folder, "fixed.onnx", batch=batch), threads=1, flip_test=flip_test)
    reference = Estimator(crowd_model(folder, "free.onnx"), threads=1, flip_test=flip_test)
    items = varied_pictures(45)
    expected = [reference.predict(*item) for item in items]
    pictures, boxes = [list(column) for column in zip(*items, strict=True)]
    assert estimator.predict(pictures, boxes) == expected
    assert list(estimator.stream(iter(items))) == expected
    assert {len(poses) for poses in expected} >= {0, 1, 2, 3}


def test_more_regions_than_a_batch_holds(estimator: Estimator, picture: Picture) -> None:
    regions = [[x, 0, x + 48, HEIGHT] for x in range(48)] * 2
    together = estimator.predict(picture, regions)
    assert together == Poses.concatenate([estimator.predict(picture, region) for region in regions])
    assert len(together) > 0


class Counting:
    """Hands out pictures and counts how many were taken."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Counting:
        return self

    def __next__(self) -> Any:
        self.taken += 1
        return next(self.items)


@pytest.mark.parametrize(("size", "batch"), [((64, 96), 32), ((256, 256), 32), ((512, 512), 8), ((2048, 2048), 1)])
def test_batches_of_large_inputs_are_smaller(size: tuple[int, int], batch: int, folder: Path) -> None:
    small = np.zeros((9, 9, 3), np.uint8)
    source = Counting(small for _ in iter(int, 1))  # endless
    results = Estimator(dot_model(folder, "large.onnx", size=size), threads=1).stream(source)
    next(results)
    assert source.taken == batch


def test_threads_and_processes_share_an_estimator(estimator: Estimator) -> None:
    pictures = [item[0] for item in varied_pictures(12)]
    expected = [estimator.predict(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(estimator.predict, pictures)) == expected
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        assert list(processes.map(estimator.predict, pictures)) == expected
    twin = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    assert twin.predict(pictures) == expected


# Missing keypoints


@pytest.fixture(scope="module")
def half_seen(estimator: Estimator) -> Poses:
    """One person whose green dot is missing, one that is whole."""
    poses = estimator.predict(crowd_picture(HEIGHT, WIDTH, [((20, 12), None), TWO[1]]))
    assert np.isnan(poses.xy).any(axis=(1, 2)).tolist() == [False, True]
    return poses


def test_missing_keypoints_leave_json_valid(half_seen: Poses) -> None:
    entries = half_seen.to_coco(7)
    assert json.loads(json.dumps(entries, allow_nan=False)) == entries
    assert entries[1]["keypoints"][3:] == [0, 0, 0]
    assert [entry["score"] for entry in entries] == half_seen.scores.tolist()
    data = half_seen.to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["persons"][1]["keypoints"][1] == [None, None, 0.0]


def test_missing_keypoints_are_not_drawn(half_seen: Poses) -> None:
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    drawn = half_seen.draw(blank, boxes=False)
    columns = np.flatnonzero(drawn.any(axis=(0, 2)))
    assert {10 <= column <= 30 or 50 <= column <= 80 for column in columns} == {True}
    assert drawn[12, 20].any()
    assert half_seen.draw(blank, threshold=-1, boxes=True).any()


def test_results_with_missing_keypoints_behave(half_seen: Poses) -> None:
    assert pickle.loads(pickle.dumps(half_seen)) == half_seen  # noqa: S301
    assert Poses.concatenate([half_seen[1], half_seen[0]]) == half_seen[::-1]
    assert oks_nms(half_seen).tolist() == [0, 1]


def test_missing_keypoints_count_as_wrong_and_no_more_in_evaluation(half_seen: Poses) -> None:
    boxes = half_seen.boxes.astype(float)
    annotations = [
        {
            "id": number + 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "num_keypoints": 1,
            "keypoints": [*map(float, person.xy[0, 0]), 2, 0, 0, 0],  # only what was found is labelled
            "bbox": [*boxes[number, :2], 40.0, 60.0],
            "area": 2400.0,
        }
        for number, person in enumerate(half_seen)
    ]
    truth = {"images": [{"id": 1}], "annotations": annotations, "categories": [{"id": 1}]}
    for results in (half_seen.to_coco(1), {1: half_seen}):
        assert evaluate_coco(truth, results, keypoints=CROWD).statistics["AP"] == 1


# Cards


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ({"stride": 2.0}, r"ask for output heatmaps \[batch, 2, 32, 48\], but the graph gives .* 2, 64, 96\]"),
        ({"tag_stride": 4.0}, r"ask for output tags \[batch, 2, 16, 24\], but the graph gives .* 2, 32, 48\]"),
        ({"heatmaps": "maps"}, r"the graph has no output 'maps', only heatmaps, tags"),
        ({"joint_order": (0,)}, r"field codec\.joint_order: expected each of the 2 keypoints once.*got \[0\]"),
        ({"joint_order": (2, 1, 0)}, r"field codec\.joint_order: expected each of the 2 keypoints once"),
    ],
)
def test_a_card_that_contradicts_the_graph(codec: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = crowd_model(tmp_path, "wrong.onnx")
    card = Estimator(path, threads=1).card
    write_card(path, replace(card, codec=replace(card.codec, **codec)))  # type: ignore[type-var]
    with pytest.raises(ValueError, match=rf"^model: '.*wrong\.onnx': model card: .*{message}"):
        Estimator(path)
