from __future__ import annotations

import re
import sys
from types import ModuleType

import numpy as np
import pytest

from leanpose import COCO17, Detections, Poses


def poses_of(count: int, track_ids: list[int] | None = None, seed: int = 0) -> Poses:
    random = np.random.default_rng(seed)
    corners = random.uniform(10, 200, (count, 2))
    return Poses(
        random.uniform(10, 200, (count, 17, 2)),
        random.uniform(0, 1, (count, 17)),
        np.concatenate([corners, corners + 100], axis=1),
        random.uniform(0, 1, count),
        COCO17,
        track_ids=track_ids,
    )


def with_gaps(poses: Poses) -> Poses:
    """The same with the first person's nose missing and its left eye half so."""
    xy, scores = poses.xy.copy(), poses.keypoint_scores.copy()
    xy[0, 0], xy[0, 1, 1], scores[0, 0] = np.nan, np.inf, 0
    return Poses(xy, scores, poses.boxes, poses.box_scores, COCO17, track_ids=poses.track_ids)


# supervision


def test_supervision_gets_keypoints_scores_and_ids() -> None:
    sv = pytest.importorskip("supervision", reason="the package supervision is not installed")
    poses = with_gaps(poses_of(3, [7, -1, 2**40]))
    made = poses.to_supervision()
    assert isinstance(made, sv.KeyPoints)
    assert len(made) == 3
    np.testing.assert_array_equal(made.xy[1:], poses.xy[1:])
    np.testing.assert_array_equal(made.keypoint_confidence[1:], poses.keypoint_scores[1:])
    np.testing.assert_array_equal(made.xy[0, :2], 0)
    np.testing.assert_array_equal(made.keypoint_confidence[0, :2], 0)
    np.testing.assert_array_equal(made.xy[0, 2:], poses.xy[0, 2:])
    np.testing.assert_array_equal(made.detection_confidence, poses.scores)
    assert made.class_id.tolist() == [0, 0, 0]
    assert made["class_name"].tolist() == ["person"] * 3
    assert made["tracker_id"].tolist() == [7, -1, 2**40]
    assert "tracker_id" not in poses_of(2).to_supervision().data


def test_supervision_works_with_what_it_gets() -> None:
    sv = pytest.importorskip("supervision", reason="the package supervision is not installed")
    poses = with_gaps(poses_of(3, [7, 8, 9]))
    detections = poses.to_supervision().as_detections()
    expected = np.concatenate([poses.xy[0, 2:].min(axis=0), poses.xy[0, 2:].max(axis=0)])
    np.testing.assert_allclose(detections.xyxy[0], expected)
    np.testing.assert_array_equal(detections.confidence, poses.scores)
    picked = poses.to_supervision()[np.array([False, True, False])]
    assert picked["tracker_id"].tolist() == [8]
    scene = np.zeros((320, 320, 3), np.uint8)
    drawn = sv.EdgeAnnotator().annotate(scene.copy(), poses.to_supervision())
    assert drawn.any()
    drawn = sv.VertexAnnotator(radius=1).annotate(scene.copy(), poses.to_supervision())
    x, y = poses.xy[2, 5].astype(int)
    assert drawn[y, x].any()
    assert not drawn[:5, :5].any()  # missing keypoints are not drawn at 0, 0


def test_supervision_of_nobody() -> None:
    pytest.importorskip("supervision", reason="the package supervision is not installed")
    for poses in (Poses.empty(COCO17), poses_of(2, [1, 2])[[]]):
        made = poses.to_supervision()
        assert len(made) == 0
        assert made.xy.shape == (0, 17, 2)
        assert len(made.as_detections()) == 0


def test_supervision_arrays_are_the_callers() -> None:
    pytest.importorskip("supervision", reason="the package supervision is not installed")
    poses = poses_of(2, [1, 2])
    before = poses_of(2, [1, 2])
    made = poses.to_supervision()
    for array in (made.xy, made.keypoint_confidence, made.detection_confidence, made["tracker_id"]):
        array += 1
    assert poses == before


