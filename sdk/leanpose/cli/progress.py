"""Progress bars, and the speed at the end."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class Progress:
    """A progress bar for many items, where tqdm is installed and somebody watches; a context manager."""

    def __init__(self, total: int | None, unit: str) -> None:
        self._bar: Any = None
        if total is not None and total < 4:
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, unit=unit, disable=None)

    def step(self) -> None:
        """Another item is done."""
        if self._bar is not None:
            self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def speed(count: int, unit: str, seconds: float) -> str:
    """How fast it went, in words."""
    return f"{count} {unit}{'' if count == 1 else 's'} in {seconds:.2f} s: {count / seconds:.1f} {unit}s per second"
