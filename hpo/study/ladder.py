"""A pruner of many rungs close together: at each, the best third of those that got there goes on.

Asynchronous successive halving (Li et al., 2020, arXiv 1810.05934) in its stopping form, but with two numbers
in place of one: what a rung lets pass, and how far the next one is. The first rungs are cheap and cull most.
Who would pass only because a third of few trials is rounded up is not decided yet.

The less a rung can tell, the less it asks: up to two thirds go on,

- while the learning rate is still to fall, as a decay makes up late for what it held back;
- where those that passed a rung or a later one did not keep their order until the next, as losses then are
  noise, or what learns fast overfits.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Protocol

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from hpo.planning.rungs import GENTLY, PASSES, ladder
from hpo.trial import Judgment

_TRUSTED: Final = 0.5
"""What `Rivals.agreement` of two rungs is where the lower one is to be trusted; at 0 it tells nothing."""
_PRESUMED: Final = 3
"""As if so many trials had kept their order as much as this."""


class Field(Protocol):
    """What a ladder asks about trials, by their numbers."""

    def to_fall(self, trial: int, epoch: int) -> float:
        """Return how far its learning rate is still to fall after this epoch, in [0, 1]."""

    def place(self, trial: int, epoch: int, below: int) -> tuple[int, int]:
        """Return how many rivals were better at this rung, and how many there are since the one below."""

    def agreement(self, trial: int, epoch: int, later: int) -> tuple[float, int]:
        """Return how far trials kept their order between these epochs, in [-1, 1], and how many they were."""


class Ladder(BasePruner):
    """Stops a trial at a rung if a third of its rivals and itself is better; more, where it tells little.

    Rivals at a rung are those that have been measured there and those that diverged on the way to it.
    """

    def __init__(self, epochs: int, field: Field) -> None:
        self.rungs, self._epochs, self._field = ladder(epochs), epochs, field

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002 - Optuna's own signature
        """Return whether the trial, after its last epoch, is to stop."""
        return self.judge(trial.number, trial.last_step or 0) is Judgment.STOPS

    def judge(self, trial: int, epoch: int) -> Judgment:
        """Return what becomes of a trial after this epoch, its last, as far as its rivals by now say."""
        if epoch not in self.rungs:
            return Judgment.GOES_ON
        below = max((rung for rung in self.rungs if rung < epoch), default=0)
        better, rivals = self._field.place(trial, epoch, below)
        if better + 1 <= _passing(0.0) * rivals:
            return Judgment.GOES_ON  # however little the rung tells, which takes long to find out
        if better >= _passing(1.0) * rivals:
            return Judgment.STOPS
        passing = _passing(max(self._field.to_fall(trial, epoch), self._doubt(trial, epoch))) * rivals
        if better >= passing:
            return Judgment.STOPS
        return Judgment.GOES_ON if better + 1 <= passing else Judgment.UNDECIDED

    def _doubt(self, trial: int, epoch: int) -> float:
        """Return how little this rung and those above it foretell, in [0, 1]."""
        above = [*(rung for rung in self.rungs if rung >= epoch), self._epochs]
        found = [self._field.agreement(trial, *rungs) for rungs in pairwise(above)]
        kept = _TRUSTED * _PRESUMED + sum(agreement * trials for agreement, trials in found)
        mean = kept / (_PRESUMED + sum(trials for _, trials in found))
        return min(max(1 - mean / _TRUSTED, 0.0), 1.0)


def _passing(doubt: float) -> float:
    """Return the share that goes on where so much of what a rung says is in doubt."""
    return PASSES + (GENTLY - PASSES) * doubt
