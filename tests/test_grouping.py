from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose import _core

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def interpolate(maps, size):
    """(K, h, w, T) to (K, H, W, T) in float64, as PyTorch's bilinear interpolation with align_corners=False."""
    result = np.where(np.isfinite(maps), maps, np.nan).astype(np.float64)
    for axis, length in ((1, size[0]), (2, size[1])):
        count = result.shape[axis]
        position = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
        first = position.astype(int)
        weight = (position - first).reshape((-1, *[1] * (3 - axis)))
        second = np.where(position > first, first + 1, first)
        result = np.take(result, first, axis) * (1 - weight) + np.take(result, second, axis) * weight
    return result


def windows(values, radius, fill):
    padded = np.pad(values, radius, constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2).reshape(*values.shape, -1)


def find_peaks(heatmap, tag_map, max_persons, detection_threshold, nms_window):
    usable = np.where(np.isfinite(heatmap), heatmap, -np.inf)
    around = windows(usable, nms_window // 2, -np.inf)
    centre = around.shape[2] // 2
    peak = (usable >= around.max(2)) & (usable > around[..., :centre].max(2, initial=-np.inf))
    rows, columns = np.nonzero(peak & (usable > detection_threshold))
    best = np.argsort(-heatmap[rows, columns], kind="stable")[:max_persons]
    best = best[np.isfinite(tag_map[rows[best], columns[best]]).all(1)]
    return rows[best], columns[best]


def cheapest(costs):
    """The column of each row, -1 for none: brute force over the permutations of the longer axis."""
    rows, columns = costs.shape
    if rows > columns:
        matched = cheapest(costs.T)
        return np.array([np.flatnonzero(matched == row)[0] if row in matched else -1 for row in range(rows)], int)
    orders = np.array([*itertools.permutations(range(columns), rows)], int)
    return orders[costs[np.arange(rows), orders].sum(1).argmin()]


def reference(
    heatmaps,
    tags,
    joint_order,
    max_persons=30,
    detection_threshold=0.1,
    tag_threshold=1.0,
    use_detection_val=True,
    ignore_too_much=False,
    adjust=True,
    refine=True,
    nms_window=5,
    assign=cheapest,
):
    """The published algorithm on whole maps: heatmap pixels, scores, person scores and tags."""
    keypoints, height, width = heatmaps.shape
    tags = interpolate(tags.reshape(*tags.shape[:3], -1), (height, width))
    persons = []  # of each: {keypoint: (y, x)} and the list of its tags
    for k in joint_order:
        known = persons[:max_persons]
        if ignore_too_much and len(known) == max_persons:
            continue
        ys, xs = find_peaks(heatmaps[k], tags[k], max_persons, detection_threshold, nms_window)
        means = np.array([np.mean(own, axis=0) for _, own in known]).reshape(-1, tags.shape[3])
        distances = np.linalg.norm(tags[k, ys, xs][:, None] - means[None], axis=2)
        values = heatmaps[k, ys, xs].astype(float)[:, None]
        costs = np.round(distances) * 100 - values if use_detection_val else distances
        costs = costs + 1e-6 * values * np.sqrt(distances)
        for row, column in enumerate(assign(costs)):
            if column < 0 or not distances[row, column] < tag_threshold:
                column = len(persons)
                persons.append(({}, []))
            persons[column][0][k] = (ys[row], xs[row])
            persons[column][1].append(tags[k, ys[row], xs[row]])

    xy, scores, person_scores = [], [], []
    for joints, own in persons:
        person_scores.append(sum(float(heatmaps[k, y, x]) for k, (y, x) in joints.items()) / keypoints)
        for k in set(range(keypoints)) - set(joints) if refine else ():
            objective = heatmaps[k] - np.round(np.linalg.norm(tags[k] - np.mean(own, axis=0), axis=2))
            objective = np.where(np.isfinite(objective), objective, -np.inf)
            y, x = np.unravel_index(objective.argmax(), objective.shape)
            if np.isfinite(objective[y, x]) and heatmaps[k, y, x] > 0:
                joints[k] = (y, x)
        xy.append(np.full((keypoints, 2), np.nan))
        scores.append(np.zeros(keypoints))
        for k, (y, x) in joints.items():
            right, left = heatmaps[k, y, min(x + 1, width - 1)], heatmaps[k, y, max(x - 1, 0)]
            below, above = heatmaps[k, min(y + 1, height - 1), x], heatmaps[k, max(y - 1, 0), x]
            step = [
                0.25 * (float(right > left) - float(left > right)),
                0.25 * (float(below > above) - float(above > below)),
            ]
            xy[-1][k] = np.add((x, y), step if adjust else 0)
            scores[-1][k] = heatmaps[k, y, x]
    count = len(persons)
    mean_tags = np.reshape([np.mean(own, axis=0) for _, own in persons], (count, tags.shape[3]))
    return np.reshape(xy, (count, keypoints, 2)), np.reshape(scores, (count, keypoints)), person_scores, mean_tags


def assert_same(actual, expected):
    for values, wanted in zip(actual, expected, strict=True):
        assert values.dtype == np.float32
        assert values.shape == np.shape(wanted)
        np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-5)


