"""What a worker does: train a cohort's trials and let the referee decide, epoch by epoch, who goes on.

A cohort is K trials that train at once in one process; K = 1 is a case of the same code. A worker is sent
a `Job`, once, and then cohort after cohort.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Final, Protocol

import torch

from hpo.config import Config, Value
from hpo.plan import Plan
from hpo.recipe import Objective
from hpo.training import fused, plain
from hpo.training.distributed import Team
from hpo.training.engine import Engine, Member, Progress, Task
from hpo.training.execution import execute, load_splits
from hpo.training.fused import probe
from hpo.training.fused.probe import Choice
from hpo.training.memory import Memory, available, predict
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal
from hpo.vocabulary import MODEL

Cause = tuple[str, None, Mapping[str, str]]

_MEMORY_SHARE: Final = 0.5
"""What a foretelling may claim of the memory that is free: it knows nothing of fragments and scratch."""
ONE: Final = Choice(1, 2, "")


@dataclass(frozen=True)
class Job:
    """What the workers of a search must know of it; plain values, so that it travels.

    `at_once` is how many trials a worker trains at once, None for as many as a measurement with the
    `baseline` recommends, up to `most`. `workers` share this machine's memory.
    """

    source: str
    path: str
    objective: Objective
    epochs: int
    seed: int
    baseline: Config
    data_options: tuple[tuple[str, Value], ...] = ()
    threads: int = 1
    device: str = "cpu"
    parallel: str = "ddp"
    at_once: int | None = 1
    most: int = 1
    workers: int = 1

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
            parallel=plan.setting("parallel"),
            baseline=plan.baseline,
            at_once=plan.at_once,
            most=plan.most_at_once,
            workers=plan.at_work,
        )


class Judge(Protocol):
    """The part of the referee that matters while trials are trained."""

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and in what way."""

    def report(self, reports: Sequence[Point | Divergence]) -> list[int]:
        """Return the trials that go on."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable."""


class Referee(Judge, Protocol):
    """The part of the referee that a worker speaks to."""

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return the trials of a cohort; none if there is nothing to train now."""

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a worker of a cohort died; return whether it had trials."""


def train(job: Job, cohort: str, referee: Referee) -> None:
    """Train a cohort to its end.

    An error of the recipe ends its trial as failed, with the recipe's own line as the reason. A cohort that
    meets one, or that runs out of memory, is halved until the trial is found that it is about.
    """
    choice = choose(job)
    waiting: list[Sequence[Proposal]] = [referee.ask(cohort, choice.size)]
    while waiting:
        trials = waiting.pop()
        if trials:
            waiting += run(job, trials, referee, choice)


def run(
    job: Job, trials: Sequence[Proposal], referee: Judge, choice: Choice = ONE, team: Team | None = None
) -> list[Sequence[Proposal]]:
    """Train these trials to their end, as one of a team or alone; return, in halves, those cut short."""
    worker = f"{platform.node()}/{os.getpid()}"
    numbers = [trial.number for trial in trials]
    referee.attempt(numbers, worker, {"at once": len(trials), "because": choice.reason})
    live, cause = _train(job, trials, referee, choice, team)
    if cause is not None and len(live) > 1:
        middle = len(live) // 2
        return [live[middle:], live[:middle]]
    if cause is None:
        _proven.add(job)
    verdict = (Outcome.FAILED, *cause) if cause else (Outcome.FINISHED,)
    referee.tell([Ending(trial.number, *verdict) for trial in live])
    return []


def _train(
    job: Job, trials: Sequence[Proposal], referee: Judge, choice: Choice, team: Team | None
) -> tuple[list[Proposal], Cause | None]:
    """Train these trials; return those that are left, and what stopped them, if something did."""
    live = {trial.number for trial in trials}
    members = [Member(trial.number, trial.config) for trial in trials]
    cause = None
    try:
        task = replace(prepare(job), team=team)
        progress = _engine(choice)(task, members)
        reports = next(progress, None)
        while reports is not None:
            live -= {report.trial for report in reports}
            kept = referee.report(reports)
            live |= set(kept)
            reports = _send(progress, kept)
    except Exception as error:  # noqa: BLE001 - whatever a recipe raises belongs in the ledger
        cause = _cause(error, job.path)  # not the error, which holds on to all that was in memory
    return [trial for trial in trials if trial.number in live], cause


def _engine(choice: Choice) -> Engine:
    return plain.train if choice.size == 1 else partial(fused.train, least=choice.least)


def choose(job: Job) -> Choice:
    """Decide how many trials to train at once.

    Nothing is measured before a first trial was trained: what goes wrong with a recipe goes wrong there,
    with a trial that it can be told of, and the first result need not wait.
    """
    if job.at_once is not None:
        return Choice(job.at_once, 2, f"{job.at_once} at a time, as asked for" if job.at_once > 1 else "")
    return _measured(job) if job.most > 1 and job in _proven else ONE


_proven: Final[set[Job]] = set()
"""What this process has trained a trial of to its end."""


@cache
def _measured(job: Job) -> Choice:
    memory = available(job.device)
    budget = memory and memory * _MEMORY_SHARE / job.workers
    try:
        return probe.choose(prepare(job), job.baseline, job.most, budget)
    except Exception as error:  # noqa: BLE001 - the baseline may fail where other trials do not
        return Choice(
            1, 2, f"1 at a time: the baseline could not be measured ({type(error).__name__}: {error})"
        )


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
    splits = load_splits(module, dict(job.data_options))
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


def _cause(error: Exception, recipe: str) -> Cause:
    """Return the error in one line with the recipe's own line, no score, and the whole traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == recipe), frames[-1])
    where = f"{last.filename}:{last.lineno}"
    text = "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error} ({where})", None, {"traceback": text[-20000:]}
