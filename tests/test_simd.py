from __future__ import annotations

import pytest

from leanpose import _core


def test_levels():
    levels = _core.simd_levels()
    assert levels[0] == "portable"
    assert _core.simd_level() == levels[-1]
    best = levels[-1]
    for level in levels:
        assert _core.use_simd(level) == level
        assert _core.simd_level() == level
    _core.use_simd(best)


def test_unknown_level():
    with pytest.raises(ValueError, match=r"level must be one that runs here, 'portable'.* got 'mmx'"):
        _core.use_simd("mmx")
