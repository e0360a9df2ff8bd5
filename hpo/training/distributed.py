"""One trial on several workers, which all take the same step after each has seen its part of the batch.

`ddp` keeps a whole copy of the model with each worker and averages gradients (Li et al. 2020,
arXiv:2006.15704), `fsdp` keeps parameters, gradients and the optimizer's state in parts (Zhao et al. 2023,
arXiv:2304.11277). Gradients, losses, norms, batch statistics and measurements are those of the whole batch
and of the whole validation data, so that a curve is that of one worker but for rounding. Dropout draws other
masks with each worker, so with it curves agree in distribution only.

Who starts the workers is not known here. The first makes a `Meeting`, all of them join it.
"""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.nn.parallel import DistributedDataParallel

from hpo.machine.hardware import interface_to
from hpo.training.loop.gradients import Batch, Forward, Loss, Wrapped, weighted
from hpo.training.loop.joint_norm import counting, join_norms
from hpo.training.loop.loop import evaluate, seed_chance
from hpo.training.words.calls import Call
from hpo.training.words.values import GRADIENT

Measures = Mapping[str, Callable[[Tensor, Tensor], Tensor]]

PATIENCE_SECONDS: Final = 300.0
"""How long a worker waits for the others before it fails; they may read data or measure meanwhile."""

_FAILURES: Final = "failures"


