"""Evaluations as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .mpii import MpiiEvaluation
from .scores import OksEvaluation


def report(evaluation: OksEvaluation | MpiiEvaluation, *, per_keypoint: bool = False) -> str:
    """The statistics as an aligned table, with intervals where there are any, and on request by keypoint."""
    sections = [_statistics(evaluation)]
    if per_keypoint and isinstance(evaluation, OksEvaluation):
        rows = [
            (joint.name, str(joint.labelled), str(joint.matched), _number(joint.similarity), _number(joint.good))
            for joint in evaluation.keypoints
        ]
        sections.append(_table([("keypoint", "labelled", "matched", "similarity", "good"), *rows]))
    elif per_keypoint and isinstance(evaluation, MpiiEvaluation):
        joints = [(j.name, str(j.labelled), _number(j.PCKh), _number(j.PCKh01)) for j in evaluation.joints]
        sections.append(_table([("joint", "labelled", "PCKh@0.5", "PCKh@0.1"), *joints]))
    return "\n\n".join(sections)


def _statistics(evaluation: OksEvaluation | MpiiEvaluation) -> str:
    if isinstance(evaluation, OksEvaluation):
        title = f"{evaluation.pictures} pictures, {evaluation.persons} persons, {evaluation.results} results"
    else:
        title = f"{evaluation.persons} persons, {evaluation.results} with a result"
    rows: list[tuple[str, ...]] = []
    for name, value in evaluation.statistics.items():
        low, high = evaluation.intervals.get(name, (-1.0, -1.0))
        interval = (f"{_number(low)} to {_number(high)}",) if evaluation.intervals else ()
        rows.append((name, _number(value), *interval))
    head = ("statistic", "value", *(("95 % interval",) if evaluation.intervals else ()))
    return f"{title}\n\n{_table([head, *rows])}"


def _number(value: float) -> str:
    return "-" if value != value or value < 0 else f"{value:.4f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
