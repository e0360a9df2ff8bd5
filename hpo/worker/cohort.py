"""What a worker does: train a cohort's trials and let the referee decide, epoch by epoch, who goes on.

A cohort is K trials that train at once in one process; K = 1 is a case of the same code. A worker is sent
a `Job`, once, and then cohort after cohort.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch

from hpo.errors import LedgerError
from hpo.protocol import Choice, DeviceLostError, Judge, Referee, Stopped
from hpo.training import fused, plain
from hpo.training.autopsy import examine
from hpo.training.distributed import Team
from hpo.training.engine import Engine, Member, Progress
from hpo.training.snapshot import STACK, Snapshot
from hpo.trial import AT_MOST, AT_ONCE, COSTS, WARNING, Divergence, Ending, Outcome, Point, Proposal
from hpo.worker import sizing
from hpo.worker.cause import Cause, explain
from hpo.worker.job import Job
from hpo.worker.keeper import Keeper
from hpo.worker.preparation import prepare
from hpo.worker.shelf import Kept
from hpo.worker.weighing import weigh

_warned: Final[set[tuple[Job, int]]] = set()
"""At which lines of a recipe this process has heard a warning."""
Found = tuple[dict[int, Kept], list[str]]
"""Trials that can be gone on with, and what is wrong with checkpoints of theirs."""


@dataclass(frozen=True)
class Way:
    """How trials are trained: how many at once, as one of a team or alone, from what was found of them.

    `noted`: the referee has noted who takes them up, and has only to be told what was found.
    """

    choice: Choice = sizing.ONE
    team: Team | None = None
    found: Found | None = None
    noted: bool = False


def train(job: Job, cohort: str, referee: Referee) -> bool:
    """Train a cohort to its end; return whether there was a trial to train.

    An error of the recipe ends its trial as failed, with the recipe's own line as the reason. A cohort that
    meets one, or that runs out of memory, is halved until the trial is found that it is about.

    Raises:
        Stopped: the search stops; what was under way is saved.
        LedgerError: the ledger is damaged or out of reach; likewise.
        DeviceLostError: this process can train no more; what is not told yet is for another one.
    """
    choice = sizing.choose(job, cohort, referee)
    demand_device()
    trials = referee.take_up(cohort, choice.size, this_worker(), choice.reason, alike=sizing.settled(job))
    waiting: list[Sequence[Proposal]] = [trials] if trials else []
    way = Way(choice, noted=True)
    while waiting:
        waiting += run(job, waiting.pop(), referee, way)
        demand_device()
        way = Way(choice)
    return bool(trials)


def demand_device() -> None:
    """Demand that the GPU, if this process has used one, still does what it is told.

    After some errors, such as an index beyond a tensor, CUDA answers a process with that error for ever.

    Raises:
        DeviceLostError: it does not.
    """
    if torch.cuda.is_initialized():
        try:
            torch.cuda.synchronize()
        except RuntimeError as error:
            raise DeviceLostError(str(error).partition("\n")[0]) from None


def this_worker() -> str:
    """Return what this process is called in the ledger."""
    return f"{platform.node()}/{os.getpid()}"


def run(
    job: Job, trials: Sequence[Proposal], referee: Judge, way: Way | None = None
) -> list[Sequence[Proposal]]:
    """Train these trials to their end, saved ones from where they are; return, in halves, those cut short."""
    way = way or Way()
    past, complaints = way.found or find(job, trials)
    most = way.choice.size if way.noted else len(trials)  # and no more again, where it was halved
    notes = {AT_ONCE: len(trials), AT_MOST: most, "because": way.choice.reason, "from": _epochs(past)}
    log = _Log(referee, [trial.number for trial in trials], notes)
    if past or complaints or not way.noted:
        log.note("\n".join(complaints))
    trials = _weighed(job, trials, log)
    if not trials:
        return []
    keeper = Keeper(job.shelf, trials, past)
    with _hearing(job) as warned:
        live, cause = _train(job, _Cohort(trials, past, keeper, log, way), warned)
    if cause is not None and len(live) > 1:
        middle = len(live) // 2
        return [live[middle:], live[:middle]]
    if cause is None:
        sizing.note_trained(job)
    verdict = (Outcome.FAILED, *cause) if cause else (Outcome.FINISHED,)
    referee.tell([Ending(trial.number, *verdict) for trial in live])
    if cause is None or way.team is None:  # or else a worker may have died, and the trial is tried again
        (keeper.drop if cause else keeper.end)([trial.number for trial in live])
    return []


def _weighed(job: Job, trials: Sequence[Proposal], log: _Log) -> list[Proposal]:
    """Note what the trials cost, if that is wanted, and return those that can train."""
    if not job.costs or not all(trial.searched for trial in trials):
        return [*trials]
    found = weigh(job, trials)
    left = [trial for trial in trials if trial.number not in found.refused]
    log.notes |= {COSTS: found.costs, AT_ONCE: len(left)}
    log.note("\n".join(dict.fromkeys(found.complaints)))
    log.referee.tell([*found.refused.values()])
    return left


def find(job: Job, trials: Sequence[Proposal]) -> Found:
    """Look on the shelf for these trials; return what can go on, and what is wrong with the rest."""
    found = {trial.number: job.shelf.find(trial) for trial in trials} if job.shelf else {}
    past = {number: kept for number, (kept, _) in found.items() if kept}
    return past, [complaint for _, complaints in found.values() for complaint in complaints]


def _epochs(past: Mapping[int, Kept]) -> dict[str, int]:
    return {str(number): kept.snapshot.epoch for number, kept in past.items()}


@dataclass
class _Log:
    """Notes who trains some trials, and once what ails their checkpoints."""

    referee: Judge
    trials: list[int]
    notes: dict[str, Any]
    warned: bool = False

    def note(self, warning: str = "") -> None:
        notes = {**self.notes, WARNING: warning} if warning else self.notes
        self.referee.attempt(self.trials, this_worker(), notes)

    def pass_on(self, warned: list[str]) -> None:
        """Note warnings, which are taken out of the list."""
        while warned:
            self.note(warned.pop(0))

    def warn(self, warning: str) -> None:
        if warning and not self.warned:
            self.warned = True
            self.note(warning)


@dataclass(frozen=True)
class _Cohort:
    """Trials under way: what they go on from, who keeps them, and how they are trained."""

    trials: Sequence[Proposal]
    past: Mapping[int, Kept]
    keeper: Keeper
    log: _Log
    way: Way

    def members(self, left_out: Collection[int]) -> list[Member]:
        return [
            Member(it.number, it.config, self._snapshot(it.number), tested=it.proves)
            for it in self.trials
            if it.number not in left_out
        ]

    def leave(self, trials: Collection[int]) -> None:
        """Save trials for others, and say so."""
        if trials:
            self.log.warn(self.keeper.leave(trials))
            self.log.referee.saved(trials)

    def _snapshot(self, trial: int) -> Snapshot | None:
        return self.past[trial].snapshot if trial in self.past else None

    def engine(self, members: Sequence[Member]) -> Engine:
        """Return the engine of choice; what began in a stack goes on in one, if need be alone."""
        choice = self.way.choice
        begun = any(it.snapshot and it.snapshot.engine == STACK for it in members)
        return partial(fused.train, least=choice.least) if begun or choice.size > 1 else plain.train


def _train(job: Job, cohort: _Cohort, warned: list[str]) -> tuple[list[Proposal], Cause | None]:
    """Train these trials; return those that are left, and what stopped them, if something did."""
    live = {trial.number for trial in cohort.trials}
    keeper, referee, cause = cohort.keeper, cohort.log.referee, None
    try:
        live -= _retell(cohort.past, referee)
        members = cohort.members(left_out={trial.number for trial in cohort.trials} - live)
        own, task = cohort.trials[0].seed, prepare(job)
        seed = task.seed if own is None else own  # trials of a cohort share it
        task = replace(task, team=cohort.way.team, snapshots=keeper.snapshots, seed=seed)
        progress = cohort.engine(members)(task, members)
        reports = next(progress, None)
        while reports is not None:
            live -= {report.trial for report in reports}
            cohort.log.pass_on(warned)
            reports = examine(task, members, reports, job.autopsy)
            keeper.hear(reports)
            answer = referee.report(reports)
            live |= set(answer.on)
            cohort.leave(answer.undecided)
            keeper.drop({report.trial for report in reports} - {*answer.on, *answer.undecided})
            if keeper.due:
                cohort.log.warn(keeper.save())
            reports = _send(progress, answer.on)
    except (Stopped, LedgerError):  # no fault of the recipe's
        keeper.save()
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a recipe raises belongs in the ledger
        cause = explain(error, job.path)  # not the error, which holds on to all that was in memory
    return [trial for trial in cohort.trials if trial.number in live], cause


@contextmanager
def _hearing(job: Job) -> Iterator[list[str]]:
    """Gather what is warned of at lines of the recipe, each line once: nobody sees a worker's stderr."""
    show, warned = warnings.showwarning, list[str]()

    def hear(message: Warning | str, category: type[Warning], path: str, line: int, *more: Any) -> None:
        if path != job.path:
            show(message, category, path, line, *more)
        elif (job, line) not in _warned:
            _warned.add((job, line))
            warned.append(f"{category.__name__}: {message} ({path}:{line})")

    warnings.showwarning = hear  # type: ignore[assignment]
    try:
        yield warned
    finally:
        warnings.showwarning = show


def _retell(past: Mapping[int, Kept], referee: Judge) -> set[int]:
    """Tell what was measured before, which the ledger may lack; return the trials that do not go on by it."""
    curves, ended = {number: kept.curve for number, kept in past.items()}, set[int]()
    for epoch in range(max(map(len, curves.values()), default=0)):
        own = [it[epoch] for number, it in curves.items() if len(it) > epoch and number not in ended]
        ended |= {point.trial for point in own} - set(referee.report(own).on)
    return ended


def _send(progress: Progress, kept: list[int]) -> list[Point | Divergence] | None:
    try:
        return progress.send(kept)
    except StopIteration:
        return None
