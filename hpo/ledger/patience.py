"""Waiting for a database that is locked, restarting or out of reach for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from hpo.errors import LedgerError
from hpo.ledger.trouble import UnreachableError

T = TypeVar("T")

PATIENCE_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 1.0


def patiently(action: Callable[[], T]) -> T:
    """Return what `action` returns, tried again until it works or a minute is over.

    Raises:
        LedgerError: the database was not to be reached all that time.
    """
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.02
    while True:
        try:
            return action()
        except UnreachableError as error:
            if time.monotonic() > deadline:
                silence = f"the ledger is out of reach for {PATIENCE_SECONDS:.0f} s: {error.said}"
                raise LedgerError(f"{silence}. What it holds is kept; `hpo resume` goes on.") from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
