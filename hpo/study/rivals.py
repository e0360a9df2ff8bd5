"""Against whom a trial is judged: who was measured after the same epoch, and who has diverged meanwhile.

What a pruner computes grows with the trials that it sees, so it sees the latest few hundred of these, by
their numbers; they say as much as all of them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from typing import Final

MOST: Final = 500


class Rivals:
    """The numbers of trials, by the epochs after which they were measured."""

    def __init__(self) -> None:
        self._measured: dict[int, list[int]] = defaultdict(list)
        self._diverged: list[int] = []

    def measured(self, trial: int, epoch: int) -> None:
        """Take in that a trial was measured after this epoch."""
        insort(self._measured[epoch], trial)

    def diverged(self, trial: int) -> None:
        """Take in that a trial has diverged."""
        insort(self._diverged, trial)

    def of(self, trial: int, epoch: int, known: int) -> set[int]:
        """Return against whom a trial is judged after this epoch, and itself.

        Args:
            trial: its number.
            epoch: the epoch.
            known: only trials with lower numbers count.
        """
        latest = _latest(self._measured[epoch], known)
        since = latest[0] if latest else 0
        return {trial, *latest, *(it for it in _latest(self._diverged, known) if it >= since)}


def _latest(trials: list[int], known: int) -> list[int]:
    end = bisect_left(trials, known)
    return trials[max(end - MOST, 0) : end]
