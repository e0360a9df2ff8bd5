"""A worker's shift: it takes up one cohort after another, and goes back to Tune now and then.

Tune takes about 50 ms of the driver's time for each of its trials, and more on the clock. So one of its
trials is a shift, not a cohort; it ends when there is nothing to take up, or after a while, so that Tune can
give the place to another search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

_SECONDS: Final = 10.0
_TUNE_SECONDS: Final = 0.05
_SHARE: Final = 0.5  # of its time, that the driver may spend on Tune


def length(workers: int) -> float:
    """Return after how many seconds a shift ends where so many work."""
    return max(_SECONDS, workers * _TUNE_SECONDS / _SHARE)


class Cohorts:
    """The names of a shift's cohorts, one at least, until so many seconds are over."""

    def __init__(self, shift: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = (f"{shift}.{number}" for number in count())
        self._next, self._clock, self._until = next(self._names), clock, clock() + seconds

    def __iter__(self) -> Iterator[str]:
        while name := self.following():
            self._next = ""
            yield name

    def following(self) -> str:
        """Return the cohort that comes next, which then does come; "" if the shift is over."""
        if not self._next and self._clock() < self._until:
            self._next = next(self._names)
        return self._next


def shift_of(cohort: str) -> str:
    """Return the shift of a cohort, or of the shift itself."""
    return cohort.partition(".")[0]
