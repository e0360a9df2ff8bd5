"""A worker's shift: it takes up one cohort after another, and goes back to Tune now and then.

Tune takes about 50 ms of the driver's time for each of its trials, and more on the clock. So one of its
trials is a shift, not a cohort; it ends when there is nothing to take up, or after a while, so that Tune can
give the place to another search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, pairwise
from typing import Final

from hpo.worker.line import Line

_SECONDS: Final = 10.0
_TUNE_SECONDS: Final = 0.05
_SHARE: Final = 0.5  # of its time, that the driver may spend on Tune


def length(workers: int) -> float:
    """Return after how many seconds a shift ends where so many work."""
    return max(_SECONDS, workers * _TUNE_SECONDS / _SHARE)


def cohorts(
    shift: str, seconds: float, line: Line, clock: Callable[[], float] = time.monotonic
) -> Iterator[str]:
    """Yield the names of a shift's cohorts, one at least, until so many seconds are over.

    Before that the line may ask for the next one's trials ahead; if it has them, that one comes in any case.
    """
    until, names = clock() + seconds, (f"{shift}.{number}" for number in count())
    for name, following in pairwise(names):
        line.following = partial(_in_time, following, until, clock)
        yield name
        if not line.handed and clock() >= until:
            return


def _in_time(name: str, until: float, clock: Callable[[], float]) -> str:
    return name if clock() < until else ""


def shift_of(cohort: str) -> str:
    """Return the shift of a cohort, or of the shift itself."""
    return cohort.partition(".")[0]
