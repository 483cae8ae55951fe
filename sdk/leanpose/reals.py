"""Numbers that callers hand in."""

from __future__ import annotations

import math
from typing import SupportsFloat


def real_number(name: str, given: object) -> float:
    """A number as a float, infinite where it is too large for one; TypeError where it is none."""
    try:
        if isinstance(given, SupportsFloat):  # text is none
            return float(given)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):  # of several, as in an array
        pass
    raise TypeError(f"{name}: expected a number, got {given!r:.80}")
