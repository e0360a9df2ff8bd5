"""The conductor: from settings to a winner, and from an interrupted search to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final

from hpo import depot
from hpo.conductor.machines import decided, place_of, there_is
from hpo.conductor.recollection import recalling
from hpo.conductor.reopening import demand_open, note_anew, taken_up
from hpo.conductor.session import Result, Session, Telling, Viewing
from hpo.errors import InputError, Problem
from hpo.history import FORKED_FROM, Search, State
from hpo.ledger import Ledger
from hpo.machine.hardware import Hardware
from hpo.planning.changes import FREE, changes, refusal, reorder
from hpo.planning.plan import Plan
from hpo.settings import ResumeSettings, as_name
from hpo.worker.shelf import demand_start

_MACHINES: Final = ("device", "held", "at_work", "beside")
"""What the machine decides anew in each session."""


def run(
    search: Search,
    store: str,
    viewing: Viewing,
    tell: Telling = lambda _: None,
    begin: Callable[[Search], None] = lambda _: None,
) -> Result:
    """Run a search that was ordered (`hpo.planning.ordering`) from its first trial to its end.

    Before that, `begin` is given the search as it was written down.

    Raises:
        InputError: its name is taken, there is nothing in the search that it is to begin from, or the
            machine lacks what it asks for; nothing was started or written.
        SearchError: no trial came to its end, or trial after trial failed.
        InterruptedSearch: Ctrl-C, SIGTERM or SIGHUP.
    """
    ledger = Ledger(store)
    if search.name and ledger.exists() and search.name in {it.name for it in ledger.searches()}:
        raise InputError(ledger.name_taken(search.name))
    search = recalling(ledger, search)
    depot.demand(place_of(search))
    there = there_is(search)
    search = replace(search, settings={**search.settings, **decided(search, there)})
    created = ledger.create_search(search)
    begin(created)
    session = Session(ledger, created, there, viewing, tell)
    return session.run(ledger.open_session(created), resumed=False)


def resume(
    given: ResumeSettings,
    viewing: Viewing,
    tell: Telling = lambda _: None,
    hear: Callable[[str], None] = lambda _: None,
) -> Result:
    """Bring an interrupted search to its end: finished trials stay, open ones go on where they were saved.

    If what it was made of has changed, and that is allowed, a new search is run in its place. Where its
    checkpoints are kept elsewhere from now on, they are taken along, and `hear` is told what is not there.

    Raises:
        InputError: there is no such search, it runs or needs no resuming, or it is not what it was.
        SearchError: no trial came to its end, or trial after trial failed.
        InterruptedSearch: Ctrl-C, SIGTERM or SIGHUP.
    """
    ledger = Ledger(given.store)
    search = ledger.search(given.search)
    if search.state is State.RUNNING:
        raise InputError(Problem(search.name, f"This search is running: {search.reason}."))
    now, there = _anew(search, given)
    found = changes(search, now)
    if found and given.allow_change:
        return run(_fork(ledger, search, now, given.name), given.store, viewing, tell)
    if found:
        raise InputError(refusal(search, found, *given.words_typed, *given.store_words))
    demand_open(ledger, search, now)
    depot.demand(place_of(now))
    noted = {name: now.settings[name] for name in (*FREE, *_MACHINES) if name in now.settings}
    with taken_up(ledger, search) as number:
        if lost := note_anew(ledger, search, noted):
            hear(lost)
        session = Session(ledger, ledger.search(search.name), there, viewing, tell)
    return session.run(number, resumed=True)


def _anew(search: Search, given: ResumeSettings) -> tuple[Search, Hardware]:
    """Return a search as it is ordered now, and what there is for it to train on."""
    now = reorder(search, given)
    there = there_is(now)
    if "device" in search.settings:
        anew = {name: it for name, it in decided(now, there).items() if name in _MACHINES}
        now = replace(now, settings={**now.settings, **anew})
    return now, there


def _fork(ledger: Ledger, search: Search, now: Search, name: str | None) -> Search:
    """Return a search with what is there now, under the name given or the next free one: cnn-1-2."""
    demand_start(Plan.of(now), None)
    taken = {it.name for it in ledger.searches()}
    free = next(it for it in (f"{as_name(search.name)}-{number}" for number in count(2)) if it not in taken)
    return replace(now, name=name or free, settings={**now.settings, FORKED_FROM: search.name})