def test_supervision_detections() -> None:
    sv = pytest.importorskip("supervision", reason="the package supervision is not installed")
    found = Detections([[1, 2, 30, 40], [5, 6, 70, 80]], [0.9, 0.25])
    made = found.to_supervision()
    assert isinstance(made, sv.Detections)
    np.testing.assert_array_equal(made.xyxy, found.boxes)
    np.testing.assert_array_equal(made.confidence, found.scores)
    assert made.class_id.tolist() == [0, 0]
    assert made["class_name"].tolist() == ["person", "person"]
    assert len(made[made.confidence > 0.5]) == 1
    assert len(Detections.empty().to_supervision()) == 0
    assert Detections(made.xyxy, made.confidence) == found


# pandas


def test_dataframe_has_a_row_per_person_and_keypoint() -> None:
    pd = pytest.importorskip("pandas", reason="the package pandas is not installed")
    poses = with_gaps(poses_of(3, [7, -1, 2**60]))
    table = poses.to_dataframe(frame=12)
    assert list(table.columns) == ["frame", "person", "track_id", "person_score", "keypoint", "x", "y", "score"]
    assert len(table) == 3 * 17
    assert (table["frame"] == 12).all()
    assert table["person"].tolist() == [person for person in range(3) for _ in range(17)]
    assert table["keypoint"].tolist() == list(COCO17.names) * 3
    assert list(table["keypoint"].cat.categories) == list(COCO17.names)
    np.testing.assert_array_equal(table[["x", "y"]].to_numpy().reshape(3, 17, 2), poses.xy)
    np.testing.assert_array_equal(table["score"].to_numpy().reshape(3, 17), poses.keypoint_scores)
    np.testing.assert_array_equal(table["person_score"].to_numpy()[::17], poses.scores)
    assert table["track_id"][::17].tolist() == [7, pd.NA, 2**60]
    assert np.isnan(table["x"][0])


def test_dataframe_without_frame_and_ids() -> None:
    pytest.importorskip("pandas", reason="the package pandas is not installed")
    table = poses_of(2).to_dataframe()
    assert "frame" not in table
    assert table["track_id"].isna().all()
    wide = table.pivot(index="person", columns="keypoint", values=["x", "y", "score"])
    np.testing.assert_array_equal(wide["x"].to_numpy(), poses_of(2).xy[..., 0])


def test_dataframe_of_a_frame_that_is_no_number_or_name() -> None:
    pytest.importorskip("pandas", reason="the package pandas is not installed")
    for persons in (0, 2):
        with pytest.raises(TypeError, match=re.escape("frame: expected an integer or a string, got [1, 2]")):
            poses_of(persons).to_dataframe(frame=[1, 2])  # type: ignore[arg-type]


def test_dataframes_of_frames_go_together() -> None:
    pd = pytest.importorskip("pandas", reason="the package pandas is not installed")
    tables = [poses_of(count, seed=count).to_dataframe(frame=count) for count in (2, 1, 3)]
    tables.append(poses_of(1, [4]).to_dataframe(frame="last"))
    together = pd.concat(tables, ignore_index=True)
    assert len(together) == 7 * 17
    assert str(together["track_id"].dtype) == "Int64"
    assert together.groupby("frame").size().to_dict() == {2: 34, 1: 17, 3: 51, "last": 17}
    empty = Poses.empty(COCO17).to_dataframe(frame=0)
    assert len(empty) == 0
    assert (empty.dtypes == tables[0].dtypes).all()


# without the packages


@pytest.mark.parametrize(
    ("package", "method", "extra"),
    [("supervision", "to_supervision", "supervision"), ("pandas", "to_dataframe", "dataframe")],
)
def test_missing_packages_are_named(package: str, method: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{method}: .* pip install 'leanpose\[{extra}\]'"):
        getattr(poses_of(1), method)()
    if package == "supervision":
        with pytest.raises(ImportError, match="to_supervision: "):
            Detections.empty().to_supervision()


def test_old_supervision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("supervision")

    class KeyPoints:
        def __init__(self, xy: object, confidence: object = None) -> None:
            raise AssertionError("must not be called")

    old.__dict__.update(KeyPoints=KeyPoints, __version__="0.20.0")
    monkeypatch.setitem(sys.modules, "supervision", old)
    with pytest.raises(ImportError, match=r"supervision 0\.20\.0 is too old"):
        poses_of(1).to_supervision()
