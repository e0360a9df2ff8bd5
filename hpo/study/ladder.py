"""A pruner of many rungs close together: at each, the best third of those that got there goes on.

Asynchronous successive halving (Li et al., 2020, arXiv 1810.05934) in its stopping form, but with two numbers
in place of one: what a rung lets pass, and how far the next one is. The first rungs are cheap and cull most.

A rate that decays makes up late for what it held back, so the more it is still to fall, the less a rung asks:
of trials whose rate falls to nothing, two thirds go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from hpo.rungs import DECAYING, PASSES, ladder

ToFall = Callable[[int, int], float]
"""Of a trial's number and an epoch, how far its rate is still to fall, in [0, 1]."""


class Ladder(BasePruner):
    """Stops a trial at a rung if a third of its rivals, itself among them, is better; more, before a decay.

    Rivals at a rung are those that have been measured there and those that diverged on the way to it.
    """

    def __init__(self, epochs: int, to_fall: ToFall) -> None:
        self.rungs, self._to_fall = ladder(epochs), to_fall

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the trial, after its last epoch, is to stop."""
        epoch = trial.last_step
        if epoch not in self.rungs:
            return False
        sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
        below = max((rung for rung in self.rungs if rung < epoch), default=0)
        rivals = [
            sign * score if not math.isnan(score) else math.inf
            for it in study.get_trials(deepcopy=False)
            for score in _measured(it, below, epoch)
        ]
        better = sum(cost < sign * trial.intermediate_values[epoch] for cost in rivals)
        passes = PASSES + (DECAYING - PASSES) * self._to_fall(trial.number, epoch)
        return better >= passes * len(rivals)


def _measured(trial: FrozenTrial, below: int, epoch: int) -> list[float]:
    """Return its score after this epoch: NaN if it diverged since the rung below, none if it ended."""
    curve = trial.intermediate_values
    if epoch in curve:
        return [curve[epoch]]
    last = trial.last_step or 0
    return [math.nan] if below < last < epoch and math.isnan(curve[last]) else []
