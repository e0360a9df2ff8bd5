"""Where pruners compare trials, and how long a trial is expected to train under each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import count, takewhile
from typing import Final, NamedTuple

HALVING: Final = 2
HYPERBAND: Final = 3
"""From rung to rung of these, so many times the epochs for one of so many."""
PASSES: Final = 1 / 3
"""Of those that got to a rung of the ladder, so many go on."""
GENTLY: Final = 2 / 3
"""So many, where a rung can tell nothing yet."""
_STEP: Final = 2.25  # from rung to rung of the ladder
_LOWEST: Final = 0.03  # of a full training: below, a curve says little


class Rungs(NamedTuple):
    """The epochs `at` which trials are compared, and the share of them that goes on.

    `onwards`: they are compared after each epoch from the first of these on.
    """

    at: tuple[int, ...]
    passes: float = 1.0
    onwards: bool = False

    @property
    def gentlest(self) -> Rungs:
        """What these are to a trial of which they can tell nothing yet."""
        return self._replace(passes=GENTLY) if self.passes == PASSES else self

    def next(self, epoch: int) -> float:
        """Return the first epoch after this one at which a trial is compared; infinity if there is none."""
        following = (it for it in self.at if it > epoch)
        return epoch + 1 if self.onwards and epoch >= self.at[0] else next(following, math.inf)

    def further(self, epochs: int, trained: int = 0) -> float:
        """Return how many of its epochs a trial that has trained so many is expected to train yet."""
        expected, share, last = 0.0, 1.0, trained
        for rung in (it for it in self.at if trained < it < epochs):
            expected += share * (rung - last)
            share, last = share * self.passes, rung
        return expected + share * (epochs - last)


def rungs(pruner: str, epochs: int) -> Rungs:
    """Return the rungs of a pruner; of one that mixes ladders, or judges each epoch, something like them."""
    return _RUNGS[pruner](epochs)


def ladder(epochs: int) -> tuple[int, ...]:
    """Return the rungs of `hpo.study.ladder`."""
    return tuple(sorted(set(_downwards(epochs))))


def _downwards(epochs: int) -> Iterator[int]:
    height = epochs / _STEP
    while height >= max(0.8, _LOWEST * epochs):
        yield round(height)
        height /= _STEP


def halving_begins(epochs: int) -> int:
    """Return the first rung of halving."""
    return max(1, round(epochs / 6))


def median_begins(epochs: int) -> int:
    """Return the epochs that the median of all is not asked for."""
    return max(1, epochs // 6)


def _powers(first: int, factor: int, epochs: int) -> tuple[int, ...]:
    return tuple(takewhile(lambda rung: rung < epochs, (first * factor**power for power in count())))


_RUNGS: Final[Mapping[str, Callable[[int], Rungs]]] = {
    "ladder": lambda epochs: Rungs(ladder(epochs), PASSES),
    "halving": lambda epochs: Rungs(_powers(halving_begins(epochs), HALVING, epochs), 1 / HALVING),
    "hyperband": lambda epochs: Rungs(_powers(1, HYPERBAND, epochs), 1 / 2),
    "median": lambda epochs: Rungs((median_begins(epochs),), 1 / 2, onwards=True),
    "none": lambda _: Rungs(()),
}
