"""The training loop in plain torch: what a search runs, and what an export prints, word for word.

So nothing here needs hpo. A batch is (inputs, targets), two tensors with the samples along dimension 0.
"""

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpo.training.loop.clipping import Clipping
from hpo.training.loop.gradients import Batch, Gradient, Loss
from hpo.training.loop.scheduler import Scheduler


class Step(NamedTuple):
    """The batch's mean loss and size, the learning rate, the gradient's norm before and after clipping."""

    loss: float
    samples: int
    lr: float
    grad_norm: float
    clipped_norm: float


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of one epoch: of its data order, and of dropout and other chance in it."""
    return (1_000_003 * seed + epoch) % 2**32


def seed_chance(seed: int) -> None:
    """Let all chance begin anew: torch's, and Python's and numpy's, by which data may be drawn."""
    random.seed(seed)
    if "numpy" in sys.modules:  # as it is wherever torch finds it
        sys.modules["numpy"].random.seed(seed % 2**32)
    torch.manual_seed(seed)


def train_epoch(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler,
    gradient: Gradient,
    clip: Clipping,
    batches: Iterable[Batch],
) -> Iterator[Step]:
    """Take one step for each batch."""
    device = next(model.parameters()).device
    model.train()
    for inputs, targets in batches:
        yield take_step(model, loss, optimizer, gradient, clip, (inputs.to(device), targets.to(device)))
        scheduler.step()


def take_step(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    gradient: Gradient,
    clip: Clipping,
    batch: Batch,
) -> Step:
    """Let the optimizer look at the loss and gradient of a batch, once or more often, and step.

    What a step reports is the first look.
    """
    looks: list[tuple[float, float, float]] = []

    def look() -> float:
        optimizer.zero_grad()
        value = gradient(optimizer, model, loss, batch)
        looks.append((value, *clip(model.parameters())))
        return looks[-1][0]

    gradient.step(optimizer, look)
    value, grad_norm, clipped_norm = looks[0]
    return Step(value, len(batch[-1]), optimizer.param_groups[0]["lr"], grad_norm, clipped_norm)


def mean_loss(steps: Iterable[Step]) -> float:
    """Return the mean training loss over the samples of an epoch."""
    pairs = [(step.loss, step.samples) for step in steps]
    return sum(loss * samples for loss, samples in pairs) / sum(samples for _, samples in pairs)


@torch.no_grad()
def evaluate(
    model: nn.Module, measures: Mapping[str, Callable[[Tensor, Tensor], Tensor]], batches: Iterable[Batch]
) -> dict[str, float]:
    """Return the mean of each measure (loss, metrics) of a model over the samples."""
    device = next(model.parameters()).device
    model.eval()
    there = ((inputs.to(device), targets.to(device)) for inputs, targets in batches)
    return mean_measures(model, measures, there)


def mean_measures(
    run: Callable[[Tensor], Tensor],
    measures: Mapping[str, Callable[[Tensor, Tensor], Tensor]],
    batches: Iterable[Batch],
) -> dict[str, float]:
    """Return the mean of each measure over the samples, of the outputs that `run` gives."""
    sums = dict.fromkeys(measures, 0.0)
    samples = 0
    for inputs, targets in batches:
        outputs = run(inputs)
        samples += len(targets)
        for name, measure in measures.items():
            sums[name] += float(measure(outputs, targets)) * len(targets)
    return {name: total / samples for name, total in sums.items()}
