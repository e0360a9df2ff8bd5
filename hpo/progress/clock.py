"""The clock of a search: it stands still in a pause, and goes on where an earlier session left it."""

from __future__ import annotations

import time


class Clock:
    """Counts from `before` on, `pace` for each second: one, or as many devices as train."""

    def __init__(self, before: float = 0.0, pace: float = 1.0) -> None:
        self._pace, self._reading = pace, before
        self._last = time.monotonic()
        self._paused = False

    @property
    def now(self) -> float:
        """What it shows."""
        return self._reading + (0.0 if self._paused else self._pace * (time.monotonic() - self._last))

    def hear(self, *, paused: bool) -> None:
        """Take in whether the search is paused from now on."""
        self._reading, self._last, self._paused = self.now, time.monotonic(), paused

    def put(self, reading: float) -> None:
        """Put the clock to a reading."""
        self._reading, self._last = reading, time.monotonic()
