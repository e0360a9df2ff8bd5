"""The model of a trial, as its training left it or trained again, with data to try it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hpo.errors import HpoError
from hpo.job import Job, prepare
from hpo.plan import Plan
from hpo.shelf import Kept
from hpo.training.engine import Member, Task
from hpo.training.loop import load
from hpo.training.plain import train_model
from hpo.training.snapshot import Snapshot
from hpo.trial import Point, Proposal

_SAMPLES = 32


@dataclass(frozen=True)
class Served:
    """A trained model in evaluation mode, on the CPU, what it was trained on, and how that went.

    `snapshot` tells the training as it stood after its last epoch.
    """

    model: nn.Module
    task: Task
    curve: tuple[Point, ...]
    snapshot: Callable[[], Snapshot]

    @property
    def inputs(self) -> Tensor:
        """A batch of validation inputs, shape [batch, …]."""
        inputs, _ = next(iter(load(self.task.splits["validation"], _SAMPLES)))
        return inputs[:_SAMPLES]

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Return what the model gives."""
        found: Tensor = self.model(inputs)
        return found


def train_again(
    plan: Plan, trial: Proposal, hear: Callable[[Point], None], past: Kept | None = None
) -> Served:
    """Train a trial again, from the seed that it had, and return its model; `hear` is told each epoch.

    What is kept of its training in the search, `past`, is not trained again. A machine without the search's
    device trains on its CPU.

    Raises:
        HpoError: it diverges now.
    """
    task = replace(prepare(Job.of(plan).here), seed=plan.seed_of(trial))
    snapshots = dict[int, Callable[[], Snapshot]]()
    curve = list(past.curve) if past else []
    member = Member(trial.number, plan.whole(trial).config, past.snapshot if past else None)

    def take(point: Point) -> None:
        curve.append(point)
        hear(point)

    try:
        model = train_model(replace(task, snapshots=snapshots), member, take)
    except FloatingPointError as error:
        raise HpoError(f"Trial {trial.number} was trained again, and diverged: {error}") from None
    return Served(model.cpu(), task, tuple(curve), snapshots[trial.number])
