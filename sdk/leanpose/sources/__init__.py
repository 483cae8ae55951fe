"""Where frames come from: videos, pictures, folders, globs, cameras, iterables."""

from __future__ import annotations

from .frame import Frame
from .source import PICTURE_SUFFIXES, Backend, Source, SourceLike, is_picture, natural_order, open_source

__all__ = [
    "PICTURE_SUFFIXES",
    "Backend",
    "Frame",
    "Source",
    "SourceLike",
    "is_picture",
    "natural_order",
    "open_source",
]
