from __future__ import annotations

from hypothesis import settings

# a shared machine may be slow at any moment: only the examples decide, never the clock
settings.register_profile("leanpose", deadline=None, derandomize=True)
settings.load_profile("leanpose")
