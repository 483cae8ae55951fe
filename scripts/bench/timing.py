"""Side-by-side timing: candidates take turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call."""

    minimum: float
    median: float


def compare(candidates: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, Timing]:
    """Times each candidate by turns, for about `seconds` in all but at least five rounds each.

    Quick candidates are repeated within a turn, so that the clock's own cost and resolution do not count.
    """
    repeats = {}
    for name, call in candidates.items():
        call()  # allocates, warms caches
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(5e-4 / max(time.perf_counter() - start, 1e-9)))
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(samples.values()))) < 5:
        for name, call in candidates.items():
            times = range(repeats[name])
            start = time.perf_counter()
            for _ in times:
                call()
            samples[name].append((time.perf_counter() - start) * 1e3 / repeats[name])
    return {name: Timing(min(values), statistics.median(values)) for name, values in samples.items()}
