"""Trials that wait, saved and with no worker, until it is known whether they are among the best of a rung.

At a rung of which a third goes on, the first of two trials is neither in the best third nor out of it. To let
it go on at once, as asynchronous halving in its stopping form does, trains far too long who came early. To
wait until three have come, as in its promoting form (Li et al., 2020, arXiv 1810.05934), costs a checkpoint.
Unlike there, who was stopped is not taken up again, and nobody waits for ever: where nearly all are good,
nothing is gained by it.

A rung also thins a stack, and a thin one trains each of its trials more slowly. So those that are left of it
wait, too, and then train with others of the same epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from hpo.history import Trial
from hpo.planning.rungs import Rungs
from hpo.trial import Judgment, Point

_PATIENCE: Final = 2
"""So many times as long as its stack would train to its next rung, a trial waits at most."""
_THIN: Final = 0.5
"""Of the trials that a worker would train at once; with fewer, a stack is thin."""
_WORTH: Final = 0.02
"""The seconds that a trial must gain by company, at the most: to be saved, taken up and read takes half."""


class Decided(NamedTuple):
    """Which of the trials that waited `stops`, and which are to go `on` now, together."""

    stops: list[Trial]
    on: list[Trial]


@dataclass
class _Waiting:
    """A trial that waits until the search has trained so many epochs; `saved`: others can take it up."""

    trial: Trial
    until: int
    saved: bool


class Undecided:
    """The trials that wait.

    Args:
        rungs: where trials are compared.
        epochs: of a full training.
        judge: says what becomes of a trial, by its number and what is known now.
    """

    def __init__(self, rungs: Rungs, epochs: int, judge: Callable[[int], Judgment]) -> None:
        self._rungs, self._judge = (*rungs.at, epochs), judge
        self._waiting: dict[int, _Waiting] = {}

    def __contains__(self, trial: int) -> bool:
        return trial in self._waiting

    def __len__(self) -> int:
        """Return how many can be taken up, if they go on."""
        return sum(it.saved for it in self._waiting.values())

    def add(self, trial: Trial, trained: int, *, saved: bool) -> None:
        """Let a trial wait, as many epochs as the search has `trained` by now."""
        until = trained + _PATIENCE * self._stretch(trial.epochs) * trial.at_most
        self._waiting[trial.number] = _Waiting(trial, until, saved)

    def want_company(self, left: Sequence[Trial], of: int, point: Point) -> bool:
        """Whether a rung leaves so few of a stack that it is worth it to save them, for others to join them.

        They go on for a while, in a stack of as many as they were; in what is left of it as many times longer
        as there are fewer, at the most: where a step takes what a single trial's takes.

        Args:
            left: who is to go on of a stack.
            of: how many these were in their last epoch.
            point: what one of them measured in that.
        """
        if point.epoch not in self._rungs or not _thin(len(left), left[0].at_most):
            return False
        seconds = self._stretch(point.epoch) * point.seconds
        return seconds * (of / len(left) - 1) >= _WORTH

    def _stretch(self, epoch: int) -> int:
        """Return how many epochs there are from this one to the next rung, or the end."""
        return min((rung for rung in self._rungs if rung > epoch), default=epoch) - epoch

    def saved(self, trials: Collection[int]) -> None:
        """Take in that these can be taken up from now on."""
        for number in self._waiting.keys() & {*trials}:
            self._waiting[number].saved = True

    def left_by(self, cohort: str) -> list[int]:
        """Return who waits of a cohort."""
        return [number for number, it in self._waiting.items() if it.trial.cohort == cohort]

    def discard(self, trial: int) -> None:
        """Let it wait no longer, if it does."""
        self._waiting.pop(trial, None)

    def decide(self, trained: float, size: int) -> Decided:
        """Decide what can be decided, of who has trained furthest first.

        Those that go on have trained equally far. They are enough for a worker that would train `size` at
        once, if none of them has waited too long. Nobody waits any longer who is returned.

        Args:
            trained: how many epochs the search has trained; beyond all bounds, if no rivals will come.
            size: how many go on at most.
        """
        able = [it for it in self._waiting.values() if it.saved]
        furthest = sorted(able, key=lambda it: (-it.trial.epochs, it.trial.number))
        judged = {it.trial.number: self._judge(it.trial.number) for it in furthest}
        stops = [it.trial for it in furthest if judged[it.trial.number] is Judgment.STOPS]
        sure = [it for it in furthest if judged[it.trial.number] is Judgment.GOES_ON]
        weary = [
            it for it in furthest if judged[it.trial.number] is Judgment.UNDECIDED and it.until <= trained
        ]
        on = _together(sorted([*sure, *weary], key=lambda it: -it.trial.epochs), trained, size)
        for trial in (*stops, *on):
            self.discard(trial.number)
        return Decided(stops, on)


def _thin(trials: int, size: int) -> bool:
    """Whether so many trials are too few for a worker that would train `size` at once."""
    return trials < _THIN * size


def _together(waiting: list[_Waiting], trained: float, size: int) -> list[Trial]:
    """Return the first of these that go on together."""
    for _, alike in groupby(waiting, key=lambda it: it.trial.epochs):
        group = [*alike]
        if not _thin(len(group), size) or any(it.until <= trained for it in group):
            return [it.trial for it in group[:size]]
    return []