def scene(persons, size=(64, 48), keypoints=5, stride=1, tag_length=1, seed=0, sigma=1.5):
    """Heatmaps and tags, near 3 p for person p; `persons` holds {keypoint: (x, y, value)} of each."""
    rng = np.random.default_rng(seed)
    heatmaps = np.zeros((keypoints, *size), np.float32)
    tags = rng.normal(50, 1, (keypoints, size[0] // stride, size[1] // stride, tag_length)).astype(np.float32)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for person, joints in enumerate(persons):
        for k, (x, y, value) in joints.items():
            bump = value * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
            heatmaps[k] = np.maximum(heatmaps[k], bump)
            y, x = y // stride, x // stride
            tags[k, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 3 * person + rng.normal(0, 0.05, tag_length)
    return heatmaps, tags


def group(heatmaps, tags, joint_order=None, transform=IDENTITY, **options):
    order = range(len(heatmaps)) if joint_order is None else joint_order
    return _core.group_keypoints(heatmaps, tags, transform, order, **options)


def assert_finds(result, persons):
    """The same persons in any order, each keypoint where it is and none where it is missing."""
    xy, scores, _, tags = result
    assert len(xy) == len(persons)
    for person, joints in enumerate(persons):
        found = np.abs(tags[:, 0] - 3 * person).argmin()
        for k in range(xy.shape[1]):
            if k in joints:
                x, y, value = joints[k]
                np.testing.assert_allclose(xy[found, k], (x, y), atol=1e-6)
                np.testing.assert_allclose(scores[found, k], value, rtol=1e-6)
            else:
                assert np.isnan(xy[found, k]).all()
                assert scores[found, k] == 0


PERSONS = [
    {0: (10, 10, 0.9), 1: (20, 11, 0.8), 2: (11, 30, 0.7), 3: (20, 30, 0.95), 4: (15, 50, 0.6)},
    {0: (13, 10, 0.85), 2: (30, 25, 0.7), 3: (23, 30, 0.9)},  # three pixels from the first, keypoints missing
    {1: (40, 20, 0.75), 4: (40, 60, 0.99)},
]


@pytest.mark.parametrize("tag_length", [1, 3])
@pytest.mark.parametrize("joint_order", [*itertools.permutations(range(5))][::13])
def test_known_persons(joint_order, tag_length):
    heatmaps, tags = scene(PERSONS, tag_length=tag_length)
    result = group(heatmaps, tags, joint_order, refine=False, adjust=False)
    assert_finds(result, PERSONS)
    np.testing.assert_allclose(result[2].sum(), sum(v for p in PERSONS for _, _, v in p.values()) / 5, rtol=1e-6)
    if tag_length == 1:
        for values, same in zip(
            group(heatmaps, tags[..., 0], joint_order, refine=False, adjust=False), result, strict=True
        ):
            np.testing.assert_array_equal(values, same)


def test_every_person_in_a_crowd_of_the_largest_size():
    persons = [{k: (6 + 8 * (p % 6), 6 + 8 * (p // 6) + k, 0.5 + 0.01 * p) for k in range(3)} for p in range(30)]
    heatmaps, tags = scene(persons, (52, 56), 3)
    assert_finds(group(heatmaps, tags, refine=False, adjust=False), persons)


def test_more_persons_than_the_largest_number():
    values = [0.9, 0.8, 0.7, 0.6]
    persons = [{k: (10 + 12 * p, 20 + k, value) for k in range(2)} for p, value in enumerate(values)]
    heatmaps, tags = scene(persons, (40, 64), 2)
    options = {"max_persons": 2, "refine": False, "adjust": False}
    assert_finds(group(heatmaps, tags, **options), persons[:2])  # the strongest peaks
    # now the strongest of keypoint 1 are persons 2 and 3: they start anew, or are left out
    weaker = [{0: joints[0], 1: (*joints[1][:2], 1 - joints[1][2])} for joints in persons]
    heatmaps, tags = scene(weaker, (40, 64), 2)
    apart = [{0: weaker[0][0]}, {0: weaker[1][0]}, {1: weaker[2][1]}, {1: weaker[3][1]}]
    assert_finds(group(heatmaps, tags, **options), apart)
    assert_finds(group(heatmaps, tags, ignore_too_much=True, **options), apart[:2])


def test_refine_fills_by_tag():
    persons = [dict(joints) for joints in PERSONS]
    heatmaps, tags = scene(persons)
    heatmaps[1, 40, 5], tags[1, 40, 5] = 0.04, 3.1  # a weak keypoint 1 of person 1
    heatmaps[4] -= 0.5  # person 1 has no keypoint 4 where the map is positive
    xy, scores, person_scores, mean_tags = group(heatmaps, tags, adjust=False)
    found = np.abs(mean_tags[:, 0] - 3).argmin()
    np.testing.assert_array_equal(xy[found, 1], (5, 40))
    assert scores[found, 1] == np.float32(0.04)
    np.testing.assert_allclose(person_scores[found], (0.85 + 0.7 + 0.9) / 5, rtol=1e-6)
    assert_same((xy, scores, person_scores, mean_tags), reference(heatmaps, tags, range(5), adjust=False))


def test_refine_takes_the_first_of_equal_pixels():
    heatmaps, tags = np.zeros((2, 2, 48, 48), np.float32)
    heatmaps[0, 9, 9] = 0.9
    heatmaps[1, [3, 40, 40], [2, 40, 44]] = 0.05
    heatmaps[1, 41, 41], tags[1, 41, 41] = 0.09, 1  # the largest value, of another tag
    np.testing.assert_array_equal(group(heatmaps, tags, adjust=False)[0], [[(9, 9), (2, 3)]])


def test_the_adjustment_is_a_quarter_towards_the_larger_neighbour():
    heatmap = np.zeros((1, 9, 9), np.float32)
    heatmap[0, 4, 3:6] = 0.2, 0.9, 0.3
    xy, *_ = group(heatmap, heatmap)
    np.testing.assert_array_equal(xy, [[[4.25, 4]]])
    heatmap[0, 4, 3] = np.nan
    np.testing.assert_array_equal(group(heatmap, np.zeros_like(heatmap))[0], [[[4, 4]]])


def test_plateaus_and_the_window():
    heatmap = np.zeros((1, 20, 20), np.float32)
    heatmap[0, 5:8, 5:8] = 1
    heatmap[0, 10, 10], heatmap[0, 10, 12] = 0.5, 0.6
    options = {"adjust": False, "refine": False, "tag_threshold": 1e-9}
    tags = np.arange(400, dtype=np.float32).reshape(1, 20, 20)
    np.testing.assert_array_equal(group(heatmap, tags, **options)[0][:, 0], [(5, 5), (12, 10)])
    assert len(group(heatmap, tags, nms_window=3, **options)[0]) == 3
    assert len(group(heatmap, tags, nms_window=255, **options)[0]) == 1
    assert len(group(heatmap, tags, nms_window=1, **options)[0]) == 11
    assert len(group(np.ones_like(heatmap), tags, **options)[0]) == 1


def test_the_threshold_is_exceeded():
    heatmap = np.zeros((1, 9, 20), np.float32)
    heatmap[0, 4, [3, 12]] = np.float32(0.25), np.nextafter(np.float32(0.25), np.float32(1))
    xy, *_ = group(heatmap, heatmap, detection_threshold=0.25, adjust=False)
    np.testing.assert_array_equal(xy, [[[12, 4]]])


def test_larger_peaks_take_the_nearer_of_persons_at_equal_cost():
    # both pairings of the tags 0.1 and 0.2 with the persons 0.3 and 3 are equally far apart in total
    heatmaps, tags = np.zeros((2, 2, 9, 30), np.float32)
    heatmaps[0, 4, [4, 20]], tags[0, 4, [4, 20]] = (0.9, 0.8), (0.3, 3)
    heatmaps[1, 4, [4, 20]] = (0.9, 0.5)
    for own in ((0.1, 0.2), (0.2, 0.1)):
        tags[1, 4, [4, 20]] = own
        for use_detection_val in (True, False):
            xy, *_ = group(heatmaps, tags, use_detection_val=use_detection_val, adjust=False, refine=False)
            np.testing.assert_array_equal(xy[0], [(4, 4), (4, 4)])
            assert len(xy) == 3


def test_detection_values_decide_who_is_left_without_a_person():
    heatmaps, tags = np.zeros((2, 2, 9, 30), np.float32)
    heatmaps[0, 4, 4] = 0.9
    heatmaps[1, 4, [4, 20]], tags[1, 4, [4, 20]] = (0.9, 0.5), (0.4, 0.1)
    for use_detection_val, column in ((True, 4), (False, 20)):
        xy, *_ = group(heatmaps, tags, use_detection_val=use_detection_val, adjust=False, refine=False)
        np.testing.assert_array_equal(xy[0, 1], (column, 4))


@pytest.mark.parametrize(("size", "stride"), [((64, 48), 4), ((64, 48), 2), ((33, 40), 1)])
def test_tags_of_another_resolution(size, stride):
    heatmaps, tags = scene(PERSONS[:2], size, stride=stride, tag_length=2, sigma=3)
    result = group(heatmaps, tags)
    assert_same(result, reference(heatmaps, tags, range(5)))
    full = interpolate(tags, size).astype(np.float32)
    assert_same(group(heatmaps, full), result)


def test_interpolation_by_hand():
    heatmaps = np.zeros((1, 1, 8), np.float32)
    for x, tag in enumerate([0, 0, 1, 3, 5, 7, 8, 8]):
        heatmaps[:] = np.eye(8, dtype=np.float32)[x]
        np.testing.assert_array_equal(group(heatmaps, np.float32([[[0, 8]]]))[3], [[tag]])


@pytest.mark.parametrize("options", [{}, {"use_detection_val": False}, {"ignore_too_much": True, "max_persons": 3}])
@pytest.mark.parametrize("shape", [(3, 20, 30), (2, 1, 40), (4, 50, 3), (1, 1, 1), (2, 33, 17)])
@given(data=st.data())
def test_matches_numpy(shape, options, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    heatmaps = rng.normal(0, 0.4, shape).astype(np.float32)
    # at least half the resolution: where pixels share one tag, equal costs leave the assignment open
    tag_size = [data.draw(st.integers((length + 1) // 2, length)) for length in shape[1:]]
    scale = data.draw(st.sampled_from([0.3, 1.0, 5.0]))
    tags = rng.normal(0, scale, (shape[0], *tag_size, data.draw(st.integers(1, 3)))).astype(np.float32)
    share = data.draw(st.sampled_from([0.0, 0.05, 0.5]))
    for maps in (heatmaps, tags):
        hostile = rng.random(maps.shape) < share
        maps[hostile] = rng.choice(np.float32([np.nan, np.inf, -np.inf]), hostile.sum())
    options = {
        "max_persons": data.draw(st.integers(1, 4)),
        "detection_threshold": np.float32(data.draw(st.floats(-1, 1, width=32))),
        "tag_threshold": data.draw(st.floats(0.1, 3)),
        "adjust": data.draw(st.booleans()),
        "refine": data.draw(st.booleans()),
        "nms_window": data.draw(st.sampled_from([1, 3, 5, 9])),
        **options,
    }
    order = data.draw(st.permutations(range(shape[0])))
    assert_same(group(heatmaps, tags, order, **options), reference(heatmaps, tags, order, **options))


any_float = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(
    data=st.data(),
    keypoints=st.integers(1, 3),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    tag_shape=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 2)),
)
def test_hostile_maps(data, keypoints, size, tag_shape):
    heatmaps = data.draw(hnp.arrays(np.float32, (keypoints, *size), elements=any_float))
    tags = data.draw(hnp.arrays(np.float32, (keypoints, *tag_shape), elements=any_float))
    xy, scores, person_scores, mean_tags = group(heatmaps, tags, adjust=False, max_persons=4)
    count = len(xy)
    assert xy.shape == (count, keypoints, 2)
    assert scores.shape == (count, keypoints)
    assert person_scores.shape == (count,)
    assert mean_tags.shape == (count, tag_shape[2])
    for values in (scores, person_scores, mean_tags):
        assert np.isfinite(values).all()
    present = np.isfinite(xy).all(2)
    assert (scores[~present] == 0).all()
    for person, k in np.argwhere(present):
        x, y = xy[person, k].astype(int)
        assert heatmaps[k, y, x] == scores[person, k] > 0


def test_any_layout():
    heatmaps, tags = scene(PERSONS, tag_length=2)
    expected = group(heatmaps, tags)
    strided = np.repeat(heatmaps, 2, axis=2)[:, :, ::2]
    for same in (group(strided, np.asfortranarray(tags)), group(heatmaps.copy("F"), tags[::-1][::-1])):
        for values, wanted in zip(same, expected, strict=True):
            np.testing.assert_array_equal(values, wanted)


def test_the_transform_maps_heatmap_pixels():
    heatmaps, tags = scene(PERSONS)
    matrix = np.array([[4.0, 0.5, 1.5], [-0.25, 3.0, 2.5]])
    pixels = group(heatmaps, tags)[0]
    np.testing.assert_allclose(
        group(heatmaps, tags, transform=matrix)[0], pixels @ matrix[:, :2].T + matrix[:, 2], rtol=1e-5
    )


def test_no_persons():
    for heatmaps in (np.zeros((17, 8, 8), np.float32), np.full((17, 8, 8), np.nan, np.float32)):
        results = group(heatmaps, np.zeros((17, 2, 2, 3), np.float32), _core.COCO_JOINT_ORDER)
        assert [values.shape for values in results] == [(0, 17, 2), (0, 17), (0,), (0, 3)]


MAPS = np.zeros((2, 6, 7), np.float32)
GOOD = {"heatmaps": MAPS, "tags": MAPS, "transform": IDENTITY, "joint_order": (0, 1)}
BAD = [
    ({"heatmaps": MAPS.astype(np.float64)}, TypeError, "heatmaps must be a float32 array .* got float64"),
    ({"tags": MAPS.astype(np.float16)}, TypeError, r"tags must be .* got float16 .* with \.astype"),
    ({"tags": [[[1.0]]]}, TypeError, "got list"),
    ({"heatmaps": MAPS[0]}, ValueError, r"heatmaps must have shape \(K, H, W\), got \(6, 7\)"),
    ({"heatmaps": MAPS[None]}, ValueError, r"heatmaps must have shape \(K, H, W\), got \(1, 2, 6, 7\)"),
    ({"tags": MAPS[0]}, ValueError, r"tags must have shape \(K, h, w\) or \(K, h, w, T\), got \(6, 7\)"),
    ({"tags": MAPS[..., None, None]}, ValueError, r"tags must have shape .* got \(2, 6, 7, 1, 1\)"),
    ({"tags": MAPS[:1]}, ValueError, r"agree in keypoints, got shapes \(2, 6, 7\) and \(1, 6, 7\)"),
    ({"heatmaps": MAPS[:, :0]}, ValueError, "heatmaps must hold at least one value"),
    ({"tags": MAPS[..., None][..., :0]}, ValueError, "tags must hold at least one value"),
    ({"transform": IDENTITY[None]}, ValueError, r"transform must have shape \(2, 3\), got \(1, 2, 3\)"),
    ({"transform": IDENTITY * np.nan}, ValueError, r"transform\[0\] holds nan"),
    ({"transform": "abc"}, TypeError, "transform must be an array of integers or floats"),
    ({"joint_order": (0, 0)}, ValueError, r"joint_order must hold each keypoint from 0 to 1 once, got \(0, 0\)"),
    ({"joint_order": (0,)}, ValueError, "joint_order must hold each"),
    ({"joint_order": (1, 2)}, ValueError, "joint_order must hold each"),
    ({"joint_order": (0, 1.5)}, TypeError, "joint_order must be a sequence of integers"),
    ({"joint_order": None}, TypeError, "joint_order must be a sequence of integers, got None"),
    ({"max_persons": 0}, ValueError, "max_persons must be from 1 to 1000, got 0"),
    ({"max_persons": 1001}, ValueError, "max_persons must be from 1 to 1000, got 1001"),
    ({"detection_threshold": np.nan}, ValueError, "detection_threshold must be finite, got nan"),
    ({"tag_threshold": 0.0}, ValueError, "tag_threshold must be positive and finite, got 0"),
    ({"tag_threshold": np.inf}, ValueError, "tag_threshold must be positive and finite, got inf"),
    ({"nms_window": 4}, ValueError, "nms_window must be an odd number of pixels from 1 to 255, got 4"),
    ({"nms_window": -1}, ValueError, "nms_window must be an odd .* got -1"),
    ({"nms_window": 257}, ValueError, "nms_window must be an odd .* got 257"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        _core.group_keypoints(**(GOOD | change))


def test_published_order():
    assert sorted(_core.COCO_JOINT_ORDER) == [*range(17)]
    assert _core.COCO_JOINT_ORDER[5:11] == (5, 6, 11, 12, 7, 8)


def test_threads_share_maps():
    heatmaps, tags = scene(PERSONS, tag_length=2)
    expected = group(heatmaps, tags)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: group(heatmaps, tags), range(32)):
            for values, wanted in zip(result, expected, strict=True):
                np.testing.assert_array_equal(values, wanted)
