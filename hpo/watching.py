"""Looking at a search that runs elsewhere, through its ledger; and asking its driver to stop."""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from hpo.conductor import Result, Viewing
from hpo.errors import InputError, Problem
from hpo.history import History, Search, State
from hpo.ledger import Ledger
from hpo.plan import Plan
from hpo.settings import StopSettings

GLANCE_SECONDS: Final = 0.5


def watch(name: str, store: str, viewing: Viewing) -> Result:
    """Show a search until it is over, or at once what it has come to if it is.

    Raises:
        InputError: there is no such search.
    """
    ledger = Ledger(store)
    search = ledger.search(name)
    history = ledger.history(search)
    if search.state is not State.RUNNING:
        return Result(search, history)
    plan = Plan.of(search)
    viewer = viewing(plan)
    viewer.start(plan, history)
    try:
        for now in _glances(ledger, search, history):
            wish = viewer.update(now, history)
            if wish:
                ledger.note_wish(now, wish)
            search = now
    finally:
        viewer.finish()
    return Result(search, history)


def _glances(ledger: Ledger, search: Search, history: History) -> Iterator[Search]:
    """Yield where a search stands, each time with what is new in its history; the last time it is over."""
    while True:
        # The state first: a search that is over writes nothing more, so the records read after it are all.
        now = ledger.search(search.name)
        for record in ledger.records(now, history.seq):
            history.add(record)
        yield now
        if now.state is not State.RUNNING:
            return
        time.sleep(GLANCE_SECONDS)


def records(name: str, store: str) -> Iterator[dict[str, Any]]:
    """Yield every record of a search as plain data, from its first to its last, and then where it stands.

    What is not a finite number is None.

    Raises:
        InputError: there is no such search.
    """
    ledger = Ledger(store)
    search = ledger.search(name)
    seen = 0
    while True:
        search = ledger.search(name)
        for record in ledger.records(search, seen):
            yield {"record": type(record).__name__.lower(), **_plain(asdict(record))}
            seen = record.seq
        if search.state is not State.RUNNING:
            break
        time.sleep(GLANCE_SECONDS)
    yield {"record": "state", "name": search.name, "state": search.state.value, "reason": search.reason}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def stop(given: StopSettings) -> str:
    """Ask the driver of a search to stop, as Ctrl-C there would; say whom.

    Raises:
        InputError: there is no such search, it does not run, or runs elsewhere or as another user.
    """
    ledger, name = Ledger(given.store), given.name
    search = ledger.search(name)
    if search.state is not State.RUNNING:
        raise InputError(Problem(name, f"This search is {search.state}; there is nothing to stop."))
    host, process = ledger.driver(search)
    if host != socket.gethostname():
        message = f"This search runs on {host}: stop it there by the same command, or with service=…"
        raise InputError(Problem(name, message))
    resume = " ".join(["hpo resume", name, *given.store_words])
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        raise InputError(Problem(name, f"Its driver has just ended. Go on with it: {resume}")) from None
    except PermissionError:
        message = f"Its driver, process {process}, is another user's, who alone can stop it."
        raise InputError(Problem(name, message)) from None
    return f"Process {process} was asked to stop; what trains is saved first. Go on with it: {resume}"
