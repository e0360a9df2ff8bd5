"""Trials that wait, saved and with no worker, until it is known whether they are among the best of a rung.

At a rung of which a third goes on, the first of two trials is neither in the best third nor out of it. To let
it go on at once, as asynchronous halving in its stopping form does, trains far too long who came early. To
wait until three have come, as in its promoting form (Li et al., 2020, arXiv 1810.05934), costs a checkpoint.
Unlike there, who was stopped is not taken up again, and nobody waits for ever: where nearly all are good,
nothing is gained by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from hpo.history import Trial
from hpo.rungs import Rungs
from hpo.trial import Judgment

_PATIENCE: Final = 2
"""So many times as long as it would train to its next rung, a trial waits at most."""


class Decided(NamedTuple):
    """Which of the trials that waited `stops`, and which is to go `on` now, if one is."""

    stops: list[Trial]
    on: Trial | None


class Undecided:
    """The trials that wait.

    Args:
        rungs: where trials are compared.
        epochs: of a full training.
        judge: says what becomes of a trial, by its number and what is known now.
    """

    def __init__(self, rungs: Rungs, epochs: int, judge: Callable[[int], Judgment]) -> None:
        self._rungs, self._judge = (*rungs.at, epochs), judge
        self._waiting: dict[int, Trial] = {}
        self._until: dict[int, int] = {}

    def __contains__(self, trial: int) -> bool:
        return trial in self._waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, trial: Trial, trained: int) -> None:
        """Let a trial wait, as many epochs as the search has `trained` by now."""
        stretch = min(rung for rung in self._rungs if rung > trial.epochs) - trial.epochs
        self._waiting[trial.number] = trial
        self._until[trial.number] = trained + _PATIENCE * stretch

    def discard(self, trial: int) -> None:
        """Let it wait no longer, if it does."""
        self._waiting.pop(trial, None)
        self._until.pop(trial, None)

    def decide(self, trained: float) -> Decided:
        """Decide what can be decided, of who has trained furthest first; one at a time goes on.

        Nobody waits any longer who is returned.

        Args:
            trained: how many epochs the search has trained; beyond all bounds, if no rivals will come.
        """
        furthest = sorted(self._waiting.values(), key=lambda it: (-it.epochs, it.number))
        judged = {trial.number: self._judge(trial.number) for trial in furthest}
        stops = [trial for trial in furthest if judged[trial.number] is Judgment.STOPS]
        sure = [trial for trial in furthest if judged[trial.number] is Judgment.GOES_ON]
        weary = [
            trial
            for trial in furthest
            if judged[trial.number] is Judgment.UNDECIDED and self._until[trial.number] <= trained
        ]
        on = next(iter([*sure, *weary]), None)
        for trial in (*stops, *([on] if on else [])):
            self.discard(trial.number)
        return Decided(stops, on)
