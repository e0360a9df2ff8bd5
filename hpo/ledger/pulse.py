"""The heartbeat of a session's driver, by which other machines know that it lives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from hpo.ledger.ledger import Ledger
from hpo.ledger.trouble import UnreachableError

_BEAT_SECONDS: Final = 5.0


@contextmanager
def beating(ledger: Ledger, session: int) -> Iterator[None]:
    """Note every few seconds that a session's driver is alive, in a thread that does nothing else.

    So neither a slow copy nor a terminal that stands still lets others take it for dead.

    Raises:
        HpoError: what is wrong with the ledger, other than that it is out of reach, once all else is done.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        beats = pool.submit(_beat, ledger, session, over)
        try:
            yield
        finally:
            over.set()
        beats.result()


def _beat(ledger: Ledger, session: int, over: threading.Event) -> None:
    while not over.wait(_BEAT_SECONDS):
        with suppress(UnreachableError):  # there is a next beat
            ledger.beat(session)
