"""The last resort: a stop that was requested comes to its end, whatever hangs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psutil

from hpo.errors import InterruptedSearch
from hpo.stopping import SIGNALS

if TYPE_CHECKING:
    from hpo.conductor.session import Viewer, Viewing
    from hpo.planning.plan import Plan

LIMIT_SECONDS: Final = 9.0
"""Ten are promised."""

_REST_SECONDS: Final = 0.7  # in which what was killed is gone
_SHOW_CURSOR: Final = "\x1b[?25h"


@contextmanager
def last_resort(viewing: Viewing, words: Sequence[str]) -> Iterator[Viewing]:
    """Kill this process and all that it started if a search goes on so long after it was asked to stop.

    A part of Ray that hangs is waited for where Python runs no handlers. So signals wake a thread, by the
    byte that they leave in a socket (`signal.set_wakeup_fd`), which only the main thread can arrange. It is
    for the process of a command line, which nobody else has a use for.

    Args:
        viewing: chooses the viewer; what is yielded does the same, and learns the search's name.
        words: what `hpo resume` needs beside the name.
    """
    if threading.current_thread() is not threading.main_thread():
        yield viewing
        return
    watch = _Watch(words)
    ear, mouth = socket.socketpair()
    mouth.settimeout(0)
    former = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch.listen, args=(ear,), daemon=True)
    thread.start()
    try:
        yield lambda plan: watch.learn(plan, viewing)
    finally:
        signal.set_wakeup_fd(former)
        mouth.shutdown(socket.SHUT_WR)  # the end, also where a forked process, as of a loader, has a copy
        mouth.close()
        thread.join()
        ear.close()


class _Watch:
    def __init__(self, words: Sequence[str]) -> None:
        self._name, self._words = "", words

    def learn(self, plan: Plan, viewing: Viewing) -> Viewer:
        self._name = plan.search.name
        return viewing(plan)

    def listen(self, ear: socket.socket) -> None:
        """Wait for a request to stop, and then for the end or for the limit."""
        if not _requested(ear):
            return
        started = _descendants()
        if not _closed(ear, LIMIT_SECONDS):
            self._end(started)

    def _end(self, started: set[psutil.Process]) -> None:
        left = started | _descendants()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_REST_SECONDS)
        cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
        begun = InterruptedSearch(self._name, *self._words)
        told = begun if self._name else "interrupted; nothing was started."
        os.write(2, f"{cursor}hpo: {told}\n".encode())
        os._exit(begun.exit_code)


def _requested(ear: socket.socket) -> bool:
    """Wait until there is a request to stop; return false if the search ends before."""
    while heard := ear.recv(1):
        if heard[0] in SIGNALS:
            return True
    return False


def _closed(ear: socket.socket, seconds: float) -> bool:
    """Wait for the end; return false if it does not come in time. A request once more puts nothing off."""
    over = time.monotonic() + seconds
    with suppress(TimeoutError):
        while (left := over - time.monotonic()) > 0:
            ear.settimeout(left)
            if not ear.recv(64):
                return True
    return False


def _descendants() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))
