"""The conductor: from settings to a winner, and from an interrupted search to its end."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import count
from typing import Any, Final, NamedTuple, Protocol

from hpo import depot, outlook
from hpo.changes import FREE, changes, refusal, reorder
from hpo.errors import InputError, InterruptedSearch, Problem, SearchError
from hpo.history import FORKED_FROM, History, Search, State
from hpo.ledger import Ledger, Patience, UnreachableError, patiently
from hpo.machines import cluster_of, decided, place_of, shared_out
from hpo.plan import Plan
from hpo.recollection import recalling
from hpo.reopening import demand_open, note_anew
from hpo.settings import ResumeSettings, StoreSettings
from hpo.shelf import Shelf, demand_start
from hpo.stopping import GRACE_SECONDS, stoppable, undisturbed
from hpo.trial import SPENT, Ending
from hpo.upload import Upload
from hpo.wish import Wish

_MACHINES: Final = ("device", "held", "at_work", "beside")
"""What the machine decides anew in each session."""
_GLANCE_SECONDS: Final = 0.25
_BEAT_SECONDS: Final = 5.0


class Viewer(Protocol):
    """Shows a search while it runs."""

    def start(self, plan: Plan, history: History) -> None:
        """The search begins, or goes on from what `history` holds."""

    def update(self, search: Search, history: History) -> Wish | None:
        """This is what is known now; called a few times a second.

        Return what the person who looks on asks of the search, if anything.
        """

    def finish(self) -> None:
        """Nothing more will come."""


Viewing = Callable[[Plan], Viewer]
"""Chooses the viewer that suits a plan."""


class Result(NamedTuple):
    """A search that came to its end, and its trials."""

    search: Search
    history: History


Telling = Callable[[Result], None]
"""Is told what came of a search, if any trial came to its end, as soon as that is known.

