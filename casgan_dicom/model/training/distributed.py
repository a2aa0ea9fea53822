"""Several processes that train one model: gradients are averaged, batches are shared out.

``torchrun`` starts the processes and tells each its rank. Gradients are averaged here after each backward
pass and not by DistributedDataParallel: a method calls its networks several times in one step and not all of
them in every step, which that class does not allow for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.devices import choose_device


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them."""

    rank: int = 0
    """Number of this process."""
    size: int = 1
    """How many there are."""
    device: str = "cpu"
    """Where this process computes."""

    @property
    def main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes; no gradient counts as 0."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained])
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for p in trained:
            p.grad = flat[start : start + p.numel()].view_as(p).clone()
            start += p.numel()

    def average_figures(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Mean of each figure over the processes; all have the same names."""
        if self.size == 1:
            return dict(figures)
        values = torch.tensor(list(figures.values()), dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            values = values.to("cuda", torch.float32)
        distributed.all_reduce(values)
        return dict(zip(figures, (values / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in one of the processes: they stop together or not at all."""
        return self.average_figures({"flag": float(flag)})["flag"] > 0

    def share(self, crops: Tensor | None) -> Tensor | None:
        """Take this process's part of a batch (B, …), B a multiple of the processes."""
        return crops if crops is None or self.size == 1 else crops.chunk(self.size)[self.rank]

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.size > 1:
            distributed.barrier()


ALONE = World()
"""One process on the CPU."""


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, and leave them at the end.

    One process where ``WORLD_SIZE`` is not set or 1. `device` is "auto", "cpu", "cuda" or "cuda:N"; of
    several processes on CUDA each has the GPU of its local rank.

    Raises
    ------
    ConfigError
        No such device, or one CUDA device was named for several processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device=choose_device(device))
        return
    if ":" in device:
        raise ConfigError(f"device '{device}' for {size} processes", hint="use --device auto, cuda or cpu")
    chosen = choose_device(device)
    cuda = chosen.startswith("cuda")
    if cuda:
        chosen = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), chosen)
    finally:
        distributed.destroy_process_group()
