"""Fails where a wheel holds what users do not need, or is too large: python scripts/check_wheel.py FILE.whl"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LARGEST = 20e6  # bytes
NEEDED = (
    "leanpose/__init__.py",
    "leanpose/py.typed",
    "leanpose/_core.pyi",
    "leanpose/models/amfacpose.onnx",
    "leanpose/models/person_detector.onnx",
)
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
    return found + missing_kernels(path)


def missing_kernels(path: Path) -> list[str]:
    """Instruction sets whose kernels a wheel for x86-64 lacks, by the registers in the disassembly of its module."""
    if not path.stem.endswith("x86_64"):
        return []
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
        name = next(name for name in wheel.namelist() if "/_core." in name and name.endswith(".so"))
        module = wheel.extract(name, folder)
        code = subprocess.run(["objdump", "-d", module], capture_output=True, text=True, check=True).stdout
    kernels = {"AVX2": r"vfmadd\w+ps .*%ymm", "AVX-512": r"vfmadd\w+ps .*%zmm", "baseline": r"\tmulps .*%xmm"}
    return [f"its module has no {name} kernels" for name, pattern in kernels.items() if not re.search(pattern, code)]


if __name__ == "__main__":
    for wheel_path in map(Path, sys.argv[1:]):
        if trouble := problems(wheel_path):
            sys.exit(f"{wheel_path.name}: " + "; ".join(trouble))
        print(f"{wheel_path.name}: {wheel_path.stat().st_size / 1e6:.1f} MB, sound")
