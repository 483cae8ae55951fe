"""ONNX Runtime: finding it, choosing execution providers, opening model files.

No other module imports it, but for its tools of quantization.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger("leanpose")

Provider: TypeAlias = str | tuple[str, Mapping[str, Any]]
Providers: TypeAlias = Provider | Sequence[Provider] | None

_SHORT = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_HOW = {
    "CPUExecutionProvider": "pip install 'leanpose[cpu]'",
    "CUDAExecutionProvider": "pip install 'leanpose[gpu]' in an environment without the onnxruntime package, with an "
    "NVIDIA driver, CUDA and cuDNN of matching versions; on Jetson install NVIDIA's onnxruntime-gpu wheel",
    "TensorrtExecutionProvider": "pip install 'leanpose[gpu]' in an environment without the onnxruntime package, with "
    "an NVIDIA driver, CUDA, cuDNN and TensorRT of matching versions; on Jetson install NVIDIA's onnxruntime-gpu wheel",
}
# Tried in this order when the caller does not choose. TensorRT builds an engine for minutes: only who asks gets it.
_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
_MOST_THREADS = 1024  # starting more than the system allows ends the process
# ONNX Runtime's errors about the file; all others are about starting the provider.
_MODEL_ERRORS = ("InvalidProtobuf", "InvalidGraph", "InvalidArgument", "NoModel", "NoSuchFile", "NotImplemented")


def import_onnxruntime() -> Any:
    """The onnxruntime module; ImportError says what to install."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "leanpose found no ONNX Runtime: install one with pip install 'leanpose[cpu]' or 'leanpose[gpu]' "
            f"(on Jetson, NVIDIA's onnxruntime-gpu wheel). The import said: {error}"
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ImportError(
            "the installed ONNX Runtime is broken: onnxruntime and onnxruntime-gpu overwrite each other; uninstall "
            "both, then install one with pip install 'leanpose[cpu]' or 'leanpose[gpu]'"
        )
    return onnxruntime


def open_session(path: Path, providers: Providers = None, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a model file with exactly the providers asked for.

    Args:
        path: an ONNX file.
        providers: "cpu", "cuda", "tensorrt" or ONNX Runtime's name of a provider, alone, with its options as a tuple
            (name, options), or several of these in order of preference; None takes CUDA where it starts, else the CPU,
            and logs which. ONNX Runtime itself runs on the CPU what a provider has no kernel for.
        threads: CPU threads of one call; None leaves it to ONNX Runtime.

    Raises:
        ImportError: there is no ONNX Runtime.
        ValueError: the file is not a sound ONNX model, a provider is unknown or named twice, or `threads` is not in
            1..1024.
        TypeError: `providers` or `threads` is of another type.
        RuntimeError: a provider is not in this ONNX Runtime or cannot start; the message says how to get it.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4  # its errors are raised; on lower levels it prints them as well
    if threads is not None:
        given: object = threads
        if not isinstance(given, int) or isinstance(given, bool):
            raise TypeError(f"threads: expected an integer or None, got {threads!r}")
        if not 1 <= threads <= _MOST_THREADS:
            raise ValueError(f"threads: expected 1 to {_MOST_THREADS}, got {threads}")
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    if providers is not None:
        return _open(ort, path, options, _parse(ort, providers))
    available = ort.get_available_providers()
    for name in _PREFERRED:
        if name not in available:
            continue
        try:
            session = _open(ort, path, options, [(name, {})])
        except RuntimeError as error:
            logger.warning("%s does not start, trying the next provider: %s", name, error)
            continue
        logger.info("running %s on %s", path.name, name)
        return session
    raise RuntimeError(f"no usable execution provider: this ONNX Runtime offers {', '.join(available) or 'none'}")


def _open(ort: Any, path: Path, options: Any, providers: list[tuple[str, dict[str, Any]]]) -> Any:
    names = [name for name, _ in providers]
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raw = os.fsencode(path)
        raise ValueError(f"model: the name of {raw!r} is not UTF-8, which ONNX Runtime needs; rename it") from error
    try:
        # With its fallback, ONNX Runtime would print an error and silently move to the CPU, also during a run.
        session = ort.InferenceSession(os.fspath(path), options, providers=providers, enable_fallback=False)
    except Exception as error:
        # The classes live in a private module of ONNX Runtime, so their names must do.
        if type(error).__name__ in _MODEL_ERRORS or names == ["CPUExecutionProvider"]:
            raise ValueError(f"model: '{path}' is not a sound ONNX model: {error}") from error
        raise RuntimeError(f"providers: {names[0]} cannot start: {error}; it needs: {_how(names[0])}") from error
    running = session.get_providers()
    for name in names:
        if name not in running:
            raise RuntimeError(
                f"providers: {name} was asked for but does not start, only {', '.join(running)}; it needs: {_how(name)}"
            )
    session.disable_fallback()  # older releases ignore enable_fallback
    return session


def _parse(ort: Any, providers: Any) -> list[tuple[str, dict[str, Any]]]:
    single = isinstance(providers, str) or (
        isinstance(providers, tuple) and len(providers) == 2 and isinstance(providers[1], Mapping)
    )
    entries: list[Any] = [providers] if single else list(providers) if isinstance(providers, Sequence) else []
    if not entries:
        raise TypeError(f"providers: expected a name, (name, options) or a list of these, got {providers!r}")
    known, available = ort.get_all_providers(), ort.get_available_providers()
    parsed: list[tuple[str, dict[str, Any]]] = []
    for entry in entries:
        name, options = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise TypeError(f"providers: expected a name or (name, options), got {entry!r}")
        full = _SHORT.get(name.lower(), name)
        if full not in known:
            raise ValueError(f"providers: unknown provider {name!r}; known: {', '.join((*_SHORT, *known))}")
        if full not in available:
            raise RuntimeError(
                f"providers: {full} is not in the installed ONNX Runtime, which offers {', '.join(available)}; "
                f"to get it: {_how(full)}"
            )
        if full in (name for name, _ in parsed):
            raise ValueError(f"providers: {full} is named twice")
        parsed.append((full, dict(options)))
    return parsed


def _how(name: str) -> str:
    return _HOW.get(name, "an ONNX Runtime built with it")
