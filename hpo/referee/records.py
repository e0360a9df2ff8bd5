"""What a search has written down, and what follows from it: its study, its history and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from hpo.history import History, Trial
from hpo.ledger import Ledger, Meter, Writer
from hpo.planning.plan import Plan
from hpo.progress.agenda import Agenda
from hpo.progress.spending import Spending
from hpo.referee.single import Single
from hpo.trial import BUDGET, TIMEOUT, Ending, Outcome, Proposal, R
from hpo.wish import Wish

if TYPE_CHECKING:
    from hpo.study import Study


def proposer(plan: Plan) -> Study | Single:
    """Return who proposes; Optuna is imported only where there is something to search."""
    if plan.search.given:
        return Single(plan)
    from hpo.study import Study

    return Study(plan)


class Records:
    """The records of a search, of which one session writes more, and what is kept in step with them.

    Attributes:
        plan: the search as it is wanted now.
        study: who proposes, and judges.
        history: the trials.
        spending: what may be spent on what is left to do.
        agenda: what that is.
        meter: the clock of the search.
    """

    def __init__(self, store: str, name: str, session: int) -> None:
        self._ledger, self._session = Ledger(store), session
        self.plan = Plan.of(self._ledger.search(name))
        search = self.plan.search
        self.study = proposer(self.plan)
        self.history = History(search.objective, lag=search.lag)
        for record in self._ledger.records(search):
            self.history.add(record)
            self.study.restore(record)
        self.meter = Meter(self._ledger, session, search.devices, of_devices=search.of_devices)
        self._set_out()
        self._writer = Writer(self._ledger, search, session)
        self._noted: dict[int, Mapping[str, Any]] = {}  # what the engine said last of each trial

    def _set_out(self) -> None:
        """Set out what is left to do and what may be spent on it, by the plan as it is now."""
        self.spending = Spending(self.plan, self.history, self.meter.clock)
        self.agenda = Agenda(self.plan, self.history, self.spending)

    def flush(self) -> None:
        """Make everything that was written durable."""
        self._writer.flush()

    def together(self) -> AbstractContextManager[object]:
        """Return what keeps what is written within it in one commit."""
        return self._writer.together()

    def add(self, record: R) -> R:
        """Write down what the study knows of; return it with its place and time."""
        written = self._writer.append(record)
        self.history.add(written)
        return written

    def tell(self, record: R) -> R:
        """Write down what the study has no part in, and let it take that into account."""
        written = self.add(record)
        self.study.restore(written)
        return written

    def begin(self, proposal: Proposal) -> Trial:
        """Write down a trial that the study did not propose."""
        return self.history.trials[self.tell(proposal).number]

    def note(self, trial: Trial, notes: Mapping[str, Any]) -> None:
        """Keep what the engine says of a trial for its ending."""
        self._noted[trial.number] = notes

    def end(
        self, trial: Trial, outcome: Outcome, reason: str = "", notes: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how a trial ended; the study learns from it."""
        if trial.proposal.searched:
            self.study.end(trial.number, outcome, trial.score)
        known = {**self._noted.pop(trial.number, {}), **(notes or {})}
        with self.together():
            self.add(Ending(trial.number, outcome, reason, trial.score, known))
            if trial.proposal.searched:
                self.look_ahead()

    def end_unpaid(self, trial: Trial) -> None:
        """Write down that a trial ended since nothing is left to be spent on it."""
        self.end(trial, Outcome.PRUNED, BUDGET if self.plan.frugal else TIMEOUT)

    def look_ahead(self) -> None:
        """Plan the rest of the budget anew, and write that down if it has changed."""
        forecast = self.agenda.look_ahead()
        if forecast:
            self.add(forecast)

    def wished(self) -> Wish:
        """Return what people ask of this session, and note what it has used; both may wait for the ledger."""
        self.meter.note()  # also without a limit: one that is set later counts what was used before
        return self._ledger.wish(self._session)

    def heed(self, wish: Wish) -> None:
        """Go on as if so many trials had been ordered as people ask for; stop the clock in a pause."""
        self.meter.clock.hear(paused=wish.paused)
        asked = self.plan.setting("trials")
        trials = asked if wish.trials is None else max(wish.trials, len(self.history.searched))
        if trials != asked:
            name = self.plan.search.name
            self._ledger.note_settings(self._ledger.search(name), {"trials": trials})
            self.plan = self.plan.at(self._ledger.search(name))
            self._set_out()
