"""The referee: the only writer of a search. It proposes trials, says who goes on, and takes in endings.

Its state is a pure function of the ledger. Killed and made again, it reads the records and goes on
as it would have. All three questions may be asked twice: a cohort that asks again gets the same
trials, an epoch that is reported again changes nothing, a trial ends once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hpo.history import Trial
from hpo.history.equals import Agreed
from hpo.protocol import Answer, Hand
from hpo.referee.custody import Custody
from hpo.referee.dispatch import Dispatch
from hpo.referee.judging import Judging
from hpo.referee.records import Records
from hpo.referee.undecided import Undecided
from hpo.trial import AFTER, AT_MOST, AT_ONCE, COSTS, Attempt, Divergence, Ending, Outcome, Point, Proposal
from hpo.wish import Wish


class Referee:
    """Answers three questions: `ask` → trials, `report` → who goes on, `tell` → taken in.

    Everything that it answers is appended to the ledger; `flush` makes it durable. Its host flushes
    before it passes on the answer of `ask` or `tell`, and now and then after `report`.
    """

    def __init__(self, store: str, name: str, session: int) -> None:
        self._records = records = Records(store, name, session)
        self._history, self._costs = records.history, Agreed(records.history)
        self._undecided = Undecided(records.plan.rungs, records.plan.epochs, records.study.judge)
        for trial in self._history.running:
            if trial.undecided is not None:
                self._undecided.add(trial, trial.undecided, saved=True)
        self._custody = Custody(self._history.under_way)
        self._dispatch = Dispatch(records, self._custody, self._undecided)
        self._judging = Judging(records, self._custody, self._undecided)
        self.paused = False

    def flush(self) -> None:
        """Make everything answered so far durable."""
        self._records.flush()

    def requeue(self) -> None:
        """Hand out again what was under way when the last driver stopped; its workers are gone with it."""
        self._custody.requeue(self._history.under_way)

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return up to `size` trials for a cohort; none if there is nothing to hand out now."""
        if cohort not in self._custody:
            self._dispatch.hand(cohort, size)
        return [self._records.plan.whole(trial.proposal) for trial in self._custody.held(cohort)]

    def take_up(self, cohort: str, size: int, worker: str, because: str) -> Hand:
        """Return trials for a cohort as `ask` does, and note that a worker takes up so many, and why."""
        fresh = cohort not in self._custody
        with self._records.together():
            trials = self.ask(cohort, size)
            if fresh:
                notes = {AT_ONCE: len(trials), AT_MOST: size, "because": because}
                self.attempt(cohort, [trial.number for trial in trials], worker, notes)
        return Hand(trials, self._judging.due(trial.number for trial in trials))

    @property
    def ready(self) -> bool:
        """Whether there is a trial to hand out now."""
        return self._dispatch.ready

    @property
    def exhausted(self) -> bool:
        """Whether no trial is under way and none will be handed out."""
        return not self._history.running and not self.ready

    def wished(self) -> Wish:
        """Return what people ask of this session, and note what it has used; both may wait for the ledger."""
        return self._records.wished()

    def heed(self, wish: Wish) -> None:
        """Do what people ask: note how many trials there shall be, and whether training is `paused`.

        From then on it is as if so many had been ordered: with few trials, few are confirmed. The clock of a
        search stands still while it is paused; call this about once a second.
        """
        self.paused = wish.paused
        self._records.heed(wish)

    def attempt(self, cohort: str, trials: Iterable[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note that a worker took up these trials for a cohort, in what way, and why the last one died."""
        costs = notes.get(COSTS, {})
        for trial in map(self._history.trials.__getitem__, trials):
            if trial.number in self._undecided and trial.cohort == cohort:
                continue  # who has left it is not taken up by it
            self._undecided.discard(trial.number)
            own: dict[str, Any] = {name: it for name, it in notes.items() if name != COSTS}
            if str(trial.number) in costs:
                own[COSTS] = self._costs.on(trial.proposal.config, costs[str(trial.number)])
            if self._custody.reason(trial):
                own[AFTER] = self._custody.reason(trial)
            self._records.tell(Attempt(trial.number, worker, cohort, own))

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Take in what a cohort's last epochs measured; return which trials go on, and which are undecided.

        Raises:
            MissingEpochError: an earlier epoch of theirs is not known; nothing was taken in.
        """
        return self._judging.report(reports)

    def saved(self, trials: Collection[int]) -> None:
        """Take in that undecided ones are saved, so that others can take them up."""
        self._undecided.saved(trials)

    def tell(self, endings: Collection[Ending], reports: Sequence[Point | Divergence] = ()) -> None:
        """Take in the last reports and how trials ended; one that has ended already stays as it is.

        Raises:
            MissingEpochError: an epoch of a finished trial is not known; nothing was taken in.
        """
        finished = (ending.trial for ending in endings if ending.outcome is Outcome.FINISHED)
        self._judging.check_known(reports, finished)
        self.report(reports)
        for ending in endings:
            trial = self._history.trials[ending.trial]
            if not trial.ending:
                self._records.end(trial, ending.outcome, ending.reason, ending.notes)

    @property
    def cohorts(self) -> list[str]:
        """Those that were handed trials and were not lost, also before this referee was made."""
        return self._custody.cohorts

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a cohort's worker died: its trials are handed out again, if that is worth it.

        Returns whether the cohort had any trials.
        """
        trials = self._custody.let_go(cohort)
        self._undecided.saved(self._undecided.left_by(cohort))  # as far as they ever will be
        for trial in trials:
            if not trial.ending:
                self._lose(trial, reason)
        return bool(trials)

    def _lose(self, trial: Trial, reason: str) -> None:
        if trial.epochs == self._records.plan.epochs:
            self._records.end(trial, Outcome.FINISHED)  # only its worker's last word is missing
        elif not self._custody.lose(trial, reason):
            self._records.end(trial, Outcome.LOST, reason)
