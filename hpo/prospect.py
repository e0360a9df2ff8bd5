"""What more trials are expected to bring, by those that a search knows.

If n trials had come in another order, each would have been among the first n·s with the chance s. So what the
last of them brought, on average over all orders, is how much better the best of all is than that of a part:

    gain(m) = Σᵢ s (1 - s)^(i-1) (cᵢ - c₁),    s = n / (n + m),

where c₁ ≤ c₂ ≤ … are their costs (the score, or its negative if more is better). The first n·s are to all n
as n to n + m, and gains shrink as trials add up, so it is what m more are expected to bring, or a bit above:
the best of k after Dodge et al. (Show Your Work, EMNLP 2019, arXiv 1909.03004), looked at from its end. It is
worth it while it exceeds what the score moves by anyway (Makarova et al., Automatic Termination for
Hyperparameter Optimization, AutoML 2022, arXiv 2104.08166).

A trial that was stopped early, or diverged, counts as the middle one of those that finished: it was not among
the best. That any order was as likely does not hold for samplers that learn.
"""

from __future__ import annotations

import bisect
import math
from statistics import median
from typing import Final

from hpo.history import Trial
from hpo.noise import FEWEST, wobble
from hpo.recipe import Objective
from hpo.trial import Outcome

_ENOUGH: Final = 20
_FINISHED: Final = 8
"""So many trials, and so many that finished, before more can be said to be in vain."""
_AGAIN: Final = 0.25
"""It is asked of this part of the trials so far, at least: towards its end, little is left of any budget."""
_DEEP: Final = 64  # ranks that can still be the best of a part
_BEST: Final = 5  # whose curves say what the score moves by anyway


class Prospect:
    """What is known of the trials of a search that have ended, as each is taken in."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._costs: list[float] = []  # of those that finished, the best first
        self._others = 0  # that were stopped or diverged
        self._best: list[tuple[float, int, float]] = []  # cost, number and wobble

    def take(self, trial: Trial) -> None:
        """Take in a trial that has ended; one that failed says nothing."""
        if trial.outcome in (Outcome.PRUNED, Outcome.DIVERGED):
            self._others += 1
        elif trial.outcome is Outcome.FINISHED and math.isfinite(self._objective.cost(trial.score)):
            bisect.insort(self._costs, self._objective.cost(trial.score))
            self._take_curve(trial)

    def _take_curve(self, trial: Trial) -> None:
        if trial.epochs >= FEWEST and math.isfinite(wobble(trial)):
            bisect.insort(self._best, (self._objective.cost(trial.score), trial.number, wobble(trial)))
            del self._best[_BEST:]

    @property
    def noise(self) -> float | None:
        """What the score of the best moves by from epoch to epoch; None as long as that is unknown."""
        return median(it for _, _, it in self._best) if self._best else None

    def gain(self, more: float) -> float | None:
        """Return what so many trials more, or a quarter of those known, are expected to better the score by.

        None if it is too early to say.
        """
        known = len(self._costs) + self._others
        if known < _ENOUGH or len(self._costs) < _FINISHED:
            return None
        stays, left, gain = known / (known + max(more, _AGAIN * known)), 1.0, 0.0
        for cost in self._ranked[:_DEEP]:
            gain += left * stays * (cost - self._costs[0])
            left *= 1 - stays
        return gain + left * (self._costs[-1] - self._costs[0])

    @property
    def _ranked(self) -> list[float]:
        """The costs of all, best first."""
        half = len(self._costs) // 2
        return [*self._costs[:half], *[self._costs[half]] * min(self._others, _DEEP), *self._costs[half:]]
