from __future__ import annotations

from hypothesis import settings

# only the examples decide, never the clock; and every run tries the same ones
settings.register_profile("leanpose", deadline=None, derandomize=True)
settings.load_profile("leanpose")
