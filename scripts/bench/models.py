"""Times every system on this CPU beside other people's models and writes the table in docs/benchmarks.md.

    python scripts/bench/models.py [--others rtmpose_t.onnx tinypose.onnx] [--seconds 60] [--no-write]

One thread; random weights, which do not change the time. Multiply-accumulates are those of convolutions, linear layers
and products; effective GMAC/s are these over the time, so they say how well a network suits the processor.
"""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export import export
from model_defs.counting import count
from model_defs.registry import CONFIGS, build
from report import environment, table, write_section
from timing import compare

SYSTEMS = (
    "amfacpose-r18-256x256",
    "amfacpose-r34-256x256",
    "saffnet-256x192",
    "mfvpose-b-d8-256x192",
    "mfvpose-l-d6-256x192",
    "srpose-resnet50-srpose",
    "srpose-hrnet-w32-srpose",
    "srpose-hrformer-s-srpose",
    "srpose-transpose-r-a4-srpose",
    "stnet-1stage-256x192",
    "stnet-3stage-256x192",
)
BATCHES = (1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=[*SYSTEMS], metavar="NAME", choices=CONFIGS)
    parser.add_argument("--others", nargs="*", type=Path, default=[], metavar="FILE", help="ONNX files to compare with")
    parser.add_argument("--seconds", type=float, default=60, help="for each batch size")
    parser.add_argument("--no-write", dest="write", action="store_false")
    options = parser.parse_args()
    graphs = {path.stem: onnx.load(path) for path in options.others}
    macs = {name: onnx_macs(graph) for name, graph in graphs.items()}
    for name in options.systems:
        torch.manual_seed(0)
        graphs[name] = export(build(name).eval(), name)
        macs[name] = count(build(name), CONFIGS[name].input_size).macs
    times = {batch: measure(graphs, batch, options.seconds) for batch in BATCHES}
    rows = []
    for name in graphs:
        cells = []
        for batch in BATCHES:
            milliseconds = times[batch].get(name)
            if milliseconds is None:
                cells += ["fixed batch", ""]
            else:
                cells += [f"{milliseconds / batch:.1f}", f"{macs[name] / milliseconds * batch / 1e6:.1f}"]
        rows.append((f"`{name}`", f"{macs[name] / 1e9:.2f}", *cells))
    header = ("model", "GMACs", "ms, batch 1", "GMAC/s", "ms per person, batch 8", "GMAC/s")
    where = environment(("leanpose", "onnxruntime", "torch", "numpy"))
    text = f"## Systems: milliseconds per person, one thread, medians\n\n{where}\n\n{table(header, rows)}"
    print(text)
    if options.write:
        write_section("models", text)


def measure(graphs: dict[str, onnx.ModelProto], batch: int, seconds: float) -> dict[str, float]:
    """Median milliseconds of one run of each model, taking turns."""
    calls = {}
    for name, graph in graphs.items():
        dims = graph.graph.input[0].type.tensor_type.shape.dim
        if dims[0].dim_value not in (0, batch):
            continue
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        shape = [batch, *(dim.dim_value for dim in dims[1:])]
        image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        calls[name] = partial(session.run, None, {graph.graph.input[0].name: image})
    return {name: timing.median for name, timing in compare(calls, seconds).items()}


def onnx_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of one picture of any graph, by the shapes that appear when it runs."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")]
    weights = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    given = {entry.name for entry in (*graph.output, *graph.input)}
    wanted = {name for node in nodes for name in (node.input[0], node.input[1], node.output[0])} - given - set(weights)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    dims = graph.input[0].type.tensor_type.shape.dim
    image = np.zeros([dim.dim_value or 1 for dim in dims], np.float32)
    names = [entry.name for entry in session.get_outputs()]
    found = zip(names, session.run(names, {graph.input[0].name: image}), strict=True)
    shapes = {graph.input[0].name: image.shape, **weights, **{name: value.shape for name, value in found}}
    total = 0
    for node in nodes:
        first, second, out = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
        if node.op_type == "ConvTranspose":
            total += math.prod(first) * math.prod(second[1:])
        elif node.op_type == "Conv":
            total += math.prod(out) * math.prod(second[1:])
        else:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            total += math.prod(out) * first[0 if transposed else -1]
    return total


if __name__ == "__main__":
    main()
