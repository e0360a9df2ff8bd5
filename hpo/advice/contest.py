"""A contest of all against all, decided in n log n steps where asking each pair takes n²."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence


def contest(curves: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return how many others each curve beats; a tie is half a win.

    Two curves are compared where the shorter one ends, and the lower wins. An empty one loses to all others.

    >>> contest({7: [3.0, 1.0], 8: [2.0], 9: []})
    {7: 1.0, 8: 2.0, 9: 0.0}
    """
    won = dict.fromkeys(curves, 0.0)
    waiting = sorted(curves, key=lambda it: len(curves[it]))
    while waiting:
        length = len(curves[waiting[0]])
        here = {it: _after(curves[it], length) for it in waiting}
        ending = [it for it in waiting if len(curves[it]) == length]
        waiting = waiting[len(ending) :]
        all_here, those_that_end = sorted(here.values()), sorted(here[it] for it in ending)
        for it in ending:
            won[it] += _beaten(here[it], all_here) - 0.5  # itself is among them
        for it in waiting:
            won[it] += _beaten(here[it], those_that_end)
    return won


def _after(curve: Sequence[float], length: int) -> float:
    """Return what a curve has come to after so many epochs; after none, how those that have more beat it."""
    if length:
        return curve[length - 1]
    return -math.inf if curve else math.inf


def _beaten(cost: float, others: Sequence[float]) -> float:
    """Return how many of these, given in order, are higher; one that is equal counts half."""
    return len(others) - (bisect_left(others, cost) + bisect_right(others, cost)) / 2
