"""Run by torchrun in two processes with the arguments of train.py; fails where they do not train one model."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from train import Run, parse_options, train
from training.processes import Processes


def main() -> None:
    processes = Processes()
    assert processes.size == 2
    options = parse_options()
    the_gradient_is_that_of_both(Run(options, processes), options.stages[0][0])
    weights = train(options, processes).weights
    assert weights is not None
    seen = everybodys(torch.cat([value.double().flatten() for value in weights.values()]))
    assert torch.equal(*seen)
    drawn = everybodys(torch.randint(2**62, (1,)))
    assert drawn[0] != drawn[1]  # their samples differ
    processes.close()


def the_gradient_is_that_of_both(run: Run, size: tuple[int, int]) -> None:
    """After a step, each process has the mean of the gradients of both batches, computed here by itself."""
    torch.manual_seed(run.processes.rank)  # the first weights differ until they are shared
    model, _, optimiser = run.prepare(size, run.dataset(size))
    reference = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(1)
    batches = [
        (
            torch.randint(256, (2, *size, 3), generator=generator, dtype=torch.uint8),
            torch.rand(2, 17, 2, generator=generator) * 30,
            torch.rand(2, 17, generator=generator),
        )
        for _ in range(2)
    ]
    model.train()
    pictures, *labels = batches[run.processes.rank]
    run.step(model.training_outputs, model.objective, optimiser, pictures, labels)

    gradients = [gradient(run, copy.deepcopy(reference).train(), *batch) for batch in batches]
    for parameter, first, second in zip(reference.parameters(), *gradients, strict=True):
        parameter.grad = (first + second) / 2
    nn.utils.clip_grad_norm_(reference.parameters(), 5.0)
    for got, want in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-4, atol=1e-6)


def gradient(run: Run, model: nn.Module, pictures: Tensor, points: Tensor, weights: Tensor) -> list[Tensor]:
    outputs = model.training_outputs(((pictures - run.mean) / run.std).permute(0, 3, 1, 2))
    model.objective(outputs, points, weights).backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def everybodys(tensor: Tensor) -> list[Tensor]:
    found = [torch.zeros_like(tensor) for _ in range(2)]
    distributed.all_gather(found, tensor)
    return found


if __name__ == "__main__":
    main()
