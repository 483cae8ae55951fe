"""Fails where a wheel holds what users do not need, or is too large: python scripts/check_wheel.py FILE.whl"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

LARGEST = 20e6  # bytes
NEEDED = ("leanpose/__init__.py", "leanpose/py.typed", "leanpose/_core.pyi", "leanpose/models/amfacpose.onnx")
SUFFIXES = (".py", ".pyi", ".typed", ".so", ".pyd", ".onnx")


def problems(path: Path) -> list[str]:
    """What is wrong with the wheel, in sentences."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    found = [f"it lacks {name}" for name in NEEDED if name not in names]
    for name in names:
        top, _, rest = name.partition("/")
        if top.endswith(".dist-info"):
            continue
        if top != "leanpose" or not name.endswith(SUFFIXES) or "test" in rest:
            found.append(f"it holds {name}")
    if path.stat().st_size > LARGEST:
        found.append(f"it has {path.stat().st_size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}")
    return found


if __name__ == "__main__":
    for wheel_path in map(Path, sys.argv[1:]):
        if trouble := problems(wheel_path):
            sys.exit(f"{wheel_path.name}: " + "; ".join(trouble))
        print(f"{wheel_path.name}: {wheel_path.stat().st_size / 1e6:.1f} MB, sound")
