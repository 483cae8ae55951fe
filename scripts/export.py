"""Exports a definition of `model_defs` as ONNX and checks it against its PyTorch original.

    python scripts/export.py amfacpose-r18-256x256 -o pose.onnx --checkpoint RUN/256x256.pt
    python scripts/export.py --all -o FOLDER

Input `image` (batch, 3, H, W), outputs as the codec of the model card names them, all float32 with any batch size;
opset 17. Without a checkpoint the weights are random, drawn from --seed. The file of a pose network carries a model
card, to which `leanpose card` adds the training data, accuracy and licence; that of a detector what `Detector` reads,
and what --metadata adds.
"""

from __future__ import annotations

import argparse
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

import _repository  # noqa: F401  (makes model_defs importable)
from leanpose.quantization.conversion import Original
from model_defs.decoding import DecodedInGraph
from model_defs.folding import Size
from model_defs.network import Network, PoseNetwork
from model_defs.registry import CONFIGS, POSE_CONFIGS, build
from training.weights import read_input_size, read_weights, settle

OPSET = 17  # the last one that TensorRT 8.6 reads
TOLERANCE = 1e-4  # of the output's standard deviation
EXPLODED = 1e4  # deviation of a random network's outputs from which on rounding alone decides about them
MOVED_MAXIMA = 0.02  # share of coordinates that rounding may move from one to another of nearly equal maxima


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.all:
        options.output.mkdir(parents=True, exist_ok=True)
        for name in CONFIGS:
            write(name, options.output / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.onnx", options)
    else:
        write(options.model, options.output, options)


def write(name: str, path: Path, options: argparse.Namespace) -> None:
    """Exports one definition with the weights that `options` name."""
    trained_size = read_input_size(options.checkpoint) if options.checkpoint else None
    changes = {"input_size": options.input_size or trained_size, "num_keypoints": options.keypoints}
    torch.manual_seed(options.seed)
    model = build(name, **{key: value for key, value in changes.items() if value})
    if options.checkpoint:
        model.load_state_dict(read_weights(options.checkpoint))
    else:
        images = torch.randn(2, 3, *model.config.input_size)
        with torch.no_grad():
            largest = max(float(output.std()) for output in model.eval()(images))
        if largest > EXPLODED:
            settle(model, images, rounds=1)
    save(model.eval(), name, path, options.decode_in_graph, dict(options.metadata))
    if options.half:
        Original(path, ()).to_half(path)


def save(
    model: Network,
    name: str,
    path: Path,
    decode_in_graph: bool = False,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Exports `model`, compares the graph with it, writes the file and says how much they differ."""
    graph = export(model, name)
    difference = compare(graph, model)
    if decode_in_graph:
        if not isinstance(model, PoseNetwork):
            raise ValueError(f"--decode-in-graph: '{name}' gives no heatmaps; leave it out")
        decoded = DecodedInGraph(model).eval()
        graph = export(decoded, name)
        difference = compare(graph, decoded, MOVED_MAXIMA)
    entries = {entry.key: entry.value for entry in graph.metadata_props}
    onnx.helper.set_model_props(graph, {**entries, **metadata})
    path.write_bytes(graph.SerializeToString())
    print(f"{path}: {len(graph.graph.node)} operators, differs from PyTorch by {difference:.1e} of the std", flush=True)


def export(model: Network, name: str) -> onnx.ModelProto:
    """The folded graph of `model`, with opset 17, IR version 8 and a batch of any size; `name` becomes the graph's."""
    input_size, outputs = model.config.input_size, model.output_shapes
    shapes: dict[str, tuple[int | None, ...]] = {"image": (3, *input_size), **outputs}
    file = io.BytesIO()
    with warnings.catch_warnings():
        # torch.export's graphs need a conversion down to opset 17; this exporter writes it as it is
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)  # see _precompute
        torch.onnx.export(
            model.folded(),
            (torch.zeros(2, 3, *input_size),),
            file,  # type: ignore[arg-type]
            input_names=["image"],
            output_names=[*outputs],
            dynamic_axes={key: {0: "batch"} for key in shapes},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load_from_string(file.getvalue())
    _precompute(graph.graph)
    _tidy(graph, name, shapes)
    for key, value in model.metadata(name).items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def compare(graph: onnx.ModelProto, model: nn.Module, outliers: float = 0.0) -> float:
    """Largest difference between ONNX Runtime and `model` on random pictures, in standard deviations of the output.

    A share of `outliers` among the values of an output may differ by more. Raises RuntimeError where the others are
    beyond TOLERANCE.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    worst = 0.0
    for batch in (1, 3):
        image = generator.standard_normal((batch, *session.get_inputs()[0].shape[1:]), dtype=np.float32)
        with torch.no_grad():
            expected = [output.numpy() for output in model(torch.from_numpy(image))]
        for want, got in zip(expected, session.run(None, {"image": image}), strict=True):
            if got.shape != want.shape:
                raise RuntimeError(f"the graph differs from PyTorch: {got.shape} instead of {want.shape}")
            difference = np.quantile(np.abs(got - want), 1 - outliers)
            if not difference <= TOLERANCE * want.std():
                raise RuntimeError(
                    f"the graph differs from PyTorch: {got.shape}, {difference:.2e}, deviation {want.std():.2e}"
                )
            worst = max(worst, float(difference / want.std()))
    return worst


def _precompute(graph: onnx.GraphProto) -> None:
    """Replaces operators on constants alone by their results: the exporter leaves some, as those before Pad."""
    known = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            kept.append(node)
        elif node.op_type != "Identity" and all(not name or name in known for name in node.input):
            (result,) = ReferenceEvaluator(node).run(None, {name: known[name] for name in node.input if name})
            known[node.output[0]] = np.asarray(result)
            value = onnx.numpy_helper.from_array(np.asarray(result))
            kept.append(onnx.helper.make_node("Constant", [], [node.output[0]], value=value))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _tidy(model: onnx.ModelProto, name: str, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Leaves operators alone: constants become initialisers, equal ones share one; nothing of this machine stays."""
    graph = model.graph
    model.ir_version = 8
    graph.name = name
    graph.doc_string = model.doc_string = ""
    weights = {entry.name: entry for entry in graph.initializer}
    shared: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        node.doc_string = ""
        if node.op_type == "Constant":
            value = node.attribute[0].t
            key = value.SerializeToString()
            if key not in shared:
                shared[key] = value.name = f"constant_{len(shared)}"
                graph.initializer.append(value)
            renamed[node.output[0]] = shared[key]
        elif node.op_type == "Identity" and node.input[0] in weights:  # the exporter merges weights that are equal
            graph.initializer.append(weights[node.input[0]])
            graph.initializer[-1].name = node.output[0]
        else:
            node.input[:] = [renamed.get(entry, entry) for entry in node.input]
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {entry for node in graph.node for entry in node.input}
    kept = [entry for entry in graph.initializer if entry.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        dims: list[str | int | None] = ["batch", *shapes[value.name]]
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, dims))


def parse_size(text: str) -> Size:
    height, _, width = text.partition("x")
    return int(height), int(width)


def _entry(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=CONFIGS, metavar="MODEL", help="name of a definition")
    parser.add_argument("--all", action="store_true", help="every definition, with random weights")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write; a folder with --all")
    parser.add_argument("--checkpoint", type=Path, help="trained weights: SIZE.pt of a training, or an exported .onnx")
    parser.add_argument(
        "--input-size", type=parse_size, metavar="HxW", help="else the checkpoint's, else the definition's"
    )
    parser.add_argument("--keypoints", type=int, metavar="K", help="number of keypoints, else the definition's")
    parser.add_argument(
        "--decode-in-graph",
        action="store_true",
        help="give keypoints and scores instead of heatmaps",
    )
    parser.add_argument(
        "--metadata",
        type=_entry,
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="entries for the file of a detector, which has no card: license, training_data, ...",
    )
    parser.add_argument("--half", action="store_true", help="write weights and arithmetic of a detector in fp16")
    parser.add_argument("--seed", type=int, default=0, help="of random weights")
    options = parser.parse_args(arguments)
    if options.all == (options.model is not None):
        parser.error("give one MODEL, or --all")
    if options.all and options.checkpoint:
        parser.error("--checkpoint belongs to one MODEL")
    if (options.half or options.metadata) and (options.all or options.model in POSE_CONFIGS):
        parser.error(
            "--half and --metadata belong to a detector; for pose networks take `leanpose quantize` and `card`"
        )
    return options


if __name__ == "__main__":
    main()
