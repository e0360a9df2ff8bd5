"""Against whom a trial is judged: who was measured after the same epoch, and who has diverged meanwhile.

What a pruner computes grows with the trials that it sees, so it sees the latest few hundred of these, by
their numbers; they say as much as all of them.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 500
ENOUGH: Final = 50
"""Of so many the order at two rungs is compared: it takes their square."""


class _Column:
    """Who was measured after one epoch, by number, and at what cost each."""

    def __init__(self) -> None:
        self.trials, self.costs = array("q"), array("d")

    def add(self, trial: int, cost: float) -> None:
        place = bisect_left(self.trials, trial)
        self.trials.insert(place, trial)
        self.costs.insert(place, cost)

    def cost(self, trial: int) -> float:
        """Return what a trial cost; not a number if it was not measured."""
        place = bisect_left(self.trials, trial)
        return self.costs[place] if trial in self.trials[place : place + 1] else math.nan


class Rivals:
    """The numbers of trials, by the epochs after which they were measured, and what they cost there."""

    def __init__(self) -> None:
        self._measured: dict[int, _Column] = defaultdict(_Column)
        self._diverged: list[int] = []
        self._fell: dict[int, list[int]] = defaultdict(list)  # by the epoch, as far as pruners are to know

    def measured(self, trial: int, epoch: int, cost: float) -> None:
        """Take in what a trial's score was after this epoch, as a number to be minimized."""
        self._measured[epoch].add(trial, cost)

    def diverged(self, trial: int, epoch: int | None) -> None:
        """Take in that a trial has diverged in this epoch; None if its curve does not say so."""
        insort(self._diverged, trial)
        if epoch is not None:
            insort(self._fell[epoch], trial)

    def of(self, trial: int, epoch: int, known: int) -> set[int]:
        """Return against whom a trial is judged after this epoch, and itself.

        Args:
            trial: its number.
            epoch: the epoch.
            known: only trials with lower numbers count.
        """
        window = _latest(self._measured[epoch].trials, known)
        latest = self._measured[epoch].trials[window]
        return {trial, *latest, *self._diverged_since(latest, known)}

    def place(
        self, trial: int, epoch: int, below: int, known: int, fits: Callable[[int], bool] | None = None
    ) -> tuple[int, int]:
        """Return how many of a trial's rivals were better after this epoch, and how many there are with it.

        Args:
            trial: its number; it was measured after that epoch.
            epoch: the epoch.
            below: who diverged after this epoch and before `epoch`, or in it, is a rival and was worse.
            known: only trials with lower numbers count.
            fits: says of the others which ones count; all, if it is None.
        """
        column = self._measured[epoch]
        window = _latest(column.trials, known)
        trials, costs = column.trials[window], np.asarray(column.costs[window])
        beside = not (trials and trials[0] <= trial < known)  # it is not among the latest itself
        fallen = [it for at in range(below + 1, epoch + 1) for it in self._fallen(at, trials, known)]
        if fits:
            costs = costs[[fits(it) for it in trials]]
            fallen = [it for it in fallen if fits(it)]
        return int(np.count_nonzero(costs < column.cost(trial))), len(costs) + beside + len(fallen)

    def agreement(self, epoch: int, later: int, known: int) -> tuple[float, int]:
        """Return how far trials kept their order from an epoch to a later one, and how many they were.

        That is Kendall's tau, in [-1, 1], with pairs weighted by how far the two are apart after the later
        epoch: by what it costs to take the one for the other. What is worse there than the median counts as
        the median, since only who leads matters. 0 of no trials, where there is nothing to tell apart.

        Args:
            epoch: the one.
            later: the other; of those that were measured after both, the latest count.
            known: only trials with lower numbers count.
        """
        before, after = self._both(epoch, later, known)
        if len(after) < 2:
            return 0.0, 0
        leading = np.minimum(after, np.median(after))
        apart = leading[:, None] - leading
        total = float(np.sum(np.abs(apart)))
        kept = float(np.sum(np.sign(before[:, None] - before) * apart))
        return (kept / total, len(after)) if total else (0.0, 0)

    def _both(self, epoch: int, later: int, known: int) -> NDArray[np.float64]:
        """Return what was measured after both of these epochs, (2, trials)."""
        first, last = self._measured[epoch], self._measured[later]
        window = _latest(last.trials, known, ENOUGH)
        costs = np.array([[first.cost(it) for it in last.trials[window]], last.costs[window]])
        return costs[:, np.isfinite(costs).all(axis=0)]

    def _fallen(self, epoch: int, latest: Sequence[int], known: int) -> list[int]:
        """Return who of them diverged in this epoch."""
        found = self._fell.get(epoch)
        recent = self._diverged_since(latest, known) if found else []
        return found[bisect_left(found, recent[0]) : bisect_left(found, known)] if found and recent else []

    def _diverged_since(self, latest: Sequence[int], known: int) -> list[int]:
        """Return who diverged and is no older than any of these."""
        found = self._diverged[_latest(self._diverged, known)]
        return found[bisect_left(found, latest[0]) :] if latest else found


def _latest(trials: Sequence[int], known: int, most: int = MOST) -> slice:
    end = bisect_left(trials, known)
    return slice(max(end - most, 0), end)
