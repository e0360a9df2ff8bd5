"""Trials that wait, saved and with no worker, until it is known whether they are among the best of a rung.

At a rung of which a third goes on, the first of two trials is neither in the best third nor out of it. To let
it go on at once, as asynchronous halving in its stopping form does, trains whoever came early far too long;
to wait until three have come, as in its promoting form (Li et al., 2020, arXiv 1810.05934), costs nothing but
a checkpoint. What was stopped for good is not taken up again, unlike there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hpo.history import Trial
from hpo.trial import Judgment


class Decided(NamedTuple):
    """Which of the trials that waited `stops`, and which is to go `on` now, if one is."""

    stops: list[Trial]
    on: Trial | None


class Undecided:
    """The trials that wait.

    Args:
        trials: those that do from the beginning.
        judge: says what becomes of a trial, by its number and what is known now.
    """

    def __init__(self, trials: Iterable[Trial], judge: Callable[[int], Judgment]) -> None:
        self._trials, self._judge = {trial.number: trial for trial in trials}, judge

    def __contains__(self, trial: int) -> bool:
        return trial in self._trials

    def __bool__(self) -> bool:
        return bool(self._trials)

    def add(self, trial: Trial) -> None:
        """Let a trial wait."""
        self._trials[trial.number] = trial

    def discard(self, trial: int) -> None:
        """Let it wait no longer, if it does."""
        self._trials.pop(trial, None)

    def decide(self, *, rivals_come: bool) -> Decided:
        """Decide what can be decided; who has trained furthest goes first, and one at a time.

        If no rivals will come, whoever is not beaten goes on. Nobody waits any longer who is returned.
        """
        furthest = sorted(self._trials.values(), key=lambda it: (-it.epochs, it.number))
        judged = {trial.number: self._judge(trial.number) for trial in furthest}
        stops = [trial for trial in furthest if judged[trial.number] is Judgment.STOPS]
        may = [trial for trial in furthest if trial not in stops]
        sure = [trial for trial in may if judged[trial.number] is Judgment.GOES_ON]
        on = next(iter(sure or (may if not rivals_come else [])), None)
        for trial in (*stops, *([on] if on else [])):
            self.discard(trial.number)
        return Decided(stops, on)
