from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.evaluation_data import main as write_data
from bench.evaluation_data import make
from leanpose.cli import main
from leanpose.evaluation import evaluate_coco, evaluate_crowdpose, evaluate_mpii


class Desk:
    """A folder with files, and the command run on them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.truth, self.results = make(12, 60)
        self.write()

    def write(self) -> None:
        (self.folder / "truth.json").write_text(json.dumps(self.truth))
        (self.folder / "results.json").write_text(json.dumps(self.results))

    def run(self, *arguments: object) -> tuple[int, str, str]:
        files = "--gt", self.folder / "truth.json", "--results", self.folder / "results.json"
        code = main(["evaluate", *map(str, (*files, *arguments))])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def table(text: str) -> dict[str, list[str]]:
    """First word of each line and the other words."""
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def test_table(desk: Desk) -> None:
    expected = evaluate_coco(desk.truth, desk.results)
    code, out, err = desk.run()
    assert (code, err) == (0, "")
    assert out.startswith(f"12 pictures, {expected.persons} persons, {expected.results} results\n\nstatistic")
    rows = table(out)
    for name, value in expected.statistics.items():
        assert rows[name] == ["-" if value < 0 else f"{value:.4f}"]
    assert "nose" not in rows


def test_table_with_intervals_and_keypoints(desk: Desk) -> None:
    expected = evaluate_coco(desk.truth, desk.results, bootstrap=30, seed=4)
    code, out, _ = desk.run("--bootstrap", 30, "--seed", 4, "--per-keypoint", "--threads", 2)
    assert code == 0
    rows = table(out)
    low, high = expected.intervals["AP"]
    assert rows["AP"] == [f"{expected.statistics['AP']:.4f}", f"{low:.4f}", "to", f"{high:.4f}"]
    nose = expected.keypoints[0]
    assert rows["nose"] == [str(nose.labelled), str(nose.matched), f"{nose.similarity:.4f}", f"{nose.good:.4f}"]


def test_json(desk: Desk) -> None:
    code, out, err = desk.run("--json", "--max-detections", 3, "--bootstrap", 5)
    assert (code, err) == (0, "")
    expected = evaluate_coco(desk.truth, desk.results, max_detections=3, bootstrap=5)
    assert json.loads(out) == {"dataset": "coco", **json.loads(json.dumps(expected.to_dict()))}


def test_sigmas(desk: Desk) -> None:
    code, out, _ = desk.run("--json", "--sigmas", ",".join(["0.2"] * 17))
    assert code == 0
    expected = evaluate_coco(desk.truth, desk.results, sigmas=[0.2] * 17)
    assert json.loads(out)["statistics"] == expected.statistics
    assert json.loads(out)["keypoints"][0]["name"] == "nose"
    for entry in (*desk.truth["annotations"], *desk.results):
        entry["keypoints"] = entry["keypoints"][:9]
    desk.write()
    code, out, _ = desk.run("--json", "--sigmas", "0.1,0.1,0.1")
    assert code == 0
    assert [keypoint["name"] for keypoint in json.loads(out)["keypoints"]] == ["keypoint 1", "keypoint 2", "keypoint 3"]


def shorten(desk: Desk, count: int) -> None:
    for entry in (*desk.truth["annotations"], *desk.results):
        entry["keypoints"] = entry["keypoints"][: 3 * count]


def test_crowdpose(desk: Desk) -> None:
    shorten(desk, 14)
    for number, image in enumerate(desk.truth["images"]):
        image["crowdIndex"] = number / 12
    desk.write()
    code, out, _ = desk.run("--dataset", "crowdpose", "--crowd-limits", 0.2, 0.8)
    assert code == 0
    expected = evaluate_crowdpose(desk.truth, desk.results, crowd_limits=(0.2, 0.8))
    assert table(out)["APmedium"] == [f"{expected.statistics['APmedium']:.4f}"]
    assert json.loads(desk.run("--dataset", "crowdpose", "--json")[1])["groups"][1]["name"] == "easy"


def test_mpii(desk: Desk) -> None:
    shorten(desk, 16)
    desk.truth["annotations"] = desk.truth["annotations"][:5]
    for entry in desk.truth["annotations"]:
        entry["head_box"] = [0, 0, 30, 40]
    desk.results = [
        {"annotation_id": entry["id"], "keypoints": [value + 2 for value in entry["keypoints"]]}
        for entry in desk.truth["annotations"]
    ]
    desk.write()
    code, out, _ = desk.run("--dataset", "mpii", "--per-keypoint")
    assert code == 0
    assert out.startswith("5 persons, 5 with a result\n")
    expected = evaluate_mpii(desk.truth, desk.results)
    assert table(out)["Mean@0.1"] == [f"{expected.statistics['Mean@0.1']:.4f}"]
    assert table(out)["pelvis"][0] == str(expected.joints[6].labelled)
    assert json.loads(desk.run("--dataset", "mpii", "--json")[1])["statistics"] == expected.statistics


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sigmas", "a,b"], "--sigmas a,b: expected numbers with commas between them"),
        (["--sigmas", "0.1"], "field 'keypoints': expected a list of 3 numbers, not of 51"),
        (["--sigmas", ",".join(["0"] * 17)], "sigmas: expected positive finite numbers"),
        (["--threads", "0"], "threads: expected at least 1, got 0"),
        (["--bootstrap", "-1"], "bootstrap: expected at least 0, got -1"),
        (["--crowd-limits", "0.1", "0.9"], "--crowd-limits has no meaning with --dataset coco"),
        (["--dataset", "mpii", "--max-detections", "9"], "--max-detections has no meaning with --dataset mpii"),
        (["--dataset", "mpii"], "field 'keypoints': expected a list of 48 numbers, not of 51"),
        (["--gt", "missing.json"], "missing.json"),
        (["--results", __file__], "test_cli_evaluate.py: not valid JSON"),
    ],
)
def test_errors(desk: Desk, arguments: list[str], message: str) -> None:
    code, out, err = desk.run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("leanpose evaluate: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--dataset", "lsp"], ["--threads", "many"]])
def test_wrong_usage(desk: Desk, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["evaluate", "--gt", "a", *arguments])
    assert exited.value.code == 2


def test_made_up_data_is_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[Any] = ["evaluation_data.py", tmp_path, "--pictures", 12, "--results", 60]
    monkeypatch.setattr(sys, "argv", [str(option) for option in options])
    write_data()
    written = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("ground_truth", "results")]
    assert written == [*make(12, 60)]
