"""Which of several are not beaten in every goal: the Pareto front, what lies behind it, and its knee.

Goals are tuples of numbers to be minimized, all of one length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Goals = tuple[float, ...]


def dominates(one: Goals, other: Goals) -> bool:
    """Whether one is nowhere worse than the other, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front(found: Iterable[Goals]) -> list[int]:
    """Return the places of those that none dominates, in their order; of equal ones the first."""
    goals = list(found)
    first = {it: place for place, it in reversed(list(enumerate(goals)))}
    kept: list[Goals] = []
    for it in sorted(first):  # none is dominated by one that comes later in this order
        if not any(dominates(other, it) for other in kept):
            kept.append(it)
    return sorted(first[it] for it in kept)


class Levels:
    """Fronts one behind the other, kept while numbers with goals come in.

    Who comes in pushes those that it dominates into the next front, and these push on: Li et al. 2017,
    Efficient Nondomination Level Update, doi 10.1109/TCYB.2016.2621008.
    """

    def __init__(self) -> None:
        self._levels: list[dict[int, Goals]] = []
        self._orders: list[list[int]] = []  # of each front, least crowded first; empty until it is asked for

    def add(self, number: int, goals: Goals) -> None:
        """Put a number in its front, and move those that it pushes out."""
        moved, place = {number: goals}, self._place(goals)
        while moved:
            if place == len(self._levels):
                self._levels.append({})
                self._orders.append([])
            moved = self._push(moved, place)
            place += 1

    def _push(self, moved: Mapping[int, Goals], place: int) -> dict[int, Goals]:
        """Put numbers into a front, and return those that they dominate, which leave it."""
        level = self._levels[place]
        pushed = {
            other: its for other, its in level.items() if any(dominates(it, its) for it in moved.values())
        }
        for other in pushed:
            del level[other]
        level.update(moved)
        self._orders[place] = []
        return pushed

    def _place(self, goals: Goals) -> int:
        for place, level in enumerate(self._levels):
            if not any(dominates(other, goals) for other in level.values()):
                return place
        return len(self._levels)

    @property
    def ranking(self) -> list[int]:
        """The numbers, front by front, within each the least crowded first, then the lowest."""
        self._orders = [
            order or _spread(level) for order, level in zip(self._orders, self._levels, strict=True)
        ]
        return [number for order in self._orders for number in order]


def _spread(level: Mapping[int, Goals]) -> list[int]:
    distances = crowding(level)
    return sorted(level, key=lambda number: (-distances[number], number))


def crowding(level: Mapping[int, Goals]) -> dict[int, float]:
    """Return how far each one's neighbours are apart, added up over the goals, each in units of its range.

    Those at the ends of a goal are infinitely far: Deb et al. 2002, A Fast and Elitist Multiobjective Genetic
    Algorithm: NSGA-II, doi 10.1109/4235.996017.
    """
    distances = dict.fromkeys(level, 0.0)
    for goal in zip(*level.values(), strict=True):
        values = dict(zip(level, goal, strict=True))
        order = sorted(level, key=lambda number: (values[number], number))
        span = values[order[-1]] - values[order[0]]
        distances[order[0]] = distances[order[-1]] = math.inf
        if not 0 < span < math.inf:
            continue
        for before, number, after in zip(order, order[1:], order[2:], strict=False):
            distances[number] += (values[after] - values[before]) / span
    return distances


def knee(found: Sequence[Goals]) -> int | None:
    """Return the place of the one nearest to having the best of every goal at once; None of no goals.

    Distances are Euclid's, each goal in units of its range over all that are given: compromise programming
    (Zeleny 1973, in: Multiple Criteria Decision Making).
    """
    if not found:
        return None
    scaled = list(zip(*(_scaled(goal) for goal in zip(*found, strict=True)), strict=True))
    return min(range(len(found)), key=lambda place: (math.hypot(*scaled[place]), place))


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
