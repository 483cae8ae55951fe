"""Memory for the inputs of networks, used again: each fresh page costs a fault when it is first written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class Buffers:
    """Arrays of one shape and type that calls, of any thread, take and give back.

    They begin with a cache line: rows of crops that cross lines are a tenth slower to write.

    Attributes:
        shape: of each.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self._dtype = shape, np.dtype(dtype)
        self._spare: list[npt.NDArray[Any]] = []

    def take(self) -> npt.NDArray[Any]:
        """An array of any content, the caller's own until it is given back; who does not give it back loses nothing."""
        try:
            return self._spare.pop()
        except IndexError:
            size, line = math.prod(self.shape), 64 // self._dtype.itemsize
            memory = np.empty(size + line, self._dtype)
            first = -memory.ctypes.data // memory.itemsize % line
            return memory[first : first + size].reshape(self.shape)

    def give_back(self, array: npt.NDArray[Any]) -> None:
        """Lets the next call have an array of `take`."""
        self._spare.append(array)
