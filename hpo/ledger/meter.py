"""What sessions use of a budget by the clock, noted now and then, so that the next one counts on."""

from __future__ import annotations

import math
import time
from typing import Final

from sqlalchemy import select, update

from hpo.ledger.ledger import Ledger
from hpo.ledger.liveness import took
from hpo.ledger.schema import sessions
from hpo.progress.clock import Clock

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
        self._before, own = time_used(ledger, session, of_devices=of_devices)
        began = self._pace * _since(ledger, session) if own is None else own
        self.clock = Clock(self._before + began, self._pace)
        self._noted: float | None = None

    def note(self) -> None:
        """Note what the session has used, unless that was done a moment ago."""
        now = time.monotonic()
        if self._noted is None or now >= self._noted + _SECONDS:
            self._noted = now
            seconds = (self.clock.now - self._before) / self._pace
            note_time_used(self._ledger, self._session, seconds, self._devices)


def time_used(ledger: Ledger, session: int, *, of_devices: bool) -> tuple[float, float | None]:
    """Return what a search used before this session, and in it; None if none was noted.

    In seconds on the clock, or of each device. What an older hpo noted is in what was counted then.
    """
    of_search = select(sessions.c.search_id).where(sessions.c.id == session).scalar_subquery()
    with ledger.engine.connect() as connection:
        them = connection.execute(select(sessions).where(sessions.c.search_id == of_search)).all()
    counted = {it.id: took(it, of_devices=of_devices) for it in them}
    own = counted.pop(session, None)
    return sum(filter(None, counted.values())), own


def note_time_used(ledger: Ledger, session: int, seconds: float, devices: float) -> None:
    """Note what a session has used by the clock, and how many devices it had."""
    change = update(sessions).where(sessions.c.id == session).values(used=seconds, devices=devices)
    with ledger.engine.begin() as connection:
        connection.execute(change)


def _since(ledger: Ledger, session: int) -> float:
    """Return the seconds since a session began."""
    with ledger.engine.connect() as connection:
        began = connection.scalar(select(sessions.c.started).where(sessions.c.id == session))
    return max(time.time() - float(began or math.inf), 0.0)
