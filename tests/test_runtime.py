from __future__ import annotations

import logging
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from leanpose import Estimator
from leanpose import runtime as leanpose_runtime
from leanpose.runtime import import_onnxruntime, open_session
from models import dot_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dot_model(tmp_path_factory.mktemp("models"))


def run_python(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "providers",
    ["cpu", "CPU", "CPUExecutionProvider", ("cpu", {}), ("CPUExecutionProvider", {}), ["cpu"], [("cpu", {})], ("cpu",)],
    ids=str,
)
def test_ways_to_ask_for_the_cpu(providers: Any, model: Path) -> None:
    assert Estimator(model, providers=providers, threads=1).providers == ("CPUExecutionProvider",)


@pytest.mark.parametrize("providers", ["vulkan", "", "cpu ", ["cpu", "vulkan"], ("vulkan", {})], ids=str)
def test_unknown_providers_list_the_known_ones(providers: Any, model: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown provider .*known: cpu, cuda, tensorrt, .*CPUExecutionProvider"):
        Estimator(model, providers=providers)


def test_a_provider_named_twice_is_refused(model: Path) -> None:
    with pytest.raises(ValueError, match=r"CPUExecutionProvider is named twice"):
        Estimator(model, providers=["cpu", ("CPUExecutionProvider", {})])


@pytest.mark.parametrize(
    "providers",
    [
        3,
        b"cpu",
        [],
        (),
        {"cpu": {}},
        {"cpu"},
        [None],
        ["cpu", None],
        [["cpu", {}]],
        ("cpu", None),
        ("cpu", {}, {}),
        [3],
    ],
    ids=str,
)
def test_providers_of_wrong_type(providers: Any, model: Path) -> None:
    with pytest.raises(TypeError, match=r"^providers: expected "):
        Estimator(model, providers=providers)


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_this_build_lacks_tells_how_to_get_it(
    name: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = import_onnxruntime()
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(RuntimeError, match=r"not in the installed ONNX Runtime.*pip install 'leanpose\[gpu\]'"):
        Estimator(model, providers=name)
    with pytest.raises(RuntimeError, match=r"leanpose\[gpu\]"):
        Estimator(model, providers=[name, "cpu"])


@pytest.mark.parametrize("threads", [True, False, 1.0, "1", [1]], ids=repr)
def test_threads_of_wrong_type(threads: Any, model: Path) -> None:
    with pytest.raises(TypeError, match=r"^threads: expected an integer or None"):
        Estimator(model, threads=threads)


@pytest.mark.parametrize("threads", [0, -1, 1025, 2**31, 10**30])
def test_threads_out_of_range(threads: int, model: Path) -> None:
    with pytest.raises(ValueError, match=rf"^threads: expected 1 to 1024, got {threads}$"):
        Estimator(model, threads=threads)


def test_the_choice_is_logged_only_where_the_caller_made_none(
    model: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, "leanpose")
    Estimator(model, providers="cpu", threads=1)
    assert caplog.messages == []
    estimator = Estimator(model, threads=1)
    assert caplog.messages == [f"running dots.onnx on {estimator.providers[0]}"]
    assert capfd.readouterr() == ("", "")


class Session:
    """Stands in for InferenceSession: fails for the providers of `broken`, silently drops those of `dropped`."""

    broken: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def __init__(
        self, path: str, options: Any, providers: list[tuple[str, dict[str, Any]]], enable_fallback: bool = True
    ) -> None:
        names = [name for name, _ in providers]
        if failing := [name for name in names if name in self.broken]:
            raise Exception(f"{failing[0]}: no driver")
        self._providers = [name for name in names if name not in self.dropped]
        self.fallback = enable_fallback

    def disable_fallback(self) -> None:
        self.fallback = False

    def get_providers(self) -> list[str]:
        return [*self._providers, "CPUExecutionProvider"]


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch) -> type[Session]:
    ort = import_onnxruntime()
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    session = type("Fake", (Session,), {})
    monkeypatch.setattr(ort, "get_available_providers", lambda: names)
    monkeypatch.setattr(ort, "InferenceSession", session)
    return session


def test_cuda_is_preferred_and_tensorrt_only_on_request(gpu_build: type[Session], model: Path) -> None:
    session = open_session(model)
    assert session.get_providers() == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert not session.fallback
    assert open_session(model, "tensorrt").get_providers()[0] == "TensorrtExecutionProvider"


@pytest.mark.parametrize("attribute", ["broken", "dropped"])
def test_cuda_that_does_not_start(
    attribute: str, gpu_build: type[Session], model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setattr(gpu_build, attribute, ("CUDAExecutionProvider",))
    assert open_session(model).get_providers() == ["CPUExecutionProvider"] * 2
    warning, choice = caplog.records
    assert warning.levelname == "WARNING"
    assert "CUDAExecutionProvider does not start" in warning.getMessage()
    assert choice.getMessage() == "running dots.onnx on CPUExecutionProvider"
    for asked in ("cuda", ["cuda", "cpu"], [("cuda", {"device_id": 0})]):
        with pytest.raises(RuntimeError, match=r"CUDAExecutionProvider .*NVIDIA driver"):
            open_session(model, asked)


def test_onnxruntime_does_not_fall_back_and_print(
    model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ort = import_onnxruntime()
    create = ort.InferenceSession._create_inference_session

    def without_driver(self: Any, providers: Any, *arguments: Any) -> None:
        if "CPUExecutionProvider" not in providers:
            self._fallback_providers = ["CPUExecutionProvider"]
            raise RuntimeError("CUDA failure 100: no device")
        create(self, providers, *arguments)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort.InferenceSession, "_create_inference_session", without_driver)
    with pytest.raises(RuntimeError, match=r"CUDAExecutionProvider cannot start: CUDA failure 100.*NVIDIA driver"):
        open_session(model, "cuda")
    assert capfd.readouterr() == ("", "")


def test_no_provider_at_all(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_onnxruntime(), "get_available_providers", lambda: ["AzureExecutionProvider"])
    with pytest.raises(RuntimeError, match=r"no usable execution provider.*AzureExecutionProvider"):
        open_session(model)


def test_without_onnxruntime_the_package_imports_and_says_what_to_install(model: Path) -> None:
    code = """
import sys
sys.modules["onnxruntime"] = None
import leanpose
try:
    leanpose.Estimator(sys.argv[1])
except ImportError as error:
    print(error)
"""
    assert re.search(r"leanpose\[cpu\].*leanpose\[gpu\]", run_python(code, model))


def test_broken_onnxruntime_is_told_apart(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(ImportError, match=r"broken.*overwrite each other.*uninstall both"):
        Estimator(model)


def test_inference_imports_no_optional_package(model: Path) -> None:
    code = """
import sys
import leanpose
assert "onnxruntime" not in sys.modules, "imported before it is needed"
import numpy as np
estimator = leanpose.Estimator(sys.argv[1], threads=1)
estimator.predict(np.zeros((32, 24, 3), np.uint8)).draw(np.zeros((32, 24, 3), np.uint8))
print(sorted({"torch", "PIL", "tqdm", "onnx", "pycocotools"} & set(sys.modules)))
"""
    assert run_python(code, model) == "[]\n"


def test_onnxruntime_is_imported_in_one_module_and_its_tools_in_another() -> None:
    folder = Path(leanpose_runtime.__file__).parent
    importing = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(), re.M)
    ]
    assert sorted(importing) == ["quantization/conversion.py", "runtime.py"]


def test_opening_gives_no_warning(model: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_session(model, threads=2)
