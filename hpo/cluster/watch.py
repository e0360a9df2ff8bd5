"""Who has not reported for too long, and so hangs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LEAST_SECONDS: Final = 600.0
_EPOCHS: Final = 20
_LONGEST_LOOK_SECONDS: Final = 5.0


class Watch:
    """Adds up for each shift how long nothing was heard of it.

    Only time in which someone looks counts: when this process, or the whole machine, was stopped for a
    while, reports may be waiting to be heard. Nor does time in which it waits for an answer of ours.

    Args:
        within: how many seconds may pass between two reports; None: ten minutes, or 20 times the longest
            pause that was no hang, if that is more.
        clock: tells the seconds.
    """

    def __init__(self, within: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._within, self._clock = within, clock
        self._silence: dict[str, float] = {}
        self._owed = Counter[str]()  # the answers that each waits for
        self._longest, self._looked = 0.0, clock()

    @property
    def limit(self) -> float:
        """The seconds after which a silent worker is taken to hang."""
        return self._within or max(LEAST_SECONDS, _EPOCHS * self._longest)

    @property
    def shifts(self) -> list[str]:
        """Who is watched."""
        return list(self._silence)

    def hear(self, shift: str) -> None:
        """Take in a sign of life; the first one begins the watch."""
        self._longest = max(self._longest, self._silence.get(shift, 0.0))
        self._silence[shift] = 0.0

    def forget(self, shift: str) -> None:
        """Take in that a shift is over."""
        self._silence.pop(shift, None)

    @contextmanager
    def answering(self, *shifts: str) -> Iterator[None]:
        """Count no time of these, which wait for an answer, however long that takes."""
        self._owed.update(shifts)
        try:
            yield
        finally:
            self._owed.subtract(shifts)

    def look(self) -> list[str]:
        """Return who hangs; call it every second or so."""
        now = self._clock()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK_SECONDS), now
        for shift in self._silence:
            self._silence[shift] += 0.0 if self._owed[shift] > 0 else passed
        return [shift for shift, silence in self._silence.items() if silence > self.limit]
