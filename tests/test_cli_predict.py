from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import cv2
import numpy as np
import pytest
from onnx import helper, numpy_helper
from shop import CENTERS, SPEED, Shop, save_picture
from videos import damage, number, write_video

from leanpose import Estimator, Poses, load_image
from leanpose.cli.progress import Progress
from leanpose.sinks import JsonSink
from leanpose.sources import Frame, open_source
from models import SIZE, constant_model, dot_card, dot_graph, dots_picture, save_model


def test_predict_draws_and_writes_json(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--json") == (0, "")
    assert shop.written() == ["a.jpg", "a.json"]
    poses = Estimator(shop.model, threads=1).predict(shop.picture)
    assert shop.keypoints() == poses.to_dict()
    drawn = load_image(shop.out / "a.jpg")
    expected = poses.draw(load_image(shop.picture), threshold=0.3)
    assert drawn.shape == expected.shape
    assert np.abs(drawn.astype(int) - expected).mean() < 12  # by the losses of JPEG
    assert np.abs(drawn.astype(int) - load_image(shop.picture)).mean() > 15


def test_without_json_only_pictures_are_written(shop: Shop) -> None:
    assert shop.predict(shop.picture) == (0, "")
    assert shop.written() == ["a.jpg"]


def test_good_inputs_are_written_beside_bad_ones(shop: Shop) -> None:
    (shop.folder / "text.png").write_text("no picture")
    (shop.folder / "empty.png").touch()
    good = [save_picture(shop.folder / f"good{i}.png") for i in range(3)]
    bad = [shop.folder / name for name in ("text.png", "empty.png", "missing.png")]
    order = [good[0], bad[0], good[1], bad[1], bad[2], good[2]]
    code, err = shop.predict(*order, "--json")
    assert code == 1
    assert shop.written() == sorted(f"good{i}.{end}" for i in range(3) for end in ("jpg", "json"))
    lines = err.splitlines()
    assert lines[-1] == "leanpose predict: failed: 3"
    assert [line.split(": ")[1] for line in lines[:-1]] == [str(path) for path in bad]


def test_one_box_for_every_picture(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--json", "--boxes", "1,2.5,20,30") == (0, "")
    assert shop.keypoints() == Estimator(shop.model).predict(shop.picture, [1, 2.5, 20, 30]).to_dict()


def test_boxes_from_a_file_by_name_or_path(shop: Shop) -> None:
    other = save_picture(shop.folder / "sub" / "b.png", 1)
    boxes = {"a.png": [[0, 0, 24, 32, 1], [3, 3, 9, 9, 0.5]], str(other): [], "b.png": [[0, 0, 1, 1]]}
    (shop.folder / "boxes.json").write_text(json.dumps(boxes))
    assert shop.predict(shop.picture, other, "--json", "--boxes", "boxes.json") == (0, "")
    assert shop.keypoints() == Estimator(shop.model).predict(shop.picture, boxes["a.png"]).to_dict()
    assert shop.keypoints("b") == Estimator(shop.model).predict(other, []).to_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\udcff", "not valid JSON"),
        ("[[0, 0, 9, 9]]", "expected {picture name: [[x1, y1, x2, y2], ...]}, got list"),
    ],
    ids=lambda text: text[:9],
)
def test_broken_box_files(content: str, message: str, shop: Shop) -> None:
    (shop.folder / "boxes.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    code, err = shop.predict(shop.picture, "--boxes", "boxes.json")
    assert code == 1
    assert err.startswith(f"leanpose predict: --boxes boxes.json: {message}")
    assert shop.written() == []


def test_pictures_that_the_box_file_lacks_or_has_wrong(shop: Shop) -> None:
    for name in ("b", "c", "d", "e"):
        save_picture(shop.folder / f"{name}.png")
    (shop.folder / "boxes.json").write_text(
        '{"a.png": [[0, 0, NaN, 9]], "b.png": [[5, 5, 6, 6]], "d.png": {"x": 1}, "e.png": null}'
    )
    code, err = shop.predict(*(f"{name}.png" for name in "abcde"), "--boxes", "boxes.json")
    assert code == 1
    assert shop.written() == ["b.jpg"]
    assert "a.png: boxes: row 0 is [0, 0, nan, 9]" in err
    assert "c.png: boxes.json has no boxes for 'c.png'" in err
    assert "e.png: boxes.json has no boxes for 'e.png'" in err
    assert "d.png: boxes: expected boxes as x1, y1, x2, y2" in err


@pytest.mark.parametrize("boxes", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "none.json", ".", ""])
def test_boxes_that_are_neither_numbers_nor_a_file(boxes: str, shop: Shop) -> None:
    code, err = shop.predict(shop.picture, f"--boxes={boxes}")
    assert code == 1
    assert err.startswith("leanpose predict: --boxes ")
    assert shop.written() == []


