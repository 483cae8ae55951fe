"""Profile: where the time of a pipeline goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

_WHAT = {
    "decode": "frames read, in their own thread",
    "detect": "frames searched for persons",
    "crop": "persons cut out",
    "pose": "persons through the network",
    "keypoints": "persons decoded",
    "track": "frames tracked",
    "smooth": "frames smoothed",
    "output": "frames drawn and written",
}


class Profile:
    """Seconds and counts of each stage of some work.

    Attributes:
        frames: frames done.
        seconds: of each stage that ran: "decode", "detect", "crop", "pose", "keypoints", "track", "smooth";
            of the command line "output" too.
        counts: how many frames or persons each stage took.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, stage: str, seconds: float, count: int = 1) -> None:
        """Counts what a stage took."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.counts[stage] = self.counts.get(stage, 0) + count

    @contextmanager
    def measure(self, stage: str, count: int = 1) -> Iterator[None]:
        """Counts what the block takes."""
        start = perf_counter()
        yield
        self.add(stage, perf_counter() - start, count)

    def table(self) -> str:
        """The stages as lines of text: count, milliseconds of each and for each frame, frames per second of the stage.

        The sum leaves out what runs in another thread.
        """
        lines = [f"{'stage':<10} {'count':>7} {'ms each':>9} {'ms/frame':>9} {'frames/s':>9}"]
        total = 0.0
        for stage in sorted(self.seconds, key=list(_WHAT).index):
            seconds, count = self.seconds[stage], self.counts[stage]
            total += 0 if stage == "decode" else seconds
            lines.append(self._line(stage, seconds, count, f"  {_WHAT[stage]}"))
        lines.append(self._line("sum", total, self.frames, "  without the thread that reads"))
        return "\n".join(lines)

    def _line(self, stage: str, seconds: float, count: int, what: str) -> str:
        each, frame = (1e3 * seconds / max(number, 1) for number in (count, self.frames))
        rate = f"{self.frames / seconds:9.1f}" if seconds > 0 else f"{'-':>9}"
        return f"{stage:<10} {count:>7} {each:>9.3f} {frame:>9.3f} {rate}{what}"
