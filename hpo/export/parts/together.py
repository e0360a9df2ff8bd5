"""Training with as many processes as torchrun starts, each of which sees its part of every batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hpo.training.gradients import Batch, Forward, Gradient, Loss, Wrapped, weighted


@dataclass(frozen=True)
class Workers:
    """The processes that train, from the point of view of number `rank` of `size`."""

    rank: int
    size: int
    device: str

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device; on GPUs, batch normalization then sees the whole batch."""
        network = network.to(self.device)
        if self.size > 1 and self.device.startswith("cuda"):
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network

    def spread(self, network: nn.Module) -> nn.Module:
        """Return the network in the form that is trained."""
        return DistributedDataParallel(network, find_unused_parameters=True) if self.size > 1 else network

    def gradient(self) -> Gradient:
        """Return what takes the gradient of a batch."""
        return Part(Gradient(), self) if self.size > 1 else Gradient()

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
    R n_r / n. Whoever gets none borrows one sample, which does not count.
    """

    workers: Workers

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add the gradient, which all processes have then."""
        rank, size = self.workers.rank, self.workers.size
        own = tuple(tensor.tensor_split(size)[rank] for tensor in batch)
        weight = size * len(own[-1]) / len(batch[-1])
        own = own if weight else tuple(tensor[:1] for tensor in batch)
        value = self.inner(optimizer, forward, weighted(loss, weight), own)
        total = torch.tensor(value, dtype=torch.float64, device=self.workers.device)
        distributed.all_reduce(total)
        return float(total) / size


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
