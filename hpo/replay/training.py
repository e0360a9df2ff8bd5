"""Training one trial of a search again, alone in this process, and comparing its curve epoch by epoch."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol

from hpo.errors import InputError, Problem
from hpo.history import History, Search, State, Trial
from hpo.ledger import Ledger
from hpo.planning.changes import changed_versions
from hpo.planning.plan import Plan
from hpo.planning.rounding import ROUNDING, reorders
from hpo.protocol import Answer
from hpo.settings import ReplaySettings
from hpo.trial import GIVEN, Attempt, Divergence, Ending, Outcome, Point
from hpo.worker.cohort import run
from hpo.worker.job import Job

_BROKEN: Final = (Outcome.DIVERGED, Outcome.FAILED)
_LOSSES: Final = ("score", "train_loss", "validation_loss")


class Viewer(Protocol):
    """Shows a training while it runs: see `hpo.conductor.session.Viewer`."""

    def start(self, plan: Plan, history: History) -> None:
        """The training begins."""

    def update(self, search: Search, history: History) -> object:
        """This is what is known now."""

    def finish(self) -> None:
        """Nothing more will come."""


Viewing = Callable[[Plan], Viewer]


@dataclass(frozen=True)
class Comparison:
    """A trial's recorded curve beside that of its training now.

    `gap` is the largest relative difference of any curve, `where` names that curve and its epoch, `drift` is
    the largest among the losses. `reasons` say why bits may differ; `ending` says how it ended now, if that
    is not how it did; `began` at which layer it diverged, if it did and that was found.
    """

    trial: int
    epochs: int
    gap: float
    where: str
    drift: float
    reasons: tuple[str, ...]
    ending: str
    began: str = ""

    @property
    def expected(self) -> bool:
        """Whether the curves agree as far as can be expected: in each bit, or within rounding."""
        return not self.ending and (self.gap == 0 or (bool(self.reasons) and self.drift <= ROUNDING))

    def describe(self) -> dict[str, Any]:
        """Return it for programs; a gap beyond all numbers is null."""
        gaps = {name: gap if math.isfinite(gap) else None for name, gap in self._gaps.items()}
        return {**asdict(self), **gaps, "expected": self.expected}

    @property
    def _gaps(self) -> dict[str, float]:
        return {"gap": self.gap, "drift": self.drift}


def retrain(settings: ReplaySettings, viewing: Viewing) -> Comparison:
    """Train a trial again, by the plain engine, for as many epochs as it was trained, and compare.

    Raises:
        InputError: there is no such search or trial, it was not trained, it goes on from another training, or
            this machine lacks its GPU.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    if search.extends:
        message = f"It went on from {search.extends}: from its first epoch it would be another training."
        raise InputError(Problem(f"trial={settings.trial}", message))
    plan, trial = Plan.of(search), _trained(ledger.history(search), settings)
    job = replace(Job.of(plan), costs=(), autopsy=sys.maxsize, share=1.0)
    _demand_device(job)
    again = _Again(plan, trial, viewing)
    run(job, [plan.whole(trial.proposal)], again)
    return _compared(trial, again, tuple(_reasons(plan, trial)))


def _trained(history: History, settings: ReplaySettings) -> Trial:
    trial = history.trials.get(settings.trial or 0)
    if trial is None:
        message = f"There is no such trial in this search. Look at it: hpo show {settings.name}."
        raise InputError(Problem(f"trial={settings.trial}", message))
    if not trial.attempts or (not trial.points and trial.outcome not in _BROKEN):
        message = "This trial did not train a single epoch, so there is no curve to compare."
        raise InputError(Problem(f"trial={settings.trial}", message))
    return trial


def _demand_device(job: Job) -> None:
    import torch

    if job.device != "cpu" and not torch.cuda.is_available():
        message = "The search trained on a GPU, and this machine has none. Replay it where there is one."
        raise InputError(Problem(f"device={job.device}", message))


