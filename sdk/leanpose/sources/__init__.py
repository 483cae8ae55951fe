"""Where frames come from."""

from __future__ import annotations

from .frame import Frame

__all__ = ["Frame"]
