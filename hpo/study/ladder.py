"""A pruner of many rungs close together: at each, the best third of those that got there goes on.

Asynchronous successive halving (Li et al., 2020, arXiv 1810.05934) in its stopping form, but with two numbers
in place of one: what a rung lets pass, and how far the next one is. The first rungs are cheap and cull most.

A rate that decays makes up late for what it held back, so the more it is still to fall, the less a rung asks:
of trials whose rate falls to nothing, two thirds go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

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
        curves = [it.intermediate_values for it in study.get_trials(deepcopy=False)]
        scores = [sign * curve[epoch] for curve in curves if epoch in curve]  # NaN is less than none
        rivals = len(scores) + sum(_diverged(curve, below, epoch) for curve in curves if epoch not in curve)
        own = sign * trial.intermediate_values[epoch]
        better = sum(score < own for score in scores)
        if better < _passing(0.0) * rivals:
            return False  # however far its rate is to fall, which takes long to tell
        return better >= _passing(self._to_fall(trial.number, epoch)) * rivals


def _passing(to_fall: float) -> float:
    """Return the share that goes on of trials whose rate is still to fall so far."""
    return PASSES + (DECAYING - PASSES) * to_fall


def _diverged(curve: Mapping[int, float], below: int, epoch: int) -> bool:
    """Return whether a trial of this curve diverged after the rung below and before this epoch."""
    last = max(curve, default=0)
    return below < last < epoch and math.isnan(curve[last])