def test_same_stems_do_not_overwrite_each_other(shop: Shop) -> None:
    folders = ("one", "two", "three")
    pictures = [save_picture(shop.folder / folder / "x.png", shift) for shift, folder in enumerate(folders)]
    third = save_picture(shop.folder / "three" / "x-2.png", 3)
    assert shop.predict(*pictures, third, "--json") == (0, "")
    assert len(shop.written()) == 8
    found = {tuple(shop.keypoints(Path(name).stem)["persons"][0]["keypoints"][0][:2]) for name in shop.written()}
    assert found == {(3 + shift, 5 + shift) for shift in range(4)}


def test_results_of_a_picture_do_not_replace_those_of_all(shop: Shop) -> None:
    pictures = [save_picture(shop.folder / f"results{end}.png") for end in (".coco", "")]
    assert shop.predict(*pictures, "--json", "--coco", "--no-draw") == (0, "")
    assert shop.written() == ["results-2.json", "results.coco-2.json", "results.coco.json"]
    assert len(json.loads((shop.out / "results.coco.json").read_text())) == 2


@pytest.mark.parametrize("source", ["", "n" * 300, "n" * 300 + ".png", "2147483648", "9" * 5000, "\u00b2"])
def test_sources_that_cannot_be_cost_no_other(source: str, shop: Shop) -> None:
    code, err = shop.predict(source, shop.picture)
    assert code == 1
    assert err.startswith(f"leanpose predict: {source or chr(39) * 2}: ")
    assert "int()" not in err
    assert err.endswith("leanpose predict: failed: 1\n")
    assert shop.written() == ["a.jpg"]


