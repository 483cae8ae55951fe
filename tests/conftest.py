from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from shop import Shop

from leanpose import _core

# only the examples decide, never the clock; and every run tries the same ones
settings.register_profile("leanpose", deadline=None, derandomize=True)
settings.load_profile("leanpose")


@pytest.fixture(scope="module", params=_core.simd_levels())
def simd(request):
    """The test runs on every instruction set of this machine."""
    best = _core.simd_level()
    yield _core.use_simd(request.param)
    _core.use_simd(best)


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path, capsys)
