"""Parameters and multiply-accumulates of every definition beside the printed figures, as tables in docs/models.md.

    python scripts/paper_table.py PAPER_TABLES.json [--export] [--write]

PAPER_TABLES.json holds the figures that the papers print, and which of them no faithful network meets. With --export
each configuration is also exported with random weights and compared with PyTorch in ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import _repository  # noqa: F401  (makes model_defs and the benchmarks' modules importable)
from export import compare, export
from model_defs.counting import count
from model_defs.registry import CONFIGS, build
from report import table, write_section

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
# The share by which parameters and multiply-accumulates may miss the printed figures; printed digits are allowed for.
TOLERANCES = {
    "amfacpose": (0.02, 0.04),
    "saffnet": (0.02, 0.04),
    "mfvpose": (0.02, 0.04),
    "srpose": (0.005, 0.03),
    "stnet": (0.02, 0.04),
}
# Sections of the file, and how their rows are named in the registry.
SECTIONS = {
    "configs": "{system}-{name}",
    "ablation_r34_384x288": "{system}/{name}",
    "ablation_256x192": "{system}/{name}",
    "modules_256x192": "{system}/{name}",
    "reference": "{system}/{name}",
    "scale_factor_resnet50": "{system}/k={k}",
    "head_kernel_resnet50": "{system}/kernels {kernels}",
}


@dataclass(frozen=True)
class Row:
    """One configuration: what it costs, in millions and in the paper's unit, and what the paper prints."""

    name: str
    parameters: float
    macs: float
    printed_parameters: float | None
    printed_macs: float | None
    digits: tuple[int, int]  # printed after the point
    exempt: str

    def cells(self, tolerances: tuple[float, float]) -> tuple[str, ...]:
        """The row of the table; what misses a figure by more than is allowed stands in bold."""
        allowed = tolerances if not self.exempt else (math.inf, math.inf)
        parameters = _deviation(self.parameters, self.printed_parameters, allowed[0], self.digits[0])
        macs = _deviation(self.macs, self.printed_macs, allowed[1], self.digits[1])
        return f"`{self.name}`", f"{self.parameters:.3f}", *parameters, f"{self.macs:.3f}", *macs, self.exempt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--systems", nargs="+", choices=TOLERANCES, default=[*TOLERANCES])
    parser.add_argument("--export", action="store_true", help="also export each and compare with PyTorch")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/models.md")
    options = parser.parse_args()
    figures = json.loads(options.figures.read_text())
    header = ("configuration", "parameters, M", "printed", "deviation", "GMACs", "printed", "deviation", "exempt")
    for system in options.systems:
        found = [*rows(system, figures[system])]
        text = table(header, [row.cells(TOLERANCES[system]) for row in found])
        print(f"\n{system}, {unit_name(figures[system])}\n\n{text}", flush=True)
        if options.write:
            note = "Missed by more than the tolerance: bold."
            heading = f"## All figures of {system}: {unit_name(figures[system])}"
            write_section(f"{system} figures", f"{heading}\n\n{note}\n\n{text}", PAGE)
        if options.export:
            for row in found:
                torch.manual_seed(0)
                model = build(row.name).eval()
                print(f"{row.name}: differs from PyTorch by {compare(export(model, row.name), model):.1e} of the std")


def rows(system: str, figures: dict[str, Any]) -> Iterator[Row]:
    """The configurations of a paper that the registry knows; KeyError where it prints one that is missing."""
    unit = figures.get("gmac_unit", 1e9)
    unit = float(unit) if isinstance(unit, int | float) else 2.0**30
    for section, pattern in SECTIONS.items():
        for printed in figures.get(section, ()):
            name = registry_name(system, pattern, printed)
            config = CONFIGS[name]
            cost = count(build(name), config.input_size)
            parameters = printed.get("params")
            if parameters is None and "params_backbone" in printed:
                parameters = round(printed["params_backbone"] + printed["params_other"], 2)
            digits = _digits(parameters), _digits(printed.get("gmacs"))
            exempt = printed.get("exempt", "")
            yield Row(name, cost.parameters / 1e6, cost.macs / unit, parameters, printed.get("gmacs"), digits, exempt)


def registry_name(system: str, pattern: str, printed: dict[str, Any]) -> str:
    """The definition of a printed row."""
    if pattern.startswith("{system}-") and printed["name"].startswith(f"{system}-"):
        return str(printed["name"])
    kernels = ", ".join(map(str, printed.get("kernels_m5_m4_m3_m2", ())))
    return pattern.format(system=system, kernels=kernels, **printed)


def unit_name(figures: dict[str, Any]) -> str:
    """The unit of a paper's multiply-accumulates, in words."""
    unit = figures.get("gmac_unit", 1e9)
    return "GMACs in 10^9" if unit == 1e9 else "GMACs in 2^30"


def _digits(value: float | None) -> int:
    return len(str(value).partition(".")[2]) if value is not None else 0


def _deviation(ours: float, printed: float | None, tolerance: float, digits: int) -> tuple[str, str]:
    if printed is None:
        return "", ""
    share = ours / printed - 1
    met = abs(ours - printed) <= max(tolerance * printed, 0.5 * 10**-digits)
    return f"{printed:g}", f"{share:+.1%}" if met else f"**{share:+.1%}**"


if __name__ == "__main__":
    main()
