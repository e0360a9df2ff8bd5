"""Stopping on request: Ctrl-C, SIGTERM and a closed terminal mean the same.

Under nohup, which ignores it, a closed terminal is no request.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

GRACE_SECONDS: Final = 3.0
"""What trials under way have to come to the end of an epoch and be saved."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Requests to stop."""


@contextmanager
def stoppable(grace: float = 0.0) -> Iterator[Callable[[], bool]]:
    """Raise KeyboardInterrupt when a stop is requested: so many seconds later, or at the second request.

    Yields a function that says whether a stop was requested.
    """
    requested = False

    def stop(*_: object) -> None:
        nonlocal requested
        if requested or not grace:
            raise KeyboardInterrupt
        requested = True
        signal.setitimer(signal.ITIMER_REAL, grace)

    with _handled_by(stop, *_requests(), *((signal.SIGALRM,) if grace else ())):
        try:
            yield lambda: requested
        finally:
            if grace:
                signal.setitimer(signal.ITIMER_REAL, 0)


def _requests() -> list[signal.Signals]:
    hung_up = signal.getsignal(signal.SIGHUP)
    return [it for it in SIGNALS if it is not signal.SIGHUP or hung_up is not signal.SIG_IGN]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no request disturb what is needed to stop in order."""
    with _handled_by(signal.SIG_IGN, *SIGNALS):
        yield


@contextmanager
def _handled_by(handler: Any, *signals: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can say what a signal does
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def terminal_kept() -> Iterator[None]:
    """Keep processes that are started meanwhile from ending when the terminal is closed.

    A signal that is blocked stays so in a child. One that comes meanwhile is delivered afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
