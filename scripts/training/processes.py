"""The processes that train one model together, started by torchrun: one for each GPU, with a share of every batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

_PATIENCE = timedelta(hours=2)  # for the first process, which alone evaluates and writes files
_SEEDS_APART = 0x9E3779B1  # odd, so that ranks differ in the 32 bits that PyTorch's CPU generator takes of a seed


class Processes:
    """This process among those of the training; the only one where torchrun did not start it.

    Attributes:
        rank, size: number of this process, from 0, and of all.
        device: what this process computes on.
    """

    def __init__(self) -> None:
        launched = distributed.is_torchelastic_launched()
        self.rank, self.size, local = (
            int(os.environ[name]) if launched else alone
            for name, alone in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        )
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if gpus and local >= gpus:
            raise SystemExit(f"torchrun: this machine has {gpus} GPUs; give --nproc-per-node at most {gpus}")
        self.device = torch.device("cuda", local) if gpus else torch.device("cpu")
        if gpus:
            torch.cuda.set_device(self.device)
        if self.size > 1:
            distributed.init_process_group("nccl" if gpus else "gloo", timeout=_PATIENCE)

    @property
    def first(self) -> bool:
        """Whether this process evaluates, reports and writes files."""
        return self.rank == 0

    def seed(self, seed: int) -> None:
        """Seeds PyTorch so that each process draws other samples; as ever where there is one alone."""
        torch.manual_seed((seed + _SEEDS_APART * self.rank) % 2**32 if self.rank else seed)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors, of the same shapes in every process, by their means over the processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    @torch.no_grad()
    def share(self, model: nn.Module) -> None:
        """Gives every process the weights of the first."""
        if self.size == 1:
            return
        for tensor in model.state_dict().values():
            whole = tensor.contiguous()  # a convolution's may lie channels last
            distributed.broadcast(whole, 0)
            tensor.copy_(whole)

    def require_same(self, value: int, what: str) -> None:
        """Ends the training where processes disagree, which would wait for each other for ever."""
        if self.size == 1:
            return
        values = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.size)]
        distributed.all_gather(values, torch.tensor([value], device=self.device))
        found = sorted({int(entry) for entry in values})
        if len(found) > 1:
            raise SystemExit(
                f"{what} differs between processes: {', '.join(map(str, found))}; they need the same files"
            )

    def close(self) -> None:
        """Takes leave of the others."""
        if self.size > 1:
            distributed.destroy_process_group()