MLflow may lack some of it yet.
"""


def run(
    search: Search,
    store: str,
    viewing: Viewing,
    tell: Telling = lambda _: None,
    begin: Callable[[Search], None] = lambda _: None,
) -> Result:
    """Run a search that was ordered (`hpo.ordering.order`, `order_training`) from its first trial to its end.

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
    search = replace(search, settings={**search.settings, **decided(search)})
    created = ledger.create_search(search)
    begin(created)
    return _Conductor(ledger, created, viewing, tell).conduct(resumed=False)


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
        InputError: there is no such search, it needs no resuming, or it is not what it was.
        SearchError: no trial came to its end, or trial after trial failed.
        InterruptedSearch: Ctrl-C, SIGTERM or SIGHUP.
    """
    ledger = Ledger(given.store)
    search = ledger.search(given.search)
    if search.state is State.RUNNING:
        raise InputError(Problem(search.name, f"This search is running: {search.reason}."))
    now = reorder(search, given)
    if "device" in search.settings:
        anew = {name: it for name, it in decided(now).items() if name in _MACHINES}
        now = replace(now, settings={**now.settings, **anew})
    found = changes(search, now)
    if found and given.allow_change:
        return run(_fork(ledger, search, now, given.name), given.store, viewing, tell)
    if found:
        raise InputError(refusal(search, found, *given.words_typed, *given.store_words))
    demand_open(ledger, search, now)
    depot.demand(place_of(now))
    noted = {name: now.settings[name] for name in (*FREE, *_MACHINES) if name in now.settings}
    if lost := note_anew(ledger, search, noted):
        hear(lost)
    return _Conductor(ledger, ledger.search(search.name), viewing, tell).conduct(resumed=True)


def _fork(ledger: Ledger, search: Search, now: Search, name: str | None) -> Search:
    """Return a search with what is there now, under the name given or the next free one: cnn-1-2."""
    demand_start(Plan.of(now), None)
    taken = {it.name for it in ledger.searches()}
    free = next(it for it in (f"{search.name}-{number}" for number in count(2)) if it not in taken)
    return replace(now, name=name or free, settings={**now.settings, FORKED_FROM: search.name})


class _Conductor:
    """One session of a search: its workers, its view and its tracking."""

    def __init__(self, ledger: Ledger, search: Search, viewing: Viewing, tell: Telling) -> None:
        self.ledger, self.search = ledger, search
        self.plan = Plan.of(search)
        shelf = Shelf.of(self.plan, ledger.url)
        self.shelf = shelf.share() if cluster_of(search) else shelf
        self.viewer = viewing(self.plan)
        self.patience = Patience()
        self.history = self.patience(lambda: ledger.history(search))
        self.tell, self.upload = tell, Upload(search.name, ledger.url)

    def conduct(self, *, resumed: bool) -> Result:
        session = self.patience(lambda: self.ledger.open_session(self.search))
        state, reason = State.INTERRUPTED, "stopped by an error"
        try:
            with self._watched(session):
                self._train(session, resumed=resumed)
            self.patience(self._catch_up)
            state, reason = self._verdict()
        except SearchError as error:
            state, reason = State.FAILED, str(error)
            raise
        except KeyboardInterrupt:
            reason = "stopped by hand"
            words = StoreSettings(store=self.ledger.url).store_words
            raise InterruptedSearch(self.search.name, *words) from None
        finally:
            with undisturbed() if state is State.INTERRUPTED else nullcontext():
                self._close(session, state, reason)
        if state is State.FAILED:
            raise SearchError(f"{self.search.name}: {reason}")
        return self._result

    @property
    def _result(self) -> Result:
        return Result(self.patience(lambda: self.ledger.search(self.search.name)), self.history)

    def _close(self, session: int, state: State, reason: str) -> None:
        try:
            self._note_end(session, state, reason)
            if state is not State.INTERRUPTED:
                self._tidy()
                with suppress(KeyboardInterrupt):  # the search is over: that ends no more than the wait
                    self._part()
        finally:
            self.upload.end()

    def _tidy(self) -> None:
        if not self.history.running:
            lasting = self.history.lasting
            self.shelf.close(lasting.proposal if lasting else None)

    def _part(self) -> None:
        if self.history.best is not None:  # also where it failed: what it found is there
            self.tell(self._result)
        self.upload.wait()

    def _note_end(self, session: int, state: State, reason: str) -> None:
        note = functools.partial(self.ledger.close_session, session, state, reason)
        if state is not State.INTERRUPTED:
            self.patience(note)
            return
        with suppress(UnreachableError):  # a session that did not end is one whose driver has died
            self.patience.once(note)

    def _train(self, session: int, *, resumed: bool) -> None:
        where = _absolute(self.ledger.url), _keys()
        make = functools.partial(_referee, where, self.search.name, session)
        work = functools.partial(_work, self.plan, self.shelf)
        place = self._train_here if self.search.given else self._train_on_workers
        place(make, work, resumed=resumed)

    def _train_here(self, make: Callable[[], Any], work: Callable[..., bool], *, resumed: bool) -> None:
        from hpo import inprocess

        with stoppable(GRACE_SECONDS) as stopping:
            inprocess.train(make(), work, stopping, resumed=resumed)

    def _train_on_workers(self, make: Callable[[], Any], work: Callable[..., bool], *, resumed: bool) -> None:
        from hpo import cluster

        address, (workers, share) = cluster_of(self.search), shared_out(self.search)
        growing = bool(address) and self.search.settings["workers"] == "auto"
        priority = self.plan.setting("priority") if address else None
        within = self.plan.setting("report_within")
        order = cluster.Order(workers, share, within, resumed, growing, priority)
        place = cluster.joined(address) if address else cluster.local(workers * share.processes)
        # Ray sets handlers of its own when it starts, so ours come before and after.
        with stoppable(), place, stoppable():
            cluster.train(make, work, order, _load)

    def _verdict(self) -> tuple[State, str]:
        hopeless = self.history.hopeless
        if hopeless:
            return State.FAILED, f"Trial after trial failed: {hopeless}"
        if self.history.best is None and self.search.given:
            return State.FAILED, self._fate()
        if self.history.best is None:
            return State.FAILED, f"No trial came to its end ({self._counted()})."
        return State.FINISHED, outlook.ended(self.plan, self.history)

    def _counted(self) -> str:
        """Say what became of the trials, and whether there was time for them."""
        counts = ", ".join(f"{number} {name}" for name, number in self.history.counts.items())
        limit, ended = self.plan.limit, self.history.ended
        late = limit and (not ended or any(it.ending and it.ending.reason in SPENT for it in ended))
        return (counts or "none started") + (f"; {limit} was over first" if late else "")

    def _fate(self) -> str:
        """Say how the one trial ended."""
        (ending,) = (trial.ending for trial in self.history.ended)
        return f"{ending.outcome}: {ending.reason}" if ending else ""

    @contextmanager
    def _watched(self, session: int) -> Iterator[None]:
        """Follow the ledger in the background, for the viewer and to start tracking."""
        over = threading.Event()
        self.viewer.start(self.plan, self.history)
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(self._watch, session, over)
            try:
                yield
            finally:
                over.set()
                wait([watching])
                self.viewer.finish()
        watching.result()  # what stopped the watching is told, but first the training comes to its end

    def _watch(self, session: int, over: threading.Event) -> None:
        last, beat = False, time.monotonic()
        while not last:
            last = over.wait(_GLANCE_SECONDS)
            with suppress(UnreachableError):  # there is a next glance
                self.patience.once(self._catch_up)
                if time.monotonic() > beat + _BEAT_SECONDS:
                    self.ledger.beat(session)
                    beat = time.monotonic()
            self._pass_on(self.viewer.update(self.search, self.history))
            if self.history.epochs:
                # Not before the first epoch is in: MLflow takes long to import, and start-up is busy.
                self.upload.start()

    def _pass_on(self, wish: Wish | None) -> None:
        if wish:
            with suppress(UnreachableError):  # a key can be pressed again
                self.patience.once(lambda: self.ledger.note_wish(self.search, wish))

    def _catch_up(self) -> None:
        self.search = self.ledger.search(self.search.name)
        for record in self.ledger.records(self.search, self.history.seq):
            if isinstance(record, Ending) and self.history.trials[record.trial].undecided is not None:
                self.shelf.clear([record.trial])  # no worker has it, so none does
            self.history.add(record)


def _absolute(store: str) -> str:
    """Return the address as it holds in any folder: Ray's workers have their own."""
    prefix = "sqlite:///"
    path = store.removeprefix(prefix)
    return f"{prefix}{os.path.abspath(path)}" if store.startswith(prefix) else store


def _keys() -> dict[str, str]:
    """Return what PostgreSQL's library finds here, such as PGPASSWORD: a cluster has another environment."""
    return {name: it for name, it in os.environ.items() if name.startswith("PG")}


# What follows runs where trials train, which imports what it needs; the conductor has no use for it.


def _referee(where: tuple[str, Mapping[str, str]], name: str, session: int) -> Any:
    from hpo.referee import Referee

    store, keys = where
    os.environ.update(keys)
    return patiently(lambda: Referee(store, name, session))


def _load() -> None:
    from hpo import cohort, peers  # noqa: F401 - torch takes its time


def _work(plan: Plan, shelf: Shelf, name: str, referee: Any, crew: Any = None) -> bool:
    from hpo import cohort, peers
    from hpo.job import Job

    job = Job.of(plan, shelf)
    if crew is not None and crew.size > 1:
        return peers.train(job, name, referee, crew)
    return cohort.train(job, name, referee)