class Alone:
    """The team of a worker who trains a trial by itself."""

    innermost: Call = GRADIENT
    shards: bool = False

    def seed(self, seed: int) -> None:
        """Let all chance begin anew, as at the start of an epoch."""
        seed_chance(seed)

    def spread(self, model: nn.Module) -> nn.Module:
        """Return the model in the form that is trained; what it consists of may be replaced in its place."""
        return model

    def evaluate(self, model: nn.Module, measures: Measures, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the mean of each measure over the samples; see `hpo.training.loop.loop.evaluate`."""
        return evaluate(model, measures, batches)


@dataclass
class Team(Alone):
    """The workers of one trial, from the point of view of the one whose number is `rank`, from 0."""

    rank: int
    size: int
    parallel: str
    device: str
    store: Store

    def __post_init__(self) -> None:
        """Let each worker draw from a stream of its own."""
        self.innermost = Call(f"{__name__}.Part", {"inner": GRADIENT, "team": self})
        self.chance = torch.Generator().manual_seed(self.rank)
        self.shards = self.parallel == "fsdp"

    def seed(self, seed: int) -> None:
        """Let chance begin anew: that which all share, and this worker's own."""
        super().seed(seed)
        self.chance.manual_seed(self.size * seed + self.rank)

    def spread(self, model: nn.Module) -> nn.Module:
        """Wrap the model for DDP, or shard it for FSDP; all workers must have drawn the same weights."""
        join_norms(model)
        if self.shards:
            return _shard(model, self.device)
        return DistributedDataParallel(model, find_unused_parameters=True)  # a recipe may leave some out

    def part(self, batch: Batch) -> tuple[Batch, int]:
        """Return this worker's samples of a batch and their number.

        All must go through the model together. If there are none left for this one, it borrows the first,
        which does not count.
        """
        own = tuple(tensor.tensor_split(self.size)[self.rank] for tensor in batch)
        count = len(own[-1])
        return (own, count) if count else (tuple(tensor[:1] for tensor in batch), 0)

    def evaluate(self, model: nn.Module, measures: Measures, batches: Iterable[Batch]) -> dict[str, float]:
        """Measure this worker's part of each batch, and return the means over all samples."""
        sums = torch.zeros(1 + len(measures), dtype=torch.float64)
        for batch in batches:
            own, count = self.part(batch)
            with counting(counted=count > 0):
                means = evaluate(model, measures, [own])
            if count:
                sums += count * torch.tensor([1.0, *means.values()], dtype=torch.float64)
        samples, *totals = self.total(sums).tolist()
        return {name: total / samples for name, total in zip(measures, totals, strict=True)}

    def total(self, part: Tensor) -> Tensor:
        """Return the sum over all workers, to the last digit the same for each."""
        total = part.to(self.device)
        dist.all_reduce(total)
        return total

    def agree(self, *, yes: bool) -> bool:
        """Return what the first worker says."""
        said = torch.tensor([yes], dtype=torch.uint8, device=self.device)
        dist.broadcast(said, src=0)
        return bool(said.item())

    @contextmanager
    def own_chance(self) -> Iterator[None]:
        """Draw from this worker's own stream, and leave the common one, that of the data order, alone."""
        seed = torch.initial_seed() + int(torch.randint(2**62, (), generator=self.chance))
        with torch.random.fork_rng([self.device] if self.device.startswith("cuda") else []):
            torch.manual_seed(seed)
            yield

    def tell_failure(self, cause: str) -> None:
        """Say why this worker fails: of one that is gone, the others see only that a line broke."""
        number = self.store.add(_FAILURES, 1)
        self.store.set(f"{_FAILURES}/{number}", json.dumps([self.rank, cause]))

    def failures(self) -> dict[int, str]:
        """Return what workers said of why they fail, by rank, the first cause first."""
        count = self.store.add(_FAILURES, 0)
        return dict(json.loads(self.store.get(f"{_FAILURES}/{number + 1}")) for number in range(count))


@dataclass
class Part(Wrapped):
    """The gradient of a worker's part of the batch, and the loss of the whole batch.

    Workers' gradients are averaged, g = sum_r g_r / R, so worker r with n_r of n samples weighs its mean loss
    by R n_r / n, and this is the gradient of the whole batch's mean loss.
    """

    team: Team

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add the gradient, which all workers have then."""
        own, count = self.team.part(batch)
        weight = self.team.size * count / len(batch[-1])
        with self.team.own_chance(), counting(counted=count > 0):
            value = self.inner(optimizer, forward, weighted(loss, weight), own)
        return self.team.total(torch.tensor(value, dtype=torch.float64)).item() / self.team.size


def _shard(model: nn.Module, device: str) -> nn.Module:
    """Shard a model: each element of its lists of layers by itself, so that one is whole at a time."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(device.partition(":")[0], (dist.get_world_size(),))
    for block in dict.fromkeys((*_blocks(model), model)):
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_force_sum_reduction_for_comms(True)  # gloo cannot average
    return model


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    if isinstance(model, nn.Sequential | nn.ModuleList):
        yield from (layer for layer in model if any(True for _ in layer.parameters()))
    else:
        for child in model.children():
            yield from _blocks(child)


@dataclass(frozen=True)
class Meeting:
    """Where the workers of a trial find each other: a store at the first worker's address."""

    host: str
    port: int
    size: int
    patience: float = PATIENCE_SECONDS

    @contextmanager
    def joined(self, rank: int, parallel: str, device: str, store: Store | None = None) -> Iterator[Team]:
        """Be one of the workers; the first brings the store.

        Raises:
            torch.distributed.DistError: not all have come in time.
        """
        patience = timedelta(seconds=self.patience)
        _talk_through(interface_to(self.host))
        store = store or dist.TCPStore(self.host, self.port, timeout=patience)  # type: ignore[attr-defined]
        dist.init_process_group(
            "nccl" if device.startswith("cuda") else "gloo",
            store=PrefixStore("group", store),
            rank=rank,
            world_size=self.size,
            timeout=patience,
        )
        try:
            yield Team(rank, self.size, parallel, device, store)
        finally:
            dist.destroy_process_group()
            gc.collect()  # wrapped models refer to themselves, and keep the group's threads and lines


def meet(host: str, size: int, patience: float = PATIENCE_SECONDS) -> tuple[Store, Meeting]:
    """Open a store on this address alone, at a port that the system chooses."""
    listener = socket.create_server((host, 0))
    port = listener.getsockname()[1]
    store = dist.TCPStore(  # type: ignore[attr-defined]
        host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )
    return store, Meeting(host, port, size, patience)


def _talk_through(interface: str) -> None:
    """Let gloo and nccl talk there; else they take the address of this machine's name, often a loopback one.

    Who has chosen another interface for them has it.
    """
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", interface)
