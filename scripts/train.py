"""Trains a definition of `model_defs` on packed crops (see cache_crops.py) or pictures; goes on where it stopped.

    python scripts/train.py amfacpose-r18-256x256 --cache CACHE... --dev FOLDER --out RUN --stages 96x72:400000 ...

Each stage is an input size and how many samples to see at it; convolution weights carry over, linear layers that
depend on the input size are resized or start again. RUN receives last.pt (checkpoint), log.jsonl and, per stage,
SIZE.pt (averaged weights). With --preset the paper's schedule, batch, optimiser and augmentation are taken; --stages is
then optional. Bottom-up networks and the person detector take COCO-format folders as --cache.

On several GPUs: torchrun --nproc-per-node 4 scripts/train.py ... Each process takes its share of --batch; all need to
see the same files.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, WeightedRandomSampler
from tqdm import tqdm

import _repository  # noqa: F401  (makes model_defs importable)
from leanpose import SimCC
from model_defs.network import Network, PoseNetwork
from model_defs.objectives import Objective, SimCCObjective
from model_defs.registry import CONFIGS, POSE_CONFIGS, build
from training.augment import Augmentation
from training.cache import Crops
from training.dataset import LabelWeights, Persons
from training.detection import DetectionBenchmark
from training.distillation import Teacher
from training.evaluation import Benchmark
from training.pictures import Pictures
from training.presets import PRESETS, Preset, make_optimiser, parameter_groups, preset_name
from training.processes import Processes
from training.scenes import AUGMENTATION, MOSAIC, Scenes
from training.weights import fit_weights, read_weights, restore_statistics

Samples: TypeAlias = Persons | Pictures | Scenes


def main() -> None:
    processes = Processes()
    train(parse_options(), processes)
    processes.close()


def train(options: argparse.Namespace, processes: Processes) -> Run:
    """All stages that are left."""
    if options.batch % processes.size:
        raise SystemExit(f"--batch {options.batch} cannot be shared by {processes.size} processes; give a multiple")
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options, processes)
    processes.seed(options.seed + run.total)  # a run that goes on must not draw its first samples again
    for index, (input_size, samples) in enumerate(options.stages):
        if index >= run.stage:
            run.train_stage(index, input_size, samples)
    return run


class Run:
    """Everything that a checkpoint holds, and the loop over it."""

    def __init__(self, options: argparse.Namespace, processes: Processes) -> None:
        self.options, self.processes, self.device = options, processes, processes.device
        device = self.device
        self.preset: Preset | None = options.preset
        self.augmentation = self.preset.augmentation if self.preset else Augmentation()
        network = build(options.model)
        self.teacher = self._teacher(network)
        folders, input_size = [folder for folder, _ in options.cache], network.config.input_size
        self.data: Crops | Pictures | Scenes
        if not isinstance(network, PoseNetwork):
            self.data = Scenes(folders, input_size, AUGMENTATION, MOSAIC)
        elif network.codec.finds_persons:
            self.data = Pictures(folders, input_size, self.augmentation)
        else:
            self.transform = network.transform
            self.data = Crops(folders)
        if options.stages is None:
            assert self.preset is not None
            options.stages = [(input_size, self.preset.epochs * len(self.data))]
        self.stage = self.seen = self.total = 0
        self.mean, self.std = torch.tensor(network.mean, device=device), torch.tensor(network.std, device=device)
        self.weights: dict[str, Tensor] | None = None
        self.state: dict[str, Any] = {}
        last = options.out / "last.pt"
        if last.exists():
            self.state = torch.load(last, map_location=device, weights_only=True)
            self.stage, self.seen, self.total = (self.state[k] for k in ("stage", "seen", "total"))
            self.weights = self.state["ema"]
            planned = options.model, list(options.stages[min(self.stage, len(options.stages) - 1)][0])
            if (self.state["config"], self.state["input_size"]) != planned:
                raise SystemExit(f"{last} is of {self.state['config']} at {self.state['input_size']}: give its stages")
        elif options.init:
            self.weights = read_weights(options.init)
        processes.require_same(self.total, f"the number of samples in {last}")
        processes.require_same(len(self.data), "the number of samples in --cache")

    def train_stage(self, index: int, input_size: tuple[int, int], samples: int) -> None:
        """Trains until the stage has seen its samples, then writes its averaged weights."""
        options = self.options
        samples_of = self.dataset(input_size)
        model, average, optimiser = self.prepare(input_size, samples_of)
        objective = model.objective.to(self.device)
        if isinstance(objective, SimCCObjective):
            objective.smoothing = options.targets == "smoothing"
        outputs_of = torch.compile(model.training_outputs) if options.compile else model.training_outputs
        benchmark = _benchmark(model, options.dev) if options.dev and self.processes.first else None
        saved = time.monotonic()
        evaluated = self.seen
        running = math.nan
        size = f"{input_size[0]}x{input_size[1]}"
        quiet = not self.processes.first
        bar = tqdm(total=samples, initial=self.seen, desc=size, unit="img", smoothing=0.05, disable=quiet)
        statistics = [b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
        model.train()
        for pictures, *labels in self._batches(samples_of, samples):
            if self.preset:
                rate = self.preset.rate_after(self.seen / len(self.data))
            else:
                rate = _learning_rate(options, self.seen, samples, first=index == 0)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = self.step(outputs_of, objective, optimiser, pictures, labels)
            self.processes.average(statistics)
            running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
            self.seen += options.batch
            self.total += options.batch
            steps = self.total / options.batch
            _update_average(average, model, min(0.999, (1 + steps) / (10 + steps)))
            bar.update(options.batch)
            bar.set_postfix(loss=f"{running:.3f}")
            last = self.seen >= samples
            if benchmark and (last or self.seen - evaluated >= options.evaluate_every):
                evaluated = self.seen
                self._log(size=size, loss=running, lr=rate, **benchmark.statistics(average, self.device))
            if last or time.monotonic() - saved > 60 * options.save_minutes:
                saved = time.monotonic()
                self._save(index, model, average, optimiser)
        bar.close()
        self.weights = average.state_dict()
        state = {"config": options.model, "input_size": list(input_size), "ema": self.weights}
        self._write(f"{size}.pt", state)
        self.stage, self.seen = index + 1, 0

    def _teacher(self, network: Network) -> Teacher | None:
        """The model that --teacher names."""
        path = self.options.teacher
        if path is None:
            return None
        if not isinstance(network, PoseNetwork) or not isinstance(network.codec, SimCC):
            raise SystemExit(f"--teacher: {self.options.model} has no distributions over bins; only SimCC networks do")
        teacher = Teacher(path, network.codec.split_ratio)
        teacher.check()
        return teacher

    def dataset(self, input_size: tuple[int, int]) -> Samples:
        if isinstance(self.data, Crops):
            weights = LabelWeights(teacher_weight=self.options.teacher_weight)
            return Persons(self.data, input_size, self.augmentation, weights, self.transform, self.teacher)
        return replace(self.data, input_size=input_size)

    def prepare(self, input_size: tuple[int, int], samples: Samples) -> tuple[Network, Network, torch.optim.Optimizer]:
        """The model, its running average and the optimiser, as the checkpoint or the stage before left them."""
        options = self.options
        model = build(options.model, input_size=input_size)
        if self.weights is not None:
            fit_weights(model, self.weights)
        if not self.state and self.total == 0 and options.init and options.init.suffix == ".onnx":
            pictures = torch.stack([samples[i][0] for i in range(min(len(samples), options.batch))])
            restore_statistics(model, ((pictures - self.mean.cpu()) / self.std.cpu()).permute(0, 3, 1, 2))
        model = model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.processes.share(model)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        betas = (0.9, 0.999) if self.preset else (0.9, 0.99)
        groups = parameter_groups(model, options.weight_decay)
        optimiser = make_optimiser(self.preset.optimiser if self.preset else "adamw", groups, options.lr, betas)
        if self.state:
            model.load_state_dict(self.state["model"])
            optimiser.load_state_dict(self.state["optimiser"])
            self.state = {}
        return model, average, optimiser

    def step(
        self,
        outputs_of: Callable[[Tensor], Sequence[Tensor]],
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        pictures: Tensor,
        labels: Sequence[Tensor],
    ) -> float:
        """One step along the mean gradient of all processes' samples; the loss of this one's."""
        batch = ((pictures.to(self.device) - self.mean) / self.std).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            outputs = outputs_of(batch)
        loss = objective(outputs, *(label.to(self.device) for label in labels))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        self.processes.average([p.grad for p in trained if p.grad is not None])
        nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        return float(loss.detach())

    def _batches(self, dataset: Samples, samples: int) -> Iterator[Sequence[Tensor]]:
        """This process's batches until the stage has seen its samples, each cache drawn by its weight."""
        share = self.options.batch // self.processes.size
        batches = math.ceil((samples - self.seen) / self.options.batch)
        if batches <= 0:
            return
        draw = np.repeat([weight for _, weight in self.options.cache], list(self.data.counts.values()))
        sampler = WeightedRandomSampler(draw.tolist(), batches * share)
        yield from DataLoader(
            dataset,
            share,
            sampler=sampler,
            num_workers=self.options.workers,
            drop_last=True,
            pin_memory=self.device.type == "cuda",
        )

    def _save(self, stage: int, model: Network, average: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        state = {
            "config": self.options.model,
            "input_size": list(model.config.input_size),
            "stage": stage,
            "seen": self.seen,
            "total": self.total,
            "model": model.state_dict(),
            "ema": average.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        self._write("last.pt", state)

    def _write(self, name: str, state: dict[str, Any]) -> None:
        if not self.processes.first:
            return
        partial = (self.options.out / name).with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.options.out / name)  # a stop in the middle of writing must not cost the last checkpoint

    def _log(self, **values: Any) -> None:
        entry = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "seen": self.seen, "total": self.total, **values}
        with (self.options.out / "log.jsonl").open("a") as file:
            file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in entry.items()}) + "\n")


