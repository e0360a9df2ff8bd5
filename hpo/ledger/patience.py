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


class Patience:
    """Waits until a database answers again, for a minute since it was first out of reach.

    Who has waited in vain tries only once from then on, until the database answers: what is done to stop in
    order does not wait a minute at each step.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def once(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, tried once.

        Raises:
            UnreachableError: the database was not to be reached.
        """
        try:
            answer = action()
        except UnreachableError:
            self._since = time.monotonic() if self._since is None else self._since
            raise
        self._since = None
        return answer

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, tried again until it works or the patience is at its end.

        Raises:
            LedgerError: the database was not to be reached all that time.
        """
        pause = 0.02
        while True:
            try:
                return self.once(action)
            except UnreachableError as error:
                if self._over:
                    silence = f"the ledger is out of reach for {PATIENCE_SECONDS:.0f} s: {error.said}"
                    raise LedgerError(f"{silence}. What it holds is kept; `hpo resume` goes on.") from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    @property
    def _over(self) -> bool:
        return self._since is not None and time.monotonic() > self._since + PATIENCE_SECONDS


def patiently(action: Callable[[], T]) -> T:
    """Return what `action` returns, with a `Patience` of its own."""
    return Patience()(action)
