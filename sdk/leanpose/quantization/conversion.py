"""Conversion of graphs to fp16 and int8 by ONNX Runtime's tools."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..runtime import import_onnxruntime
from .calibration import Reader

_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_PER_CHANNEL_OPSET = 13  # the first whose DequantizeLinear has an axis
_LAST = 3  # convolutions before the output that stay in fp32: their rounding goes straight into the keypoints
_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # metadata without which the tool warns on the root logger


class Original:
    """The graph of a model file, with all its weights.

    Args:
        path: of the file.
        keep: beginnings of the names of operators that stay in fp32.

    Attributes:
        size: bytes, with the weights.

    Raises:
        ImportError: there is no ONNX Runtime, or no `onnx`.
        ValueError: the model has been converted already, or no operator has a name in `keep`.
    """

    def __init__(self, path: Path, keep: Sequence[str]) -> None:
        self._onnx = _import_onnx()
        self._path, self._keep = path, tuple(keep)
        self._model = self._onnx.load(path)
        self.size: int = self._model.ByteSize()
        operators = {node.op_type for node in self._model.graph.node}
        half = any(weight.data_type == self._onnx.TensorProto.FLOAT16 for weight in self._model.graph.initializer)
        if half or not operators.isdisjoint(_QUANTISED) or any(name.startswith("QLinear") for name in operators):
            raise ValueError(
                f"model: '{path}' is in {'fp16' if half else 'int8'} already; expected the original in fp32"
            )
        names = [node.name for node in self._model.graph.node]
        for beginning in keep:
            if not beginning or not any(name.startswith(beginning) for name in names):
                raise ValueError(
                    f"keep: no operator's name begins with {beginning!r}; there are, among others, "
                    f"{', '.join(name for name in names[:5] if name)}"
                )

    def to_half(self, target: Path) -> None:
        """Weights and arithmetic in half precision between inputs and outputs of float32."""
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel

        try:
            model = self._folded(self._copy())
            halved = convert_float_to_float16(model, keep_io_types=True, node_block_list=self._kept(model) or None)
            OnnxModel(halved).topological_sort()  # the tool appends its casts
            self._onnx.checker.check_model(halved)
        except Exception as error:  # the tool has no error classes of its own
            raise ValueError(f"model: '{self._path}' cannot be converted to fp16: {error}") from error
        self._save(halved, target)

    def to_int8(self, target: Path, reader: Reader, weight_bits: int) -> None:
        """Convolutions but the last in 8 bits: weights by channel, activations within their range on pictures."""
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        try:
            model = self._folded(self._raised(self._copy()))
            model.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
            convolutions = _named_convolutions(model)
            if not convolutions:
                raise ValueError("it has no convolution")
            last = convolutions[len(convolutions) - min(_LAST, len(convolutions) // 10) :]
            with _root_handler():
                quantize_static(
                    model,
                    target,
                    reader,
                    quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    per_channel=True,
                    reduce_range=weight_bits == 7,
                    op_types_to_quantize=["Conv"],
                    nodes_to_exclude=[*self._kept(model), *last],
                    calibrate_method=CalibrationMethod.MinMax,
                    extra_options={"CalibMovingAverage": True},
                )
        except Exception as error:  # the tool has no error classes of its own
            if reader.error is not None:
                raise reader.error from None
            raise ValueError(f"model: '{self._path}' cannot be converted to int8: {error}") from error
        self._save(self._onnx.load(target), target)

    def _raised(self, model: Any) -> Any:
        """The graph in an opset that has 8 bits by channel."""
        from onnx.version_converter import convert_version

        opset = next(entry.version for entry in model.opset_import if not entry.domain)
        return model if opset >= _PER_CHANNEL_OPSET else convert_version(model, _PER_CHANNEL_OPSET)

    def _folded(self, model: Any) -> Any:
        """The graph with Constant operators as initialisers, which the tools know as weights, and norms in them."""
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        with tempfile.TemporaryDirectory() as folder:
            options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
            runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            return self._onnx.load(options.optimized_model_filepath)

    def _save(self, model: Any, target: Path) -> None:
        del model.metadata_props[:]  # the tools leave marks of their own
        model.metadata_props.extend(self._model.metadata_props)
        self._onnx.save(model, target)

    def _copy(self) -> Any:
        copy = self._onnx.ModelProto()
        copy.CopyFrom(self._model)
        return copy

    def _kept(self, model: Any) -> list[str]:
        return [node.name for node in model.graph.node if self._keep and node.name.startswith(self._keep)]


def _named_convolutions(model: Any) -> list[str]:
    """The names of the convolutions in order; those without one get one, as the tool leaves out by name."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(convolutions):
        name = node.name or f"conv_{number}"
        while not node.name and name in taken:
            name += "_"
        node.name = name
        taken.add(name)
    return [node.name for node in convolutions]


@contextmanager
def _root_handler() -> Iterator[None]:
    """The tool logs by functions that give the root logger a handler which prints, unless it has one already."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _import_onnx() -> Any:
    import_onnxruntime()
    try:
        import onnx
    except ImportError as error:
        raise ImportError("quantization needs the onnx package: pip install 'leanpose[quantize]'") from error
    return onnx