def test_folders_and_repetitions(shop: Shop) -> None:
    folder = shop.folder / "pictures"
    for name in ("b.png", "a.PNG", "c.png"):
        save_picture(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    assert shop.predict(folder, folder / "b.png", folder) == (0, "")
    assert shop.written() == ["a.jpg", "b.jpg", "c.jpg"]
    (shop.folder / "empty").mkdir()
    code, err = shop.predict(shop.folder / "empty", folder / "b.png")
    assert code == 1
    assert "empty: the folder holds no picture (.jpg, " in err
    assert shop.written() == ["a.jpg", "b.jpg", "c.jpg"]


def test_inputs_are_never_overwritten(shop: Shop) -> None:
    photo = shop.folder / "photo.jpg"
    photo.write_bytes(cv2.imencode(".jpg", dots_picture(*SIZE, CENTERS))[1].tobytes())
    boxes = shop.folder / "a.json"
    boxes.write_text('{"a.png": [[0, 0, 9, 9]]}')
    before = {path: path.read_bytes() for path in shop.folder.iterdir()}
    for arguments in (["photo.jpg"], ["a.png", photo], ["a.png", "--json", "--boxes", "a.json"]):
        code, _, err = shop.run("predict", "-m", shop.model, "-o", ".", *arguments)
        assert code == 1
        assert "is an input and would be overwritten" in err
    (shop.folder / "link").symlink_to(shop.folder, target_is_directory=True)
    assert shop.run("predict", "-m", shop.model, "-o", "link", photo)[0] == 1
    (shop.folder / "link").unlink()
    assert {path: path.read_bytes() for path in shop.folder.iterdir()} == before
    code, _, err = shop.run("predict", "-m", shop.model, "-o", ".", "a.png", "--boxes", "a.json")
    assert (code, err) == (0, "")


def test_output_folders_that_cannot_be(shop: Shop) -> None:
    for out in (shop.picture, shop.picture / "below"):
        code, _, err = shop.run("predict", "-m", shop.model, "-o", out, shop.picture)
        assert code == 1
        assert err.startswith("leanpose predict: ")
        assert "a.png" in err
    assert shop.predict(shop.picture, "-o", shop.folder / "deep" / "er") == (0, "")
    assert (shop.folder / "deep" / "er" / "a.jpg").is_file()


def test_a_result_that_cannot_be_written_costs_no_other(shop: Shop) -> None:
    (shop.out / "a.jpg").mkdir(parents=True)
    other = save_picture(shop.folder / "b.png")
    code, err = shop.predict(shop.picture, other)
    assert code == 1
    assert err.splitlines()[-1] == "leanpose predict: failed: 1"
    assert (shop.out / "b.jpg").is_file()


def test_a_picture_too_wide_to_be_drawn_keeps_its_other_results(shop: Shop) -> None:
    wide = shop.folder / "wide.png"
    cv2.imwrite(str(wide), np.zeros((2, 66_000, 3), np.uint8))
    code, err = shop.predict(wide, shop.picture, "--json", "--csv", "--coco")
    assert code == 1
    assert "wide.jpg' of 66000x2 pixels; JPEG takes sides up to 65535" in err
    assert shop.written() == ["a.jpg", "a.json", "results.coco.json", "results.csv", "wide.json"]
    assert len(json.loads((shop.out / "results.coco.json").read_text())) == 2
    with (shop.out / "results.csv").open(encoding="utf-8", newline="") as file:
        assert {row["name"] for row in csv.DictReader(file)} == {str(wide), str(shop.picture)}


def test_an_encoder_that_raises_costs_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise cv2.error("size > 0")

    monkeypatch.setattr(cv2, "imencode", fail)
    code, err = shop.predict(shop.picture, "--json")
    assert code == 1
    assert "OpenCV cannot encode" in err
    assert shop.written() == ["a.json"]


def test_many_pictures_in_order(shop: Shop) -> None:
    for index in range(70):
        save_picture(shop.folder / "many" / f"{index:02}.png", index % 4)
    assert shop.predict(shop.folder / "many", "--json")[0] == 0
    for index in range(70):
        first = shop.keypoints(f"{index:02}")["persons"][0]["keypoints"][0]
        assert first[:2] == [3 + index % 4, 5 + index % 4]


def test_predict_options_reach_the_estimator(shop: Shop) -> None:
    assert shop.predict(shop.picture, "--flip-test", "--provider", "cpu", "--threshold", "0.5") == (0, "")
    for wrong, message in (
        (("--provider", "vulkan"), "unknown provider 'vulkan'"),
        (("--threads", "0"), "threads: expected 1 to 1024"),
        (("--threads", "99999999999"), "threads: expected 1 to 1024"),
        (("-m", "none.onnx"), "there is no file 'none.onnx'"),
        (("-m", shop.picture), "is not a sound ONNX model"),
        (("--threshold", "nan"), "threshold: expected a number"),
    ):
        code, err = shop.predict(shop.picture, *wrong)
        assert code == 1
        assert message in err


def test_models_that_fail_during_a_run(shop: Shop) -> None:
    graph = dot_graph()
    for node in graph.graph.node:
        node.input[0] = "wrong" if node.input[0] == "image" else node.input[0]
    graph.graph.node.insert(0, helper.make_node("Reshape", ["image", "shape"], ["wrong"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([7, 3, *SIZE]), "shape"))
    failing = save_model(shop.folder / "failing.onnx", graph, dot_card())
    code, err = shop.predict(shop.picture, "-m", failing)
    assert code == 1
    assert "fails on a batch of shape" in err


# sources


def test_patterns_find_pictures_in_natural_order(shop: Shop) -> None:
    for index in (10, 9, 1):
        save_picture(shop.folder / "shots" / f"{index}.png", index % 4)
    assert shop.predict("shots/*.png", "--csv", "--no-draw") == (0, "")
    with open(shop.out / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows[::3]] == [str(Path("shots", f"{index}.png")) for index in (1, 9, 10)]
    assert [row["frame"] for row in rows[::3]] == ["0", "1", "2"]
    code, err = shop.predict("none/*.png", "shots/1.png")
    assert code == 1
    assert err.splitlines()[0] == "leanpose predict: none/*.png: the pattern finds no file"
    assert "1.jpg" in shop.written()


def test_a_file_whose_name_looks_like_a_pattern(shop: Shop) -> None:
    save_picture(shop.folder / "a[1].png")
    assert shop.predict("a[1].png") == (0, "")
    assert shop.written() == ["a[1].jpg"]


def test_a_broken_picture_in_the_middle_of_a_folder(shop: Shop) -> None:
    for index in range(5):
        save_picture(shop.folder / "shots" / f"{index}.png", index % 4)
    (shop.folder / "shots" / "2.png").write_bytes(b"\x89PNG broken")
    for extra in ([], ["--track"]):
        code, err = shop.predict("shots", "--json", "--csv", "--coco", *extra)
        assert code == 1
        lines = err.splitlines()
        assert lines[0].startswith(f"leanpose predict: {Path('shots', '2.png')}: image: ")
        assert lines[1:] == ["leanpose predict: failed: 1"]
        names = [f"{index}.{suffix}" for index in (0, 1, 3, 4) for suffix in ("jpg", "json")]
        assert shop.written() == sorted([*names, "results.csv", "results.coco.json"])
        results = json.loads((shop.out / "results.coco.json").read_text())
        assert [person["image_id"] for person in results] == [0, 1, 3, 4]
        with open(shop.out / "results.csv", newline="") as file:
            assert [row["frame"] for row in csv.DictReader(file)] == [str(i) for i in (0, 1, 3, 4) for _ in range(3)]
        assert shop.keypoints("3") == Estimator(shop.model, threads=1).predict("shots/3.png").to_dict() or extra


def test_a_coco_id_is_that_of_the_picture_whatever_its_output_is_called(shop: Shop) -> None:
    save_picture(shop.folder / "000042.png")
    shop.out = shop.folder / "drawn.jpg"
    assert shop.predict("000042.png", "--coco") == (0, "")
    (person,) = json.loads((shop.folder / "drawn.coco.json").read_text())
    assert person["image_id"] == 42


def test_coco_ids_of_pictures_with_the_same_stem_differ(shop: Shop) -> None:
    for folder in ("one", "two"):
        save_picture(shop.folder / folder / "000042.png")
    assert shop.predict("one", "two", "--coco", "--no-draw") == (0, "")
    results = json.loads((shop.out / "results.coco.json").read_text())
    assert [person["image_id"] for person in results] == [42, "000042-2"]


# videos


def test_a_video_in_gives_a_video_out(shop: Shop) -> None:
    video = write_video(shop.folder / "walk.avi", 12, fps=8)
    assert shop.predict(video, "--threshold", "2") == (0, "")  # nothing is drawn over the numbers
    assert shop.written() == ["walk.mp4"]
    with open_source(shop.out / "walk.mp4") as source:
        assert source.fps == pytest.approx(8)
        frames = list(source)
    assert [number(frame.image) for frame in frames] == list(range(12))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


def test_results_of_a_video(shop: Shop) -> None:
    video = write_video(shop.folder / "walk.avi", 5)
    assert shop.predict(video, "--no-draw", "--json", "--csv", "--coco", "--track", "--smooth") == (0, "")
    assert shop.written() == ["walk.coco.json", "walk.csv", "walk.json"]
    frames = shop.keypoints("walk")["frames"]
    assert [(frame["index"], frame["name"]) for frame in frames] == [(i, f"{video}#{i}") for i in range(5)]
    assert [frame["time"] for frame in frames] == pytest.approx([i / 25 for i in range(5)], abs=1e-3)
    assert all(len(frame["persons"]) == 1 for frame in frames)
    results = json.loads((shop.out / "walk.coco.json").read_text())
    assert [person["image_id"] for person in results] == list(range(5))
    with open(shop.out / "walk.csv", newline="") as file:
        assert len({row["track_id"] for row in csv.DictReader(file)}) == 1


def test_pictures_and_videos_together(shop: Shop) -> None:
    write_video(shop.folder / "a.avi", 4)
    assert shop.predict("a.png", "a.avi", "--json", "--csv") == (0, "")
    assert shop.written() == ["a-2.csv", "a-2.json", "a-2.mp4", "a.jpg", "a.json", "results.csv"]
    assert len(shop.keypoints("a-2")["frames"]) == 4
    assert len(shop.keypoints("a")["persons"]) == 1


def test_broken_frames_are_reported_and_the_others_kept(shop: Shop) -> None:
    whole = write_video(shop.folder / "whole.avi", 9)
    damage(whole, shop.folder / "walk.avi", [4])
    code, err = shop.predict("walk.avi", "--json", "--threshold", "2")
    assert code == 1
    assert "leanpose predict: walk.avi: frames that could not be read and are left out: 1" in err
    assert [frame["index"] for frame in shop.keypoints("walk")["frames"]] == [0, 1, 2, 3, 5, 6, 7, 8]
    with open_source(shop.out / "walk.mp4") as source:
        assert [number(frame.image) for frame in source] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_videos_that_cannot_be_read_cost_no_other(shop: Shop) -> None:
    (shop.folder / "text.mp4").write_text("no video")
    write_video(shop.folder / "walk.avi", 3)
    code, err = shop.predict("text.mp4", "missing.mp4", "walk.avi")
    assert code == 1
    lines = [line for line in err.splitlines() if line.startswith("leanpose")]
    assert [line.split(": ")[1] for line in lines] == ["text.mp4", "missing.mp4", "failed"]
    assert shop.written() == ["walk.mp4"]


def test_an_interrupt_finishes_the_files(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(shop.folder / "walk.avi", 9)
    write = JsonSink.write

    def interrupted(sink: JsonSink, frame: Frame, poses: Poses) -> None:
        if frame.index == 4:
            raise KeyboardInterrupt
        write(sink, frame, poses)

    monkeypatch.setattr(JsonSink, "write", interrupted)
    assert shop.predict("walk.avi", "--json", "--csv") == (130, "leanpose predict: interrupted\n")
    assert shop.written() == ["walk.csv", "walk.json", "walk.mp4"]
    assert len(shop.keypoints("walk")["frames"]) == 4
    with open_source(shop.out / "walk.mp4") as source:
        assert len(list(source)) == 4


def test_ctrl_c_finishes_the_files(shop: Shop) -> None:
    write_video(shop.folder / "long.avi", 20_000)
    words = ["predict", "long.avi", "-m", shop.model, "-o", shop.out, "--json", "--threads", 1]
    process = subprocess.Popen(
        [sys.executable, "-m", "leanpose", *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # what a shell starts in the background inherits that SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = shop.out / ".long.part.json"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 5000):
        sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "leanpose predict: interrupted\n"
    assert shop.written() == ["long.json", "long.mp4"]
    frames = shop.keypoints("long")["frames"]
    assert 0 < len(frames) < 20_000
    with open_source(shop.out / "long.mp4") as source:
        assert abs(len(list(source)) - len(frames)) <= 1


# outputs


def test_a_single_output_file(shop: Shop) -> None:
    write_video(shop.folder / "walk.avi", 3)
    assert shop.predict("walk.avi", "-o", "films/out.mkv", "--json") == (0, "")
    assert sorted(path.name for path in (shop.folder / "films").iterdir()) == ["out.json", "out.mkv"]
    assert shop.predict("a.png", "-o", "drawn.png", "--csv") == (0, "")
    expected = Estimator(shop.model, threads=1).predict("a.png").draw("a.png")
    np.testing.assert_array_equal(load_image(shop.folder / "drawn.png"), expected)
    assert (shop.folder / "drawn.csv").is_file()
    (shop.folder / "folder.mp4").mkdir()
    assert shop.predict("walk.avi", "-o", "folder.mp4") == (0, "")
    assert (shop.folder / "folder.mp4" / "walk.mp4").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "walk.avi", "-o", "out.mp4"], "-o out.mp4: one file for 2 inputs"),
        (["a.png", "-o", "out.mp4"], "suffix: OpenCV cannot write pictures with the suffix '.mp4'"),
        (["walk.avi", "-o", "out.jpg"], "path: expected the name of a video, ending in .mp4"),
        (["walk.avi", "-o", "walk.avi"], "'walk.avi' is an input and would be overwritten"),
        (["walk.avi", "--boxes", "0,0,9,9"], "--boxes is for pictures"),
        (["a.png", "--detector", "none.onnx"], "there is no file 'none.onnx'"),
        (["a.png", "--track", "--detector", "a.png"], "is not a sound ONNX model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_outputs_and_options_that_do_not_fit(arguments: list[str], message: str, shop: Shop) -> None:
    write_video(shop.folder / "walk.avi", 3)
    before = {path.name: path.read_bytes() for path in shop.folder.iterdir()}
    code, err = shop.predict(*arguments)
    assert code == 1
    assert message in err
    assert {path.name: path.read_bytes() for path in shop.folder.iterdir() if path.is_file()} == before
    assert shop.written() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-draw"], "--no-draw leaves nothing to write"),
        (["--boxes", "0,0,9,9", "--track"], "--boxes goes without"),
        (["--boxes", "0,0,9,9", "--detector", "d.onnx"], "argument -d/--detector: not allowed with argument --boxes"),
        (["--every", "0", "--detector", "d.onnx"], "--every: expected at least 1, got 0"),
        (["--whole", "--boxes", "0,0,9,9"], "argument --boxes: not allowed with argument --whole"),
        (["--every", "2", "--whole"], "--every needs a detector; give one by -d FILE"),
        (["--every", "2"], "--every needs a detector; give one by -d FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2(arguments: list[str], message: str, shop: Shop) -> None:
    with pytest.raises(SystemExit) as exit_:
        shop.predict(shop.picture, *arguments)
    assert exit_.value.code == 2
    assert f"leanpose predict: error: {message}" in shop.capsys.readouterr().err


def test_boxes_and_ids_are_drawn(shop: Shop) -> None:
    big = shop.folder / "big.png"
    big.write_bytes(cv2.imencode(".png", dots_picture(320, 240, CENTERS * 10, radius=40))[1].tobytes())
    poses = Estimator(shop.model, threads=1).predict(big)
    assert shop.predict(big, "--draw-boxes", "-o", "boxes.png") == (0, "")
    np.testing.assert_array_equal(load_image(shop.folder / "boxes.png"), poses.draw(big, boxes=True))
    assert shop.predict(big, "--track", "-o", "ids.png") == (0, "")
    numbered_ = replace(poses, track_ids=[1])
    np.testing.assert_array_equal(load_image(shop.folder / "ids.png"), numbered_.draw(big))


def test_the_profile_tells_every_stage(shop: Shop) -> None:
    write_video(shop.folder / "walk.avi", 6)
    words = ["-m", shop.model, "-o", shop.out, "--threads", 1, "--track", "--smooth", "--profile"]
    code, out, err = shop.run("predict", "walk.avi", "a.png", *words)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(SPEED, f"{lines[0]}\n")
    assert lines[0].startswith("7 frames in ")
    counts = {line.split()[0]: line.split()[1] for line in lines[2:]}
    stages = ("decode", "crop", "pose", "keypoints", "track", "smooth", "output")
    assert {name: counts[name] for name in stages} == dict.fromkeys(stages, "7")


def test_every_picture_is_searched_by_the_detector(shop: Shop) -> None:
    boxes = np.array([[2, 3, 20, 30, 0.9], [0, 0, 24, 32, 0.8]], np.float32)
    detector = constant_model(
        shop.folder / "detector.onnx",
        ["batch", 3, 32, 24],
        {"dets": boxes, "labels": np.zeros(2, np.int64)},
    )
    assert shop.predict(shop.picture, "--json", "--detector", detector) == (0, "")
    expected = Estimator(shop.model, threads=1, detector=detector).predict(shop.picture)
    assert len(expected) == 2
    assert shop.keypoints() == expected.to_dict()
    write_video(shop.folder / "walk.avi", 4, size=(32, 32))
    assert shop.predict("walk.avi", "--json", "--detector", detector, "--every", 2, "--track") == (0, "")
    frames = shop.keypoints("walk")["frames"]
    assert len(frames[0]["persons"]) == 2


# progress


@pytest.mark.parametrize(("total", "shown"), [(3, False), (4, True), (None, True)])
def test_a_progress_bar_where_somebody_watches(total: int | None, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(total, "frame") as progress:
        for _ in range(total or 9):
            progress.step()
    assert ("frame/s" in screen.getvalue()) is shown
    assert f"{total or 9}" in screen.getvalue() or not shown
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with Progress(9, "frame") as progress:
        progress.step()
    assert ("frame/s" in screen.getvalue()) is shown


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True
