"""`leanpose info MODEL`: card, inputs, outputs, size."""

from __future__ import annotations

import argparse
import json

from ..model import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("model", metavar="MODEL", help="ONNX file or name of a packaged model")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what the model says of itself."""
    model = Model(options.model, providers="cpu")
    inputs = {tensor.name: list(tensor.shape) for tensor in model.session.get_inputs()}
    outputs = {tensor.name: list(tensor.shape) for tensor in model.session.get_outputs()}
    size = model.path.stat().st_size
    if options.json:
        described = {"path": str(model.path), "bytes": size, "inputs": inputs, "outputs": outputs}
        print(json.dumps({**described, "card": model.card.to_dict()}, indent=2, ensure_ascii=False))
        return 0
    card = model.card
    height, width = card.input.size
    rows = [
        ("file", f"{model.path} ({size / 1e6:.1f} MB)"),
        ("name", card.name),
        ("inputs", _shapes(inputs)),
        ("outputs", _shapes(outputs)),
        (
            "input",
            f"{height} x {width} (height x width), {card.input.color}, padding {card.input.padding:g}, "
            f"{card.input.transform} transform",
        ),
        ("mean, std", f"{_numbers(card.input.mean)}; {_numbers(card.input.std)}"),
        ("codec", ", ".join([card.codec.type, *(f"{k} {v}" for k, v in card.codec.to_dict().items())])),
        ("keypoints", f"{len(card.keypoints)}: {', '.join(card.keypoints.names)}"),
        *(("accuracy", f"{a.metric} {a.value:.4f} on {a.dataset}") for a in card.accuracy),
        *(("trained on", source) for source in card.training_data),
        ("licence", card.license),
    ]
    for name, value in rows:
        print(f"{name:<11} {value}")
    return 0


def _shapes(tensors: dict[str, list[int | str | None]]) -> str:
    return "; ".join(f"{name} [{', '.join(map(str, shape))}]" for name, shape in tensors.items())


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
