"""One session of a search, from its start or its going on until it ends or is interrupted."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final, NamedTuple, Protocol

from hpo.conductor import errand
from hpo.conductor.machines import cluster_of, shared_out
from hpo.conductor.upload import Upload
from hpo.errors import InterruptedSearch, SearchError
from hpo.history import History, Search, State
from hpo.ledger import Ledger, Patience, UnreachableError, beating
from hpo.machine.hardware import Hardware
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.settings import StoreSettings
from hpo.stopping import GRACE_SECONDS, stoppable, undisturbed
from hpo.trial import Ending
from hpo.wish import Wish
from hpo.worker.job import Job
from hpo.worker.shelf import Shelf

_GLANCE_SECONDS: Final = 0.25


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


class Session:
    """One session of a search: its workers, its view and its tracking."""

    def __init__(
        self, ledger: Ledger, search: Search, there: Hardware, viewing: Viewing, tell: Telling
    ) -> None:
        self.ledger, self.search, self.there = ledger, search, there
        self.plan = Plan.of(search)
        shelf = Shelf.of(self.plan, ledger.url)
        self.shelf = shelf.share() if cluster_of(search) else shelf
        self.viewer = viewing(self.plan)
        self.patience = Patience()
        self.history = self.patience(lambda: ledger.history(search))
        self.tell, self.upload = tell, Upload(search.name, ledger.url)

    def run(self, session: int, *, resumed: bool) -> Result:
        """Bring the search to its end, in the session that the ledger has under this number.

        Raises:
            SearchError: no trial came to its end, or trial after trial failed.
            InterruptedSearch: Ctrl-C, SIGTERM or SIGHUP.
        """
        state, reason = State.INTERRUPTED, "stopped by an error"
        try:
            with self._watched(session):
                self._train(session, resumed=resumed)
            self.patience(self._catch_up)
            state, reason = outlook.end(self.plan, self.history)
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
        make = functools.partial(errand.referee, where, self.search.name, session)
        work = functools.partial(errand.work, Job.of(self.plan, self.shelf))
        place = self._train_here if self.search.given else self._train_on_workers
        place(make, work, resumed=resumed)

    def _train_here(self, make: Callable[[], Any], work: Callable[..., bool], *, resumed: bool) -> None:
        from hpo.conductor import inprocess

        with stoppable(GRACE_SECONDS) as stopping:
            inprocess.train(make(), work, stopping, resumed=resumed)

    def _train_on_workers(self, make: Callable[[], Any], work: Callable[..., bool], *, resumed: bool) -> None:
        from hpo import cluster

        address, (workers, share) = cluster_of(self.search), shared_out(self.search, self.there)
        growing = bool(address) and self.search.settings["workers"] == "auto"
        priority = self.plan.setting("priority") if address else None
        within = self.plan.setting("report_within")
        order = cluster.Order(workers, share, within, resumed, growing, priority)
        place = cluster.joined(address) if address else cluster.local(workers * share.processes)
        # Ray sets handlers of its own when it starts, so ours come before and after.
        with stoppable(), place, stoppable():
            cluster.train(make, work, order, errand.load)

    @contextmanager
    def _watched(self, session: int) -> Iterator[None]:
        """Follow the ledger in the background, for the viewer and to start tracking; meanwhile it beats."""
        over = threading.Event()
        self.viewer.start(self.plan, self.history)
        with beating(self.ledger, session), ThreadPoolExecutor(1) as pool:
            watching = pool.submit(self._watch, over)
            try:
                yield
            finally:
                over.set()
                wait([watching])
                self.viewer.finish()
        watching.result()  # what stopped the watching is told, but first the training comes to its end

    def _watch(self, over: threading.Event) -> None:
        last = False
        while not last:
            last = over.wait(_GLANCE_SECONDS)
            with suppress(UnreachableError):  # there is a next glance
                self.patience.once(self._catch_up)
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
