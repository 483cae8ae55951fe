"""Converts checkpoints of mmpose, and those that SRPose's authors released, to ONNX files with a card.

    python scripts/convert.py hrnet_w32_coco_256x192.pth --model hrnet-w32-256x192 -o hrnet-w32.onnx

The weights go into a definition of `model_defs`, which is exported and compared as scripts/export.py does. The file
is read without running anything that it holds, see scripts/checkpoints.py. Keypoints are counted in the weights; the
input size is the recorded one where the checkpoint carries its configuration, else the definition's.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import _repository  # noqa: F401  (makes model_defs importable)
from checkpoints import read_checkpoint, recorded_input_size, state_of
from export import parse_size, save
from model_defs.network import PoseNetwork
from model_defs.registry import CONFIGS, build_pose

MODELS = tuple(name for name in CONFIGS if name.startswith(("hrnet-", "srpose-", "srpose/")))
WRAPPER = "module."  # of data-parallel training, once or more
# Beginnings of names: mmpose 0.x and SRPose, then 1.x, and what the definitions call them.
LAYOUTS = {"backbone.": "backbone.", "keypoint_head.": "keypoint_head.", "head.": "keypoint_head."}
UNUSED = ".num_batches_tracked"  # only training reads it, and old files lack it
LISTED = 8  # differences of a kind that a message names


def main() -> None:
    options = _options()
    try:
        model = load(options.checkpoint, options.model, options.input_size, options.keypoints)
        save(model, options.model, options.output, options.decode_in_graph)
    except (OSError, ValueError) as error:
        raise SystemExit(f"convert.py: {error}") from None


def load(path: Path, name: str, input_size: tuple[int, int] | None = None, keypoints: int | None = None) -> PoseNetwork:
    """The definition `name` with the weights of a checkpoint, in evaluation mode, without its training-only heads.

    Args:
        path: the .pth file.
        name: one of MODELS.
        input_size: height and width; else the recorded one, else the definition's.
        keypoints: how many; else as many as the weights have.

    Raises FileNotFoundError, and ValueError for a file that cannot be read, weights that are not those of the
    definition, and numbers that are not finite.
    """
    checkpoint = read_checkpoint(path)
    state = renamed(state_of(checkpoint))
    size = input_size or recorded_input_size(checkpoint) or CONFIGS[name].input_size
    return fill(name, state, input_size=size, num_keypoints=keypoints or count_keypoints(name, state))


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the definitions' names; ValueError where two of them get the same."""
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        bare = name
        while bare.startswith(WRAPPER):
            bare = bare.removeprefix(WRAPPER)
        for theirs, ours in LAYOUTS.items():
            if bare.startswith(theirs):
                bare = ours + bare.removeprefix(theirs)
                break
        if bare in result:
            raise ValueError(f"checkpoint: holds '{bare}' twice, the second time as '{name}'")
        result[bare] = value
    return result


def count_keypoints(name: str, state: Mapping[str, Tensor]) -> int:
    """How many keypoints fit the weights: tensors that grow with them are found in two small instances.

    Gives the definition's own number where no such tensor has a fitting shape.
    """
    one, two = (_shapes(_on_meta(name, num_keypoints=count)) for count in (1, 2))
    for key, value in state.items():
        if key not in one or len(value.shape) != len(one[key]):
            continue
        for have, first, second in zip(value.shape, one[key], two[key], strict=True):
            if second > first and have >= first and (have - first) % (second - first) == 0:
                return 1 + (have - first) // (second - first)
    count: int = CONFIGS[name].num_keypoints
    return count


def fill(name: str, state: Mapping[str, Tensor], **changes: Any) -> PoseNetwork:
    """The definition with `state` as its weights; ValueError lists what is missing, unexpected or of another shape."""
    plan = _on_meta(name, **changes)
    whole = plan.state_dict().keys()
    plan.drop_training_parts()
    own = plan.state_dict()
    dropped = whole - own.keys()
    given = {key: value for key, value in state.items() if key not in dropped}
    differences = {
        "missing": [key for key in own if key not in given and not key.endswith(UNUSED)],
        "unexpected": [key for key in given if key not in own and not key.endswith(UNUSED)],
        "of another shape": [
            f"{key} {_described(given[key])} instead of {_described(value)}"
            for key, value in own.items()
            if key in given and _described(given[key]) != _described(value)
        ],
    }
    if any(differences.values()):
        size = "x".join(map(str, plan.config.input_size))
        lines = [f"  {kind} ({len(names)}): {_listed(names)}" for kind, names in differences.items() if names]
        raise ValueError(
            f"checkpoint: does not hold the weights of '{name}' with {plan.config.num_keypoints} keypoints at {size}; "
            "expected those of the network that --model, --keypoints and --input-size name\n" + "\n".join(lines)
        )
    fitting = {key: value for key, value in given.items() if key in own}
    broken = [key for key, value in fitting.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f"checkpoint: NaN or infinity in {len(broken)} tensors: {_listed(broken)}; expected numbers")
    model = build_pose(name, **changes).eval()
    model.drop_training_parts()
    model.load_state_dict({**model.state_dict(), **fitting})
    return model


def _on_meta(name: str, **changes: Any) -> PoseNetwork:
    with torch.device("meta"):
        return build_pose(name, **changes)


def _shapes(model: PoseNetwork) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def _described(value: Tensor) -> str:
    """Shape, and whether numbers are real or of another kind; precision does not matter."""
    kind = "" if value.is_floating_point() else "complex " if value.is_complex() else "integer "
    return f"{kind}{list(value.shape)}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the .pth file")
    parser.add_argument("--model", choices=MODELS, metavar="NAME", required=True, help=f"one of {', '.join(MODELS)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--input-size", type=parse_size, metavar="HxW", help="else the recorded, else the definition's")
    parser.add_argument("--keypoints", type=int, metavar="K", help="number of keypoints, else counted in the weights")
    parser.add_argument(
        "--decode-in-graph",
        action="store_true",
        help="give keypoints and scores instead of heatmaps",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
