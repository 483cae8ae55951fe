"""Tables of measurements in docs/benchmarks.md, each with where and with what it was measured."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def environment(packages: tuple[str, ...]) -> str:
    """Commit, CPU and versions, in one paragraph."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PAGE.parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = [f"{name} {version}" for name in packages if (version := _version(name))]
    return (
        f"{datetime.date.today()}, commit {commit or 'unknown'}, {_cpu()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {', '.join(versions)}."
    )


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replaces what stands between the section's markers, or adds the section at the end."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text() if page.exists() else "# Benchmarks\n"
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in content and end in content:
        before, rest = content.split(begin, 1)
        content = before + section + rest.split(end, 1)[1]
    else:
        content = f"{content.rstrip()}\n\n{section}\n"
    page.write_text(content)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    if "model name" not in named:
        return platform.machine()
    return f"{named['model name']} (family {named['cpu family']}, model {named['model']})"
