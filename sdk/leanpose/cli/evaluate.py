"""`leanpose evaluate --gt FILE --results FILE`: AP, AR or PCKh as a table or JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..evaluation import MpiiEvaluation, OksEvaluation, evaluate_coco, evaluate_crowdpose, evaluate_mpii, report
from ..keypoints import COCO17, CROWDPOSE14, KeypointSet

_SETS = {"coco": COCO17, "crowdpose": CROWDPOSE14}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the sub-command."""
    parser.add_argument("--gt", metavar="FILE", type=Path, required=True, help="ground truth in COCO's format")
    parser.add_argument("--results", metavar="FILE", type=Path, required=True, help="results in COCO's format")
    parser.add_argument("--dataset", choices=("coco", "crowdpose", "mpii"), default="coco", help="rules (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--per-keypoint", action="store_true", help="also show each keypoint")
    parser.add_argument("--bootstrap", metavar="N", type=int, default=0, help="95 %% intervals from N resamplings")
    parser.add_argument("--seed", type=int, default=0, help="of the resamplings (%(default)s)")
    oks = parser.add_argument_group("coco and crowdpose")
    oks.add_argument("--sigmas", metavar="S,S,...", help="sigma of each keypoint; as many as there are keypoints")
    oks.add_argument("--max-detections", metavar="N", type=int, help="best results of a picture that take part (20)")
    oks.add_argument("--threads", metavar="N", type=int, help="CPU threads (1)")
    oks.add_argument(
        "--crowd-limits",
        metavar=("MEDIUM", "HARD"),
        type=float,
        nargs=2,
        help="crowd index where medium and hard start (0.1 0.8, as in the paper; CrowdPose's own code has 0.2 0.8)",
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    evaluation = _evaluate(options)
    if options.json:
        print(json.dumps({"dataset": options.dataset, **evaluation.to_dict()}, indent=2))
    else:
        print(report(evaluation, per_keypoint=options.per_keypoint))
    return 0


def _evaluate(options: argparse.Namespace) -> OksEvaluation | MpiiEvaluation:
    given = {
        name: value
        for name in ("sigmas", "max_detections", "threads", "crowd_limits")
        if (value := getattr(options, name)) is not None
    }
    allowed = {"coco": set(given) - {"crowd_limits"}, "crowdpose": set(given), "mpii": set()}[options.dataset]
    if unused := sorted(set(given) - allowed):
        name = unused[0].replace("_", "-")
        raise ValueError(f"--{name} has no meaning with --dataset {options.dataset}")
    resampling = {"bootstrap": options.bootstrap, "seed": options.seed}
    if options.dataset == "mpii":
        return evaluate_mpii(options.gt, options.results, **resampling)
    if "sigmas" in given:
        given |= _sigmas(given["sigmas"], _SETS[options.dataset])
    rules: Any = evaluate_coco if options.dataset == "coco" else evaluate_crowdpose
    evaluation: OksEvaluation = rules(options.gt, options.results, **resampling, **given)
    return evaluation


def _sigmas(text: str, usual: KeypointSet) -> dict[str, Any]:
    """Sigmas and keypoints, which are the usual ones where their number is the same."""
    try:
        sigmas = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--sigmas {text}: expected numbers with commas between them") from None
    if len(sigmas) == len(usual):
        return {"sigmas": sigmas}
    names = tuple(f"keypoint {number}" for number in range(1, len(sigmas) + 1))
    return {"sigmas": sigmas, "keypoints": KeypointSet(names, (), (), sigmas)}  # type: ignore[arg-type]
