"""Looking at a search that runs elsewhere, through its ledger; and asking its driver to stop."""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from typing import Any, Final, TypeVar

from hpo.conductor.session import Result, Viewing
from hpo.errors import InputError, Problem
from hpo.history import History, Search, State
from hpo.ledger import Ledger, UnreachableError
from hpo.planning.plan import Plan
from hpo.settings import StopSettings
from hpo.trial import Record

GLANCE_SECONDS: Final = 0.5

T = TypeVar("T")
Hearing = Callable[[str], None]
"""Is told what a person who looks on should know."""


def watch(name: str, store: str, viewing: Viewing, hear: Hearing) -> Result:
    """Show a search until it is over, or at once what it has come to if it is.

    A ledger that goes out of reach meanwhile is waited for; `hear` is told.

    Raises:
        InputError: there is no such search.
    """
    with closing(Ledger(store)) as ledger:
        search = ledger.search(name)
        history = ledger.history(search)
        if search.state is State.RUNNING:
            search = _show(ledger, search, history, viewing, hear)
        return Result(search, history)


def _show(ledger: Ledger, search: Search, history: History, viewing: Viewing, hear: Hearing) -> Search:
    """Show a search until it is over; return how it ended."""
    plan = Plan.of(search)
    viewer = viewing(plan)
    viewer.start(plan, history)
    try:
        for now in _glances(ledger, search.name, history, hear):
            wish = viewer.update(now, history)
            if wish:
                with suppress(UnreachableError):  # a key can be pressed again
                    ledger.note_wish(now, wish)
            search = now
    finally:
        viewer.finish()
    return search


def _glances(ledger: Ledger, name: str, history: History, hear: Hearing) -> Iterator[Search]:
    """Yield where a search stands, each time with what is new in its history; the last time it is over."""
    for now, news in _news(ledger, name, history.seq, hear):
        for record in news:
            history.add(record)
        yield now


def records(name: str, store: str, hear: Hearing) -> Iterator[dict[str, Any]]:
    """Yield every record of a search as plain data, from its first to its last, and then where it stands.

    What is not a finite number is None. A ledger that goes out of reach is waited for; `hear` is told.

    Raises:
        InputError: there is no such search.
    """
    with closing(Ledger(store)) as ledger:
        now = ledger.search(name)
        for now, news in _news(ledger, name, 0, hear):  # noqa: B007 - the last one is told below
            for record in news:
                yield {"record": type(record).__name__.lower(), **_plain(asdict(record))}
    yield {"record": "state", "name": now.name, "state": now.state.value, "reason": now.reason}


def _news(ledger: Ledger, name: str, seen: int, hear: Hearing) -> Iterator[tuple[Search, list[Record]]]:
    """Yield where a search stands, each time with its records since those seen; the last time it is over."""
    while True:
        now, news = _awaited(partial(_look, ledger, name, seen), hear)
        yield now, news
        if now.state is not State.RUNNING:
            return
        seen = news[-1].seq if news else seen
        time.sleep(GLANCE_SECONDS)


def _look(ledger: Ledger, name: str, seen: int) -> tuple[Search, list[Record]]:
    # The state first: a search that is over writes nothing more, so the records read after it are all.
    now = ledger.search(name)
    return now, ledger.records(now, seen)


def _awaited(look: Callable[[], T], hear: Hearing) -> T:
    """Return what is found as soon as the ledger is within reach; that it is not is said once."""
    told = False
    while True:
        try:
            return look()
        except UnreachableError as error:
            if not told:
                hear(f"{error}. It is waited for; Ctrl-C ends the watching alone.")
            told = True
        time.sleep(GLANCE_SECONDS)


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
