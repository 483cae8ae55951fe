from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from shop import SPEED, Shop

from leanpose.cli import COMMANDS, main


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    assert "usage: leanpose" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["--fast"],
        ["predict"],
        ["predict", "a.png"],
        ["info"],
        ["info", "a", "b"],
        ["predict", "a.png", "-o", "out", "--threads", "two"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: leanpose" in capsys.readouterr().err


def test_python_m_leanpose(shop: Shop) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-W", "error", "-m", "leanpose", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C"})

    version = run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("leanpose ")
    done = run("predict", shop.picture, "missing.png", "-o", shop.out, "-m", shop.model, "--threads", 1)
    assert done.returncode == 1
    assert re.fullmatch(SPEED, done.stdout)
    assert done.stderr.splitlines() == [
        "leanpose predict: missing.png: image: there is no file 'missing.png'",
        "leanpose predict: failed: 1",
    ]
    assert shop.written() == ["a.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
def test_a_reader_that_has_gone_costs_no_message(shop: Shop) -> None:
    words = [sys.executable, "-m", "leanpose", "info", str(shop.model)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
