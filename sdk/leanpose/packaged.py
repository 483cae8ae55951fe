"""Finding model files: a path of the caller's, or a model that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_MODEL = "amfacpose.onnx"
DEFAULT_DETECTOR = "person_detector.onnx"
_FOLDER = Path(__file__).parent / "models"


def packaged_models() -> tuple[str, ...]:
    """Names of the models that come with the package, detectors among them."""
    return tuple(sorted(path.name for path in _FOLDER.glob("*.onnx")))


def portable_name(path: Path) -> str:
    """The name of a packaged model, which other installations know too, or the path of any other."""
    return path.name if path.parent == _FOLDER else str(path)


def find_model(model: str | os.PathLike[str]) -> Path:
    """Path of a model file: an existing file wins, then a packaged model of that name.

    Raises:
        FileNotFoundError: neither; the message lists the packaged names.
        ValueError: the path is a folder.
        TypeError: not a path.
    """
    if not isinstance(model, str | os.PathLike):
        raise TypeError(f"model: expected a path or the name of a packaged model, got {type(model).__name__}")
    path = Path(os.fsdecode(model))
    if path.is_file():
        return path.absolute()  # a link stays one: weights in files of their own lie beside it
    if path.is_dir():
        raise ValueError(f"model: '{path}' is a folder; expected an ONNX file")
    packaged = _FOLDER / path.name
    if path.name == str(path) and packaged.is_file():
        return packaged
    names = ", ".join(packaged_models()) or "none"
    raise FileNotFoundError(f"model: there is no file '{path}'; packaged models: {names}")
