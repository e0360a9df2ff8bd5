"""What a session uses of a budget by the clock, noted now and then, so that the next one counts on."""

from __future__ import annotations

import time
from typing import Final

from hpo.clock import Clock
from hpo.ledger.ledger import Ledger

_SECONDS: Final = 5.0
"""So often it is noted; what a session that is killed has used since then counts for nothing."""


class Meter:
    """The `clock` of a search in one of its sessions: it began when that did, on top of those before.

    Args:
        ledger: where it is noted.
        session: the session's number.
        devices: how many its workers hold.
        of_devices: whether the time of each of them counts.
    """

    def __init__(self, ledger: Ledger, session: int, devices: float, *, of_devices: bool) -> None:
        self._ledger, self._session, self._devices = ledger, session, devices
        self._pace = devices if of_devices else 1.0
        self._before, own = ledger.used(session, of_devices=of_devices)
        began = self._pace * ledger.since(session) if own is None else own
        self.clock = Clock(self._before + began, self._pace)
        self._noted: float | None = None

    def note(self) -> None:
        """Note what the session has used, unless that was done a moment ago."""
        now = time.monotonic()
        if self._noted is None or now >= self._noted + _SECONDS:
            self._noted = now
            seconds = (self.clock.now - self._before) / self._pace
            self._ledger.note_used(self._session, seconds, self._devices)
