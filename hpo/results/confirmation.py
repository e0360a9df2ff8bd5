"""What fresh seeds say of the best: intervals, who can be told apart, and how much the search flattered.

The best of many noisy trials is a lucky one, so its score in the search is too good. Trained again with seeds
that chose nothing it is not. Intervals are Student's, at 95 % (Student, The probable error of a mean,
Biometrika 1908); two configurations are compared by their differences seed by seed, since they share weights
and data order, which cancels what a seed does to both (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

from hpo.history import History, Standing

_SURE: Final = 0.95


class Interval(NamedTuple):
    """Where a mean lies, 19 times of 20."""

    low: float
    high: float


def interval(values: Sequence[float]) -> Interval | None:
    """Return where the mean of such values lies; None if they are fewer than two, or not all are finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    from scipy.special import stdtrit  # takes a while to import, and most searches are shown without it

    half = float(stdtrit(len(values) - 1, (1 + _SURE) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half)


def lead(history: History, first: Standing, other: Standing) -> Interval | None:
    """Return how much better the first is than the other with the same seed; None if that cannot be said."""
    cost = history.objective.cost
    return interval([cost(other.scores[seed]) - cost(score) for seed, score in first.scores.items()])


def flattery(history: History, standing: Standing) -> float:
    """Return how much better the search made it look than fresh seeds do."""
    cost = history.objective.cost
    return cost(standing.median) - cost(standing.trial.score)


def like_the_winner(history: History) -> list[Standing]:
    """Return those that cannot be told apart from the winner: it does not surely lead them.

    The median chose it. Where that is by a hair, it may even be behind with most seeds.
    """
    first, *others = history.standings
    return [it for it in others if it.sound and not _is_sure(lead(history, first, it))]


def _is_sure(found: Interval | None) -> bool:
    return found is not None and found.low > 0


def describe(history: History) -> dict[str, Any] | None:
    """Return what fresh seeds say, as JSON takes it; None if nothing was trained with any."""
    standings = history.standings
    if not standings:
        return None
    alike = {it.number for it in like_the_winner(history)}
    return {
        "winner": standings[0].number,
        "seeds": list(standings[0].again),
        "standings": [
            _described(history, it) | {"like_the_winner": it is standings[0] or it.number in alike}
            for it in standings
        ],
        "test": history.test,
    }


def _described(history: History, standing: Standing) -> dict[str, Any]:
    found = interval(list(standing.scores.values()))
    return {
        "trial": standing.number,
        "scores": {str(seed): _finite(score) for seed, score in standing.scores.items()},
        "median": _finite(standing.median),
        "interval": found and list(found),
        "searched": standing.trial.score,
        "flattery": _finite(flattery(history, standing)),
    }


def _finite(number: float) -> float | None:
    """JSON has no words for NaN and infinities."""
    return number if math.isfinite(number) else None