def _benchmark(model: Network, folder: Path) -> Benchmark | DetectionBenchmark | None:
    """What measures the model while it trains; nothing does for bottom-up networks."""
    input_size = model.config.input_size
    if not isinstance(model, PoseNetwork):
        return DetectionBenchmark(folder, input_size)
    return None if model.codec.finds_persons else Benchmark(folder, input_size, model.codec, model.transform)


def _learning_rate(options: argparse.Namespace, seen: int, samples: int, *, first: bool) -> float:
    """Linear warm-up, a plateau, then a linear fall to a fiftieth over the last `decay` of the samples."""
    warm = min(1.0, (seen + options.batch) / options.warmup) if first else 1.0
    left = (samples - seen) / max(options.decay * samples, 1)
    return float(options.lr * warm * max(min(1.0, left), 0.02))


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    mine, theirs = average.state_dict(), model.state_dict()
    floats = [k for k, v in mine.items() if v.is_floating_point()]
    torch._foreach_lerp_([mine[k] for k in floats], [theirs[k] for k in floats], 1 - decay)


def _cache(text: str) -> tuple[Path, float]:
    folder, _, weight = text.partition(":")
    return Path(folder), float(weight or 1)


def _stage(text: str) -> tuple[tuple[int, int], int]:
    size, _, samples = text.partition(":")
    height, _, width = size.partition("x")
    return (int(height), int(width)), int(samples)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; what it leaves open is as in the preset, or as usual."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=CONFIGS)
    parser.add_argument(
        "--cache",
        type=_cache,
        nargs="+",
        required=True,
        metavar="DIR[:WEIGHT]",
        help="folders written by cache_crops.py, and how often their persons (or pictures) are drawn (1)",
    )
    parser.add_argument(
        "--dev",
        type=Path,
        help="COCO-format folder for AP with ground-truth boxes, or of the boxes that a detector finds",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", type=_stage, nargs="+", metavar="HxW:SAMPLES", help="needed without --preset")
    parser.add_argument("--preset", choices=("auto", *PRESETS), help="train as the paper does; auto: the model's own")
    parser.add_argument("--init", type=Path, help="start from the weights of a .pt checkpoint or an exported .onnx")
    parser.add_argument("--targets", choices=("gaussian", "smoothing"), help="of SimCC networks (gaussian)")
    parser.add_argument(
        "--teacher",
        type=Path,
        help="SimCC .onnx of COCO-17 keypoints whose distributions for every sample are targets of SimCC networks too",
    )
    parser.add_argument(
        "--teacher-weight",
        type=float,
        default=LabelWeights.teacher_weight,
        help="of what a teacher found, times its score; 0: labels alone (%(default)s)",
    )
    parser.add_argument("--batch", type=int, help="pictures per step, of all processes together (64)")
    parser.add_argument("--lr", type=float, help="largest learning rate (2e-3)")
    parser.add_argument("--weight-decay", type=float, help="of matrices and kernels (0.02)")
    parser.add_argument("--warmup", type=int, default=20_000, help="samples")
    parser.add_argument("--decay", type=float, default=0.25, help="share of a stage over which the rate falls")
    parser.add_argument("--workers", type=int, default=1, help="processes that read pictures, for each one that trains")
    parser.add_argument("--evaluate-every", type=int, default=25_000, help="samples")
    parser.add_argument("--save-minutes", type=float, default=4)
    parser.add_argument("--no-bf16", dest="bf16", action="store_false")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.stages and not options.preset:
        parser.error("give --stages, or --preset for the paper's own schedule")
    if options.preset and options.model not in POSE_CONFIGS:
        parser.error(f"--preset: {options.model} has no paper to follow; give --stages")
    usual: dict[str, Any] = {"targets": "gaussian", "batch": 64, "lr": 2e-3, "weight_decay": 0.02}
    if options.preset:
        preset = PRESETS[preset_name(options.model) if options.preset == "auto" else options.preset]
        options.preset = preset
        targets = "smoothing" if preset.smoothing else "gaussian"
        usual = {"targets": targets, "batch": preset.batch, "lr": preset.rate, "weight_decay": preset.weight_decay}
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
