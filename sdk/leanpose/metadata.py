"""Writing model cards into ONNX files; needs the `onnx` package, which inference does not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .card import METADATA_KEY, ModelCard


def read_card_json(path: str | os.PathLike[str]) -> str | None:
    """The text of a file's card, sound or not; None where it has none. Raises as `write_card`."""
    properties = {entry.key: entry.value for entry in _load(path).metadata_props}
    return properties.get(METADATA_KEY)


def write_card(path: str | os.PathLike[str], card: ModelCard, out: str | os.PathLike[str] | None = None) -> None:
    """Put a card into an ONNX file, replacing the one it has; `out` leaves the original as it is.

    Raises:
        FileNotFoundError: there is no such file, or no folder to write into.
        ImportError: the `onnx` package is missing.
        ValueError: the file is not an ONNX model, `out` is no file or away from weights in files of their own, or a
            field of the card is wrong.
    """
    text = card.to_json()
    ModelCard.from_json(text)  # a card built field by field is checked here
    model = _load(path)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=text)
    target = Path(path if out is None else out).resolve()  # a link keeps leading to the model
    if target.is_dir():
        raise ValueError(f"model: '{target}' is a folder; expected the file to write")
    if target.exists() and not target.is_file():  # it would be replaced
        raise ValueError(f"model: '{target}' is a device or pipe; expected the file to write")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"model: there is no folder '{target.parent}' to write '{target.name}' into")
    apart = any(weight.data_location != weight.DEFAULT for weight in model.graph.initializer)
    if apart and out is not None and target.parent != Path(path).absolute().parent.resolve():
        raise ValueError(
            f"model: '{os.fspath(path)}' has weights in files of their own, which '{target}' would lack; write it "
            "beside them"
        )
    # Written beside and renamed, so that a failure half-way leaves no broken model behind.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as file:
        partial = Path(file.name)
    try:
        partial.write_bytes(model.SerializeToString())
        shutil.copymode(path, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _load(path: str | os.PathLike[str]) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ImportError("writing model cards needs the onnx package: pip install 'leanpose[card]'") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"model: there is no file '{os.fspath(path)}'")
    try:
        # Weights in files of their own are left there, and no suffix stands for another format.
        model = onnx.load_model(os.fspath(path), "protobuf", load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"model: '{os.fspath(path)}' is not an ONNX model: {error}") from error
    if not model.graph.output:
        raise ValueError(f"model: '{os.fspath(path)}' is not an ONNX model: it has no graph")
    return model
