"""Which trials a worker is handed that asks for some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hpo.history import Trial
from hpo.referee.custody import Custody
from hpo.referee.records import Records
from hpo.referee.undecided import Undecided
from hpo.trial import PROOF, Outcome, Proposal


class Dispatch:
    """Hands out trials: those that wait for a worker, those that go on after a rung, and new ones."""

    def __init__(self, records: Records, custody: Custody, undecided: Undecided) -> None:
        self._records, self._study, self._history = records, records.study, records.history
        self._custody, self._undecided = custody, undecided

    @property
    def ready(self) -> bool:
        """Whether there is a trial to hand out now."""
        agenda = self._records.agenda
        if self._custody.next or self._undecided or (agenda.proposes and self._study.ready):
            return True
        return bool(agenda.unconfirmed) or agenda.unproved is not None

    def hand(self, cohort: str, size: int) -> None:
        """Hand up to `size` trials to a cohort; none if there is nothing to hand out now."""
        self._custody.hand(cohort, self._custody.suspect() or self._several(cohort, size))

    def _several(self, cohort: str, size: int) -> list[Trial]:
        trials = [] if self._custody.next else self._together(size)
        if trials:
            return trials
        while len(trials) < size and self._fits(trials):
            trial = self._take(cohort)
            if trial is None:
                break
            trials.append(trial)
        return trials

    def _fits(self, trials: Sequence[Trial]) -> bool:
        """Whether what is handed out next may train with these: they share weights, so they share a seed."""
        if not trials:
            return True
        first, following = trials[0].proposal, self._custody.next
        return following.proposal.seed == first.seed if following else first.searched

    def _together(self, size: int) -> list[Trial]:
        """Take those of the undecided that go on; end who is beaten, or for whom nothing is left."""
        self._records.look_ahead()
        trained: float = self._history.epochs
        if not self._records.agenda.proposes:  # nobody will come with whom to share a stack
            left = sum(trial.proposal.searched for trial in self._history.running)
            trained, size = math.inf, min(size, math.ceil(left / self._records.plan.at_work))
        stops, on = self._undecided.decide(trained, size)
        for trial in stops:
            self._records.end(trial, Outcome.PRUNED)
        spent = [trial for trial in on if self._records.spending.ends(trial)]
        for trial in spent:
            self._records.end_unpaid(trial)
        return self._together(size) if on and on == spent else [it for it in on if it not in spent]

    def _take(self, cohort: str) -> Trial | None:
        if self._custody.next:
            return self._custody.take()
        self._records.look_ahead()
        return self._begin(cohort)

    def _begin(self, cohort: str) -> Trial | None:
        """Begin what comes next of the search, of its rounds with fresh seeds, or the proof."""
        agenda = self._records.agenda
        if agenda.proposes:
            return self._propose(cohort) if self._study.ready else None
        if confirmations := agenda.unconfirmed:
            self._open_round(confirmations)
            return self._custody.take()
        if winner := agenda.unproved:
            proof = Proposal(len(self._history.trials), winner.proposal.config, PROOF, cohort=cohort)
            return self._records.begin(proof)
        return None

    def _propose(self, cohort: str) -> Trial:
        proposal = self._records.add(replace(self._study.propose(), cohort=cohort))
        return self._history.trials[proposal.number]

    def _open_round(self, confirmations: Sequence[Proposal]) -> None:
        with self._records.together():  # half a round would compare some of the best with none of the others
            self._custody.await_worker([self._records.begin(it) for it in confirmations])
