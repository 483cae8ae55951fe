"""Lets scripts started as `python scripts/NAME.py` import the definitions and the benchmarks' modules beside them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT / "scripts" / "bench", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
