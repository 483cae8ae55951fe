from __future__ import annotations

import numpy as np
import pytest

from leanpose.buffers import Buffers


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_arrays_begin_with_a_cache_line(dtype: str) -> None:
    array = Buffers((2, 3, 5, 7), dtype).take()
    assert array.shape == (2, 3, 5, 7)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.ctypes.data % 64 == 0


def test_who_holds_an_array_holds_it_alone() -> None:
    buffers = Buffers((4,), "float32")
    first, second = buffers.take(), buffers.take()
    assert not np.shares_memory(first, second)
    buffers.give_back(first)
    assert buffers.take() is first
    assert buffers.take() is not first
