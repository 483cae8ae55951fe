"""Where frames and their poses go: pictures, videos, JSON, CSV, COCO results."""

from __future__ import annotations

from .base import Sink
from .documents import CocoSink, JsonSink
from .encoders import VIDEO_SUFFIXES
from .names import Names
from .pictures import PictureJsonSink, PictureSink
from .table import CSV_COLUMNS, CsvSink
from .video import VideoSink

__all__ = [
    "CSV_COLUMNS",
    "VIDEO_SUFFIXES",
    "CocoSink",
    "CsvSink",
    "JsonSink",
    "Names",
    "PictureJsonSink",
    "PictureSink",
    "Sink",
    "VideoSink",
]
