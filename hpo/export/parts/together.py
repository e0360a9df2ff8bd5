"""Training with as many processes as torchrun starts, each of which sees its part of every batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hpo.training.loop.gradients import Batch, Forward, Gradient, Loss, Wrapped, weighted


@dataclass(frozen=True)
class Workers:
    """The processes that train, from the point of view of number `rank` of `size`."""

    rank: int
    size: int
    device: str

    @property
    def normalizes_jointly(self) -> bool:
        """Whether batch normalization sees the whole batch, which torch has for GPUs alone."""
        return self.size > 1 and self.device.startswith("cuda")

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device."""
        network = network.to(self.device)
        if self.normalizes_jointly:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network

    def spread(self, network: nn.Module) -> nn.Module:
        """Return the network in the form that is trained."""
        return DistributedDataParallel(network, find_unused_parameters=True) if self.size > 1 else network

    def gradient(self) -> Gradient:
        """Return what takes the gradient of a batch."""
        return Part(Gradient(), self) if self.size > 1 else Gradient()

    def part(self, batch: Batch) -> tuple[Batch, int]:
        """Return this process's samples of a batch and their number.

        All must go through the network together, and batch normalization of a process's own cannot train on
        one sample. Who gets none borrows the first two, which do not count.
        """
        least = 1 if self.normalizes_jointly else 2
        sharing = max(1, min(self.size, len(batch[-1]) // least))
        if self.rank >= sharing:
            return tuple(tensor[:2] for tensor in batch), 0
        own = tuple(tensor.tensor_split(sharing)[self.rank] for tensor in batch)
        return own, len(own[-1])

    def agree(self, measured: dict[str, float]) -> dict[str, float]:
        """Return what the first one has measured."""
        said = [measured]
        if self.size > 1:
            distributed.broadcast_object_list(said)
        return said[0]


@dataclass
class Part(Wrapped):
    """The gradient of a process's part of the batch, and the loss of the whole batch.

    Gradients are averaged, g = sum_r g_r / R, so process r with n_r of n samples weighs its loss by
    R n_r / n.
    """

    workers: Workers

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add the gradient, which all processes have then."""
        own, count = self.workers.part(batch)
        weight = self.workers.size * count / len(batch[-1])
        value = self.inner(optimizer, forward, weighted(loss, weight), own)
        total = torch.tensor(value, dtype=torch.float64, device=self.workers.device)
        distributed.all_reduce(total)
        return float(total) / self.workers.size


@contextmanager
def working(device: str) -> Iterator[Workers]:
    """Join the processes that torchrun has started, or work alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Workers(0, 1, device)
        return
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Workers(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
