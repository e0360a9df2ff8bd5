"""What more trials are expected to bring, by those that a search knows.

If n trials had come in another order, each would have been among the first n·s with the chance s. So what the
last of them brought, on average over all orders, is how much better the best of all is than that of a part:

    gain(m) = Σᵢ s (1 - s)^(i-1) (cᵢ - c₁),    s = n / (n + m),

where c₁ ≤ c₂ ≤ … are their costs (the score, or its negative if more is better). The first n·s are to all n
as n to n + m, and gains shrink as trials add up, so it is what m more are expected to bring, or a bit above:
the best of k after Dodge et al. (Show Your Work, EMNLP 2019, arXiv 1909.03004), looked at from its end. It is
worth it while it exceeds what the score moves by anyway (Makarova et al., Automatic Termination for
Hyperparameter Optimization, AutoML 2022, arXiv 2104.08166).

With more goals it is asked at equal costs: each that has come up is once the most that may be paid, and the
gain is the mean of what is gained under each of these limits. So no unit of theirs counts, nor how far they
reach, and the result is in the score's own unit, as noise is.

A trial that was stopped early, or diverged, counts as the middle one of those that finished: it was not among
the best. That any order was as likely does not hold for samplers that learn.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections import Counter, defaultdict
from itertools import islice
from operator import le
from statistics import fmean, median
from typing import Final

from hpo.history import Trial
from hpo.history.front import Goals
from hpo.history.noise import FEWEST, wobble
from hpo.recipe import Objective
from hpo.trial import Outcome

_ENOUGH: Final = 20
_FINISHED: Final = 12
"""So many trials, and so many that finished, before more can be said to be in vain."""
_AGAIN: Final = 0.25
"""It is asked of this part of the trials so far, at least: towards its end, little is left of any budget."""
_DEEP: Final = 64  # ranks that can still be the best of a part
_BEST: Final = 5  # whose curves say what the score moves by anyway
_LIMITS: Final = 8  # of what may be paid; of more, an even part is looked at


class Prospect:
    """What is known of the trials of a search that have ended, as each is taken in."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        # By the goals beside the score, which are none where there is one goal:
        self._costs: defaultdict[Goals, list[float]] = defaultdict(list)  # of those that finished, best first
        self._others: Counter[Goals] = Counter()  # that were stopped or diverged
        self._best: list[tuple[float, int, float]] = []  # cost, number and wobble

    def take(self, trial: Trial) -> None:
        """Take in a trial that has ended; one that failed says nothing."""
        cost, *beside = self._objective.goals(trial.score, trial.costs)
        if trial.outcome in (Outcome.PRUNED, Outcome.DIVERGED):
            self._others[tuple(beside)] += 1
        elif trial.outcome is Outcome.FINISHED and math.isfinite(cost):
            bisect.insort(self._costs[tuple(beside)], cost)
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
        finished = sum(map(len, self._costs.values()))
        known = finished + self._others.total()
        if known < _ENOUGH or finished < _FINISHED:
            return None
        stays, limits = known / (known + max(more, _AGAIN * known)), sorted(self._costs, reverse=True)
        return fmean(self._gain(stays, limit) for limit in limits[:: math.ceil(len(limits) / _LIMITS)])

    def _gain(self, stays: float, limit: Goals) -> float:
        """Return what was gained, on average over all orders, by those that cost no more than a limit."""
        ranked, left, gain = self._ranked(limit), 1.0, 0.0
        for cost in ranked:
            gain += left * stays * (cost - ranked[0])
            left *= 1 - stays
        return gain + left * (max(costs[-1] for costs in self._costs.values()) - ranked[0])

    def _ranked(self, limit: Goals) -> list[float]:
        """The costs of those that cost no more than a limit, best first, as far as they count."""
        within = [costs for beside, costs in self._costs.items() if _fits(beside, limit)]
        others = sum(count for beside, count in self._others.items() if _fits(beside, limit))
        best, half = list(islice(heapq.merge(*within), _DEEP)), sum(map(len, within)) // 2
        stopped = best[half : half + 1] * min(others, _DEEP)
        return [*best[:half], *stopped, *best[half:]][:_DEEP]


def _fits(costs: Goals, limit: Goals) -> bool:
    return all(map(le, costs, limit))
