"""The model of a trial, as its training left it or trained again, with data to try it on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import KeyPath, keystr, tree_leaves_with_path

from hpo.errors import HpoError
from hpo.planning.plan import Plan
from hpo.training.beginning import make_model
from hpo.training.engine import Member, Task
from hpo.training.loop.loaders import read
from hpo.training.plain import train_model
from hpo.training.snapshot import Snapshot
from hpo.trial import Point, Proposal
from hpo.worker.job import Job
from hpo.worker.preparation import prepare
from hpo.worker.shelf import Kept

_SAMPLES = 32


@dataclass(frozen=True)
class Network:
    """A model in evaluation mode, on the CPU, and what it is trained on."""

    model: nn.Module
    task: Task

    @property
    def inputs(self) -> Tensor:
        """A batch of validation inputs, shape [batch, …]."""
        inputs, _ = next(iter(read(self.task.splits["validation"], _SAMPLES)))
        return inputs[:_SAMPLES]

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Any:
        """Return what the model gives: a tensor, or several in a tuple, a dictionary or the like."""
        return self.model(inputs)

    def named(self, outputs: Any) -> dict[str, Tensor]:
        """Return outputs by name: `outputs` if it is one, else `outputs_0` or, by key, `outputs_logits`.

        Raises:
            HpoError: something among them is no tensor.
        """
        found = {_name(path): item for path, item in tree_leaves_with_path(outputs)}
        strays = {name: type(it).__name__ for name, it in found.items() if not isinstance(it, Tensor)}
        if strays or not found:
            told = ", ".join(f"{name} is of type {kind}" for name, kind in strays.items()) or "it gives none"
            raise HpoError(
                f"A server gets tensors from a model, or tuples, lists or dictionaries of them: {told}."
            )
        return found


@dataclass(frozen=True)
class Served(Network):
    """A trained model, and how that went; `snapshot` tells the training as it stood after its last epoch."""

    curve: tuple[Point, ...]
    snapshot: Callable[[], Snapshot]


def _name(path: KeyPath) -> str:
    return re.sub(r"\W+", "_", f"outputs{keystr(path)}").rstrip("_")


def untrained(plan: Plan, trial: Proposal) -> Network:
    """Return the model of a trial as it is before its first step."""
    task = replace(prepare(Job.of(plan).here), seed=plan.seed_of(trial))
    return Network(make_model(task, plan.whole(trial).config).cpu().eval(), task)


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
