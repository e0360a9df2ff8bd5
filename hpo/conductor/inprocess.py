"""Training in this process: the referee sits beside the loop, and there is no Ray to start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any, Final

import torch

from hpo.config import Value
from hpo.errors import LedgerError
from hpo.machine import limits
from hpo.protocol import DeviceLostError, Hosted, Stopped
from hpo.worker.line import Line

# How long a report may wait to become durable; it is answered at once.
_FLUSH_SECONDS: Final = 0.1


def machine() -> dict[str, Value]:
    """Return what this machine decides about the numbers: torch's own threads, a GPU if it sees one.

    Torch takes a thread for each of the machine's processors, also where this process may use few of them.
    """
    threads = min(torch.get_num_threads(), limits.cpus())
    return {"threads": threads, "device": "cuda" if torch.cuda.is_available() else "cpu"}


def train(
    referee: Hosted, work: Callable[[str, Line], bool], stopping: Callable[[], bool], *, resumed: bool
) -> None:
    """Train one cohort; return, or raise what stopped it, when all of it is durable.

    Args:
        referee: which no one else speaks to.
        work: trains a cohort, given its name and a line to the referee.
        stopping: says whether to stop after an epoch.
        resumed: whether trials that were under way before are to be handed out again.

    Raises:
        KeyboardInterrupt: it was stopped.
        LedgerError: the ledger is damaged, or was out of reach for too long.
    """
    if resumed:
        referee.requeue()
    with _flushed(referee) as check:

        def call(method: str, *words: Any) -> Any:
            answer = getattr(referee, method)(*words)
            check()
            if method == "report":
                _wait_while(lambda: referee.paused and not stopping(), check)
                if stopping():
                    raise Stopped
            return answer

        try:
            with suppress(DeviceLostError):  # after its one trial, which has been told of
                work("in process", Line(call))
        except Stopped:
            raise KeyboardInterrupt from None


@contextmanager
def _flushed(referee: Hosted) -> Iterator[Callable[[], None]]:
    """Commit in groups beside the training, and what is left at its end; yield what raises its error."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        flushing = pool.submit(_flush, referee, over)
        try:
            yield lambda: flushing.result() if flushing.done() else None
        finally:
            over.set()
            wait([flushing])
            referee.flush()


def _flush(referee: Hosted, over: threading.Event) -> None:
    while not over.wait(_FLUSH_SECONDS):
        referee.flush()
        with suppress(LedgerError):  # there is a next time
            referee.heed(referee.wished())


def _wait_while(paused: Callable[[], bool], check: Callable[[], None]) -> None:
    while paused():
        check()
        time.sleep(_FLUSH_SECONDS)
