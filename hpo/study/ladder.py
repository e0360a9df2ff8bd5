"""A pruner of many rungs close together: at each, the best third of those that got there goes on.

Asynchronous successive halving (Li et al., 2020, arXiv 1810.05934) in its stopping form, but with two numbers
in place of one: what a rung lets pass, and how far the next one is. The first rungs are cheap and cull most.
Who would pass only because a third of few trials is rounded up is not decided yet.

A rate that decays makes up late for what it held back, so the more it is still to fall, the less a rung asks:
of trials whose rate falls to nothing, two thirds go on.
"""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from hpo.planning.rungs import DECAYING, PASSES, ladder
from hpo.trial import Judgment

ToFall = Callable[[int, int], float]
"""Of a trial's number and an epoch, how far its rate is still to fall, in [0, 1]."""
Place = Callable[[int, int, int], tuple[int, int]]
"""Of a trial's number, a rung and the one below: how many rivals were better there, and how many it has."""


class Ladder(BasePruner):
    """Stops a trial at a rung if a third of its rivals, itself among them, is better; more, before a decay.

    Rivals at a rung are those that have been measured there and those that diverged on the way to it.
    """

    def __init__(self, epochs: int, to_fall: ToFall, place: Place) -> None:
        self.rungs, self._to_fall, self._place = ladder(epochs), to_fall, place

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002 - Optuna's own signature
        """Return whether the trial, after its last epoch, is to stop."""
        return self.judge(trial.number, trial.last_step or 0) is Judgment.STOPS

    def judge(self, trial: int, epoch: int) -> Judgment:
        """Return what becomes of a trial after this epoch, its last, as far as its rivals by now say."""
        if epoch not in self.rungs:
            return Judgment.GOES_ON
        below = max((rung for rung in self.rungs if rung < epoch), default=0)
        better, rivals = self._place(trial, epoch, below)
        if better + 1 <= _passing(0.0) * rivals:
            return Judgment.GOES_ON  # however far its rate is to fall, which takes long to tell
        if better >= _passing(1.0) * rivals:
            return Judgment.STOPS
        passing = _passing(self._to_fall(trial, epoch)) * rivals
        if better >= passing:
            return Judgment.STOPS
        return Judgment.GOES_ON if better + 1 <= passing else Judgment.UNDECIDED


def _passing(to_fall: float) -> float:
    """Return the share that goes on of trials whose rate is still to fall so far."""
    return PASSES + (DECAYING - PASSES) * to_fall