class _Again:
    """The referee of one trial that is trained again: lets it go on as far as it went."""

    def __init__(self, plan: Plan, trial: Trial, viewing: Viewing) -> None:
        self._trial = trial
        self._plan = self._of_one(plan)
        self._viewer = viewing(self._plan)
        self._history = History(plan.search.objective, [replace(trial.proposal, seq=0)])
        self.ending = self.began = ""

    @property
    def points(self) -> list[Point]:
        return self._history.trials[self._trial.number].points

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Show that it begins."""
        for trial in trials:
            self._history.add(Attempt(trial, worker, notes=notes))
        self._viewer.start(self._plan, self._history)

    def _of_one(self, plan: Plan) -> Plan:
        """Return the search as a training of this one trial, for its viewer."""
        settings = {**plan.search.settings, "sampler": GIVEN, "epochs": self._goal}
        name = f"{plan.search.name}, trial {self._trial.number}"
        search = replace(plan.search, name=name, settings=settings, state=State.FINISHED)
        return replace(plan, search=search, baseline=self._trial.proposal.config)

    @property
    def _noted(self) -> str:
        """Where it was found to diverge when it was recorded, for which then it may have taken too long."""
        return str(self._trial.ending.notes.get("where", "")) if self._trial.ending else ""

    @property
    def _goal(self) -> int:
        """The epochs to train: into one more where that one was cut short."""
        return self._trial.epochs + (self._trial.outcome in _BROKEN)

    def saved(self, trials: Collection[int]) -> None:
        """Take that in: nobody else would take them up."""

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Take in an epoch, and end where the recorded training did."""
        (report,) = reports
        if isinstance(report, Divergence):
            self.began = report.where
            self.ending = f"{Outcome.DIVERGED}: {replace(report, where=self._noted).reason}"
            return Answer([])
        self._history.add(report)
        self._viewer.update(self._plan.search, self._history)
        return Answer([report.trial] if report.epoch < self._goal else [])

    def tell(self, endings: Sequence[Ending]) -> None:
        """Take in that it failed, if it did."""
        for ending in endings:
            if ending.outcome is Outcome.FAILED:
                self.ending = f"{Outcome.FAILED}: {ending.reason}"
        self._viewer.finish()


def _reasons(plan: Plan, trial: Trial) -> Iterator[str]:
    """Say what may round differently now."""
    yield from reorders(plan, trial)
    host = trial.attempts[-1].worker.partition("/")[0]
    if host != platform.node():
        yield f"it was trained on another machine, {host}"
    yield from (f"another version: {change}" for change in changed_versions(plan.search.versions))


def _compared(trial: Trial, again: _Again, reasons: tuple[str, ...]) -> Comparison:
    gaps = {
        (name, before.epoch): _gap(value, now.curves.get(name, math.nan))
        for before, now in zip(trial.points, again.points, strict=False)
        for name, value in before.curves.items()
        if name != "epoch_seconds"
    }
    name, epoch = max(gaps, key=lambda place: gaps[place], default=("", 0))
    return Comparison(
        trial=trial.number,
        epochs=trial.epochs,
        gap=max(gaps.values(), default=0.0),
        where=f"{name}, epoch {epoch}" if gaps else "",
        drift=max((gap for (name, _), gap in gaps.items() if name in _LOSSES), default=0.0),
        reasons=reasons,
        ending=_other_ending(trial, again),
        began=again.began,
    )


def _gap(before: float, now: float) -> float:
    """Return the relative difference of two numbers; infinite, if just one of them is not a number."""
    if before == now or (math.isnan(before) and math.isnan(now)):
        return 0.0
    size = max(abs(before), abs(now))
    return abs(before - now) / size if math.isfinite(size) and not math.isnan(before - now) else math.inf


def _other_ending(trial: Trial, again: _Again) -> str:
    """Say how the training ended now, if it did not end so before."""
    broken = trial.ending if trial.outcome in _BROKEN else None
    before = f"{broken.outcome}: {broken.reason}" if broken else ""
    if again.ending == before and len(again.points) == trial.epochs:
        return ""
    return again.ending or f"trained epoch {len(again.points)}"
