"""What a worker does: train a cohort's trials and let the referee decide, epoch by epoch, who goes on.

A cohort is K trials that train in one process; K = 1 is the usual case of the same code. A worker is sent
a `Job`, once, and then cohort after cohort.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch

from hpo.config import Config, Value
from hpo.plan import Plan
from hpo.recipe import Objective
from hpo.training import plain
from hpo.training.engine import Member, Progress, Task
from hpo.training.execution import execute
from hpo.training.memory import Memory, predict
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal
from hpo.vocabulary import MODEL


@dataclass(frozen=True)
class Job:
    """What the workers of a search must know of it; plain values, so that it travels."""

    source: str
    path: str
    objective: Objective
    epochs: int
    seed: int
    data_options: tuple[tuple[str, Value], ...] = ()
    threads: int = 1
    device: str = "cpu"

    @classmethod
    def of(cls, plan: Plan) -> Job:
        """Return what the workers of a planned search must know."""
        return cls(
            source=plan.search.source,
            path=plan.search.path,
            objective=plan.search.objective,
            epochs=plan.epochs,
            seed=plan.setting("seed"),
            data_options=tuple(plan.data_options.items()),
            threads=plan.setting("threads"),
            device=plan.setting("device"),
        )


class Referee(Protocol):
    """The part of the referee that a worker speaks to."""

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return the trials of a cohort; none if there is nothing to train now."""

    def attempt(self, trials: Collection[int], worker: str) -> None:
        """Note who trains these trials."""

    def report(self, reports: Sequence[Point | Divergence]) -> list[int]:
        """Return the trials that go on."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable."""


def train(job: Job, cohort: str, referee: Referee, size: int = 1) -> None:
    """Train a cohort of up to `size` trials to its end.

    An error of the recipe ends its trials as failed, with the recipe's own line as the reason.
    """
    trials = referee.ask(cohort, size)
    if trials:
        _train(job, trials, referee)


def _train(job: Job, trials: Sequence[Proposal], referee: Referee) -> None:
    referee.attempt([trial.number for trial in trials], f"{platform.node()}/{os.getpid()}")
    live = {trial.number for trial in trials}
    try:
        progress = plain.train(prepare(job), [Member(trial.number, trial.config) for trial in trials])
        reports = next(progress, None)
        while reports is not None:
            live -= {report.trial for report in reports}
            kept = referee.report(reports)
            live |= set(kept)
            reports = _send(progress, kept)
    except Exception as error:  # noqa: BLE001 - whatever a recipe raises belongs in the ledger
        referee.tell([Ending(number, Outcome.FAILED, *_cause(error, job.path)) for number in sorted(live)])
    else:
        referee.tell([Ending(number, Outcome.FINISHED) for number in sorted(live)])


def _send(progress: Progress, kept: list[int]) -> list[Point | Divergence] | None:
    try:
        return progress.send(kept)
    except StopIteration:
        return None


@cache
def prepare(job: Job) -> Task:
    """Load a job's recipe and data; a worker does this once, before its first cohort."""
    torch.set_num_threads(job.threads)
    module = execute(job.source, job.path)
    splits = module.data(**dict(job.data_options))
    return Task(module, splits, job.objective, job.epochs, job.seed, job.device)


def foretell(job: Job, config: Config) -> Memory:
    """Foretell a training's memory. The model is built without its numbers, unless it needs to see them.

    Raises:
        Exception: whatever the recipe raises.
    """
    module = execute(job.source, job.path)
    try:
        with torch.device("meta"):
            return predict(config, module.model(**config.below(MODEL)))
    except (NotImplementedError, RuntimeError):
        return predict(config, module.model(**config.below(MODEL)))


def _cause(error: Exception, recipe: str) -> tuple[str, None, Mapping[str, str]]:
    """Return the error in one line with the recipe's own line, no score, and the whole traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == recipe), frames[-1])
    where = f"{last.filename}:{last.lineno}"
    text = "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error} ({where})", None, {"traceback": text[-20000:]}
