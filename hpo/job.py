"""What workers are told of a search, and what they make of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from types import ModuleType

import torch
from torch import nn

from hpo.config import Config, Value
from hpo.hardware import device_here
from hpo.plan import Plan
from hpo.recipe import Objective
from hpo.shelf import Shelf
from hpo.training.engine import Task
from hpo.training.execution import execute, load_splits
from hpo.training.memory import Memory, predict
from hpo.vocabulary import MODEL


@dataclass(frozen=True)
class Job:
    """What the workers of a search must know of it; plain values, so that it travels.

    `at_once` is how many trials a worker trains at once, None for as many as a measurement with the
    `baseline` recommends, up to `most`, which are fewer where a search `learns` from its trials. A worker may
    fill its `share` of the device's memory. Of each trial the `costs` are measured before it trains;
    `memory` is the most bytes that it may take, None for that share. One that diverges within `autopsy`
    steps is trained once more, up to there, to see where it began.
    """

    source: str
    path: str
    objective: Objective
    epochs: int
    seed: int
    baseline: Config
    shelf: Shelf | None = None
    data_options: tuple[tuple[str, Value], ...] = ()
    threads: int = 1
    device: str = "cpu"
    parallel: str = "ddp"
    at_once: int | None = 1
    most: int = 1
    learns: bool = True
    deterministic: bool = False
    costs: tuple[str, ...] = ()
    memory: int | None = None
    share: float = 1.0
    autopsy: int = 50

    @classmethod
    def of(cls, plan: Plan, shelf: Shelf | None = None) -> Job:
        """Return what the workers of a planned search must know."""
        return cls(
            shelf=shelf,
            source=plan.search.source,
            path=plan.search.path,
            objective=plan.search.objective,
            epochs=plan.epochs,
            seed=plan.setting("seed"),
            data_options=tuple(plan.data_options.items()),
            threads=plan.setting("threads"),
            device=plan.setting("device"),
            parallel=plan.setting("parallel"),
            baseline=plan.baseline,
            at_once=plan.at_once,
            most=plan.most_at_once,
            learns=plan.learns,
            deterministic=plan.setting("deterministic"),
            costs=plan.costs,
            memory=plan.setting("memory"),
            share=_share(plan),
        )

    @property
    def here(self) -> Job:
        """The same for this machine: on its CPU, where it has no GPU."""
        return replace(self, device=device_here(self.device))


def _share(plan: Plan) -> float:
    """Return what part of its device a trial may fill: of a machine one of all workers', of a GPU its own."""
    if plan.setting("device") == "cpu":
        return 1 / plan.beside
    return min(1.0, plan.setting("gpus_per_trial") or 1.0)


@cache
def prepare(job: Job) -> Task:
    """Load a job's recipe and data; a worker does this once, before its first cohort."""
    torch.set_num_threads(job.threads)
    _demand_determinism(yes=job.deterministic)
    module = execute(job.source, job.path)
    splits = load_splits(module, dict(job.data_options))
    return Task(module, splits, job.objective, job.epochs, job.seed, job.device)


def _demand_determinism(*, yes: bool) -> None:
    """Have torch use what gives the same bits each time, and refuse operations that cannot."""
    if yes:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS cannot
    torch.use_deterministic_algorithms(yes)


def foretell(job: Job, config: Config) -> Memory:
    """Foretell a training's memory.

    Raises:
        Exception: whatever the recipe raises.
    """
    return predict(config, sketch(execute(job.source, job.path), config))


def sketch(recipe: ModuleType, config: Config) -> nn.Module:
    """Build a model without its numbers, unless it needs to see them.

    Raises:
        Exception: whatever the recipe raises.
    """
    build: Callable[[], nn.Module] = partial(recipe.model, **config.below(MODEL))
    try:
        with torch.device("meta"):
            return build()
    except Exception:  # noqa: BLE001 - whatever it is, if it is the recipe's own it comes again below
        return build()
