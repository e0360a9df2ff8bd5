"""What a worker does: train a cohort's trials and let the referee decide, epoch by epoch, who goes on.

A cohort is K trials that train at once in one process; K = 1 is a case of the same code. A worker is sent
a `Job`, once, and then cohort after cohort.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, Protocol

import torch

from hpo.config import Config, Value
from hpo.recipe import Objective
from hpo.training import fused, plain
from hpo.training.engine import Engine, Member, Progress, Task
from hpo.training.execution import execute
from hpo.training.fused import probe
from hpo.training.fused.probe import Choice
from hpo.training.memory import available
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal

Cause = tuple[str, None, Mapping[str, str]]

_MEMORY_SHARE: Final = 0.5
"""What a foretelling may claim of the memory that is free: it knows nothing of fragments and scratch."""


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
    at_once: int | None = 1
    most: int = 1
    workers: int = 1


class Referee(Protocol):
    """The part of the referee that a worker speaks to."""

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return the trials of a cohort; none if there is nothing to train now."""

    def attempt(self, cohort: str, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and in what way."""

    def report(self, reports: Sequence[Point | Divergence]) -> list[int]:
        """Return the trials that go on."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable."""


def train(job: Job, cohort: str, referee: Referee) -> None:
    """Train a cohort to its end.

    An error of the recipe ends its trial as failed, with the recipe's own line as the reason. A cohort that
    meets one, or that runs out of memory, is halved until the trial is found that it is about.
    """
    choice = choose(job)
    waiting = [referee.ask(cohort, choice.size)]
    while waiting:
        trials = waiting.pop()
        if not trials:
            continue
        _note(cohort, trials, choice, referee)
        live, cause = _train(job, trials, choice, referee)
        if cause is None:
            referee.tell([Ending(trial.number, Outcome.FINISHED) for trial in live])
        elif len(live) == 1:
            referee.tell([Ending(live[0].number, Outcome.FAILED, *cause)])
        else:
            middle = len(live) // 2
            waiting += [live[middle:], live[:middle]]


def _note(cohort: str, trials: Sequence[Proposal], choice: Choice, referee: Referee) -> None:
    worker = f"{platform.node()}/{os.getpid()}"
    numbers = [trial.number for trial in trials]
    referee.attempt(cohort, numbers, worker, {"at once": len(trials), "because": choice.reason})


def _train(
    job: Job, trials: Sequence[Proposal], choice: Choice, referee: Referee
) -> tuple[list[Proposal], Cause | None]:
    """Train these trials; return those that are left, and what stopped them, if something did."""
    live = {trial.number for trial in trials}
    members = [Member(trial.number, trial.config) for trial in trials]
    cause = None
    try:
        progress = _engine(choice)(prepare(job), members)
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


@cache
def choose(job: Job) -> Choice:
    """Decide how many trials to train at once; a worker does this once, before its first cohort."""
    if job.at_once is not None:
        return Choice(job.at_once, 2, f"{job.at_once} at a time, as asked for")
    if job.most == 1:
        return Choice(1, 2, "there are too few trials to train several at once")
    memory = available(job.device)
    return probe.choose(prepare(job), job.baseline, job.most, memory and memory * _MEMORY_SHARE / job.workers)


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


def _cause(error: Exception, recipe: str) -> Cause:
    """Return the error in one line with the recipe's own line, no score, and the whole traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == recipe), frames[-1])
    where = f"{last.filename}:{last.lineno}"
    text = "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error} ({where})", None, {"traceback": text[-20000:]}
