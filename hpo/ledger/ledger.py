"""Opening a ledger, starting searches in it, and reading what they wrote."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import chain, count
from operator import attrgetter
from typing import Any, Final
from weakref import finalize

from sqlalchemy import Connection, Row, Update, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hpo.config import Value
from hpo.errors import InputError, Problem, did_you_mean, without_password
from hpo.history import History, Search, State
from hpo.ledger.engine import open_engine
from hpo.ledger.liveness import born, now
from hpo.ledger.patience import patiently
from hpo.ledger.place import refuse_unfit
from hpo.ledger.revision import prepare
from hpo.ledger.rows import columns, record, search_of, search_row, wish_of
from hpo.ledger.schema import RECORDS, searches, sessions
from hpo.ledger.trouble import damage, file_of
from hpo.settings import StoreSettings, as_name
from hpo.trial import Record
from hpo.wish import Wish

_ROWS: Final = 1000
"""So many are read at a time."""


class Ledger:
    """One database with the searches of a folder or a team; any number may read, one writes a search.

    Args:
        url: an SQLAlchemy address, such as `sqlite:///hpo.db`.

    Raises:
        InputError: the address cannot be understood, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url, self._ready = url, False
        self.engine = open_engine(url)
        finalize(self, self.engine.dispose).atexit = False  # else its connections are left to the collector

    def exists(self) -> bool:
        """Say whether anything was written here yet; looking does not create a file.

        Raises:
            InputError: a newer hpo has made this store.
        """
        file = file_of(self.engine)
        if file and not file.exists():
            return False
        self._ready = self._ready or prepare(self.engine, create=False)
        return self._ready

    def create_search(self, search: Search) -> Search:
        """Write down a new search; without a name it gets the next free one, such as `cnn-1`.

        Raises:
            InputError: the name is taken, a newer hpo has made this store, or it cannot be written to.
        """
        self.make_ready()
        ordered = replace(search, created=time.time(), uploaded=0)
        return patiently(lambda: self._written(ordered) or self._create(ordered))

    def make_ready(self) -> None:
        """Make the tables, if there are none.

        Raises:
            InputError: a newer hpo has made this store, or it cannot be written to.
        """
        file = file_of(self.engine)
        if file:
            refuse_unfit(file)
        prepare(self.engine, create=True)

    def _written(self, ordered: Search) -> Search | None:
        """Return the search if it was written before, and the answer was lost."""
        same = (searches.c.created == ordered.created, searches.c.recipe == ordered.recipe)
        with self.engine.connect() as connection:
            row = connection.execute(select(searches).where(*same)).one_or_none()
            return None if row is None else self._search(connection, row)

    def _create(self, search: Search) -> Search:
        while True:
            name = search.name or self._free_name(search.recipe)
            try:
                return self._insert(search, name)
            except IntegrityError:
                if search.name:
                    raise InputError(self.name_taken(name)) from None

    def name_taken(self, name: str) -> Problem:
        """Return the complaint that a search of this name exists."""
        it = " ".join([name, *StoreSettings(store=self.url).store_words])
        remedy = f"Go on with it (hpo resume {it}), look at it (hpo show {it}), or choose another name."
        return Problem(f"name={name}", f"There is a search of this name. {remedy}")

    def _insert(self, search: Search, name: str) -> Search:
        with self.engine.begin() as connection:
            connection.execute(insert(searches).values(search_row(replace(search, name=name))))
        return self.search(name)

    def _free_name(self, recipe: str) -> str:
        with self.engine.connect() as connection:
            taken = set(connection.scalars(select(searches.c.name)))
        free = (f"{as_name(recipe)}-{number}" for number in count(1))
        return next(name for name in free if name not in taken)

    def open_session(self, search: Search) -> int:
        """Note that this process now drives the search, as it was read; return the session's number.

        Raises:
            InputError: another process has begun to drive it since then.
            LedgerError: the file is damaged, so nothing more is written to it.
        """
        self._check()
        row = {
            "search_id": search.id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "started": time.time(),
        }
        return patiently(lambda: self._open(search, row))

    def _open(self, search: Search, row: Mapping[str, Any]) -> int:
        own = select(sessions).where(sessions.c.search_id == search.id).order_by(sessions.c.id.desc())
        lock = update(searches).where(searches.c.id == search.id).values(id=searches.c.id)
        with self.engine.begin() as connection:
            connection.execute(lock)  # until the end of this transaction nobody else comes this far
            latest = connection.execute(own.limit(1)).one_or_none()
            if latest is not None and latest.id != search.session:
                if all(getattr(latest, name) == it for name, it in row.items()):
                    return int(latest.id)  # the answer to an earlier try was lost, not the session
                message = (
                    f"Process {latest.pid} on {latest.host} has just gone on with it. Nothing was changed"
                )
                look = " ".join(["hpo show", search.name, *StoreSettings(store=self.url).store_words])
                raise InputError(Problem(search.name, f"{message}. Look at it: {look}"))
            opened = insert(sessions).values({**row, "heartbeat": now(self.engine)}).returning(sessions.c.id)
            return int(connection.scalar(opened) or 0)

    def _check(self) -> None:
        file = file_of(self.engine)
        if file:
            with self.engine.connect() as connection:
                found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            if found != "ok":
                raise damage(file, " ".join(found.split()))

    def beat(self, session: int) -> None:
        """Note that the session's driver is alive."""
        self._execute(update(sessions).where(sessions.c.id == session).values(heartbeat=now(self.engine)))

    def note_uploaded(self, search: Search, seq: int) -> None:
        """Note that MLflow has the search's records up to this one."""
        self._execute(update(searches).where(searches.c.id == search.id).values(uploaded=seq))

    def note_settings(self, search: Search, changed: Mapping[str, Value]) -> None:
        """Note what is set otherwise from now on."""
        settings = json.dumps({**search.settings, **changed})
        self._execute(update(searches).where(searches.c.id == search.id).values(settings=settings))

    def note_wish(self, search: Search, wish: Wish) -> None:
        """Note what is asked of the search's latest session, in place of what was asked before."""
        text = json.dumps(asdict(wish))
        self._execute(update(sessions).where(sessions.c.id == search.session).values(wish=text))

    def wish(self, session: int) -> Wish:
        """Return what is asked of a session."""
        with self.engine.connect() as connection:
            return wish_of(connection.scalar(select(sessions.c.wish).where(sessions.c.id == session)))

    def close_session(self, session: int, state: State, reason: str = "") -> None:
        """Note how the session ended."""
        change = update(sessions).where(sessions.c.id == session)
        self._execute(change.values(ended=time.time(), state=state.value, reason=reason))

    def _execute(self, change: Update) -> None:
        with self.engine.begin() as connection:
            connection.execute(change)

    def searches(self) -> list[Search]:
        """Return all searches, oldest first."""
        if not self.exists():
            return []
        with self.engine.connect() as connection:
            rows = connection.execute(select(searches).order_by(searches.c.id)).all()
            return [self._search(connection, row) for row in rows]

    def search(self, name: str) -> Search:
        """Return a search by name.

        Raises:
            InputError: there is none of this name.
        """
        if self.exists():
            with self.engine.connect() as connection:
                row = connection.execute(select(searches).where(searches.c.name == name)).one_or_none()
                if row is not None:
                    return self._search(connection, row)
        hint = did_you_mean(name, (search.name for search in self.searches()))
        raise InputError(Problem(name, f"There is no search of this name in {self._shown}.{hint}"))

    @property
    def _shown(self) -> str:
        return without_password(self.url)

    def _search(self, connection: Connection, row: Row[Any]) -> Search:
        own = select(sessions).where(sessions.c.search_id == row.id).order_by(sessions.c.id)
        at = float(connection.scalar(select(now(self.engine))) or 0.0)
        return search_of(row, connection.execute(own).all(), at)

    def driver(self, search: Search) -> tuple[str, int]:
        """Return the host and the process number of the search's latest driver."""
        chosen = select(sessions.c.host, sessions.c.pid).where(sessions.c.id == search.session)
        with self.engine.connect() as connection:
            host, process = connection.execute(chosen).one()
            return str(host), int(process)

    def last_seq(self, search: Search) -> int:
        """Return the number of the last record that the search wrote, 0 if none."""
        with self.engine.connect() as connection:
            return self._last_seq(connection, search)

    def _last_seq(self, connection: Connection, search: Search) -> int:
        latest = (
            select(func.max(table.c.seq)).where(table.c.search_id == search.id) for table in RECORDS.values()
        )
        return max(connection.scalar(query) or 0 for query in latest)

    def records(self, search: Search, after: int = 0) -> list[Record]:
        """Return what the search wrote after record number `after`, in order.

        Records are committed in their order, so everything up to the last number seen first is there:
        no reader ever meets a point whose proposal is missing, and no reader holds a lock.
        """
        with self.engine.connect() as connection:
            upto = self._last_seq(connection, search)
            streams = [self._stream(connection, kind, search, after, upto) for kind in RECORDS]
            return sorted(chain.from_iterable(streams), key=attrgetter("seq"))

    def _stream(
        self, connection: Connection, kind: type[Record], search: Search, after: int, upto: int
    ) -> Iterator[Record]:
        table = RECORDS[kind]
        here = (table.c.search_id == search.id, table.c.seq > after, table.c.seq <= upto)
        found = connection.execute(select(*columns(kind)).where(*here).order_by(table.c.seq))
        for rows in found.partitions(_ROWS):
            yield from (record(kind, row) for row in rows)

    def history(self, search: Search) -> History:
        """Return the search's trials as its records tell them."""
        return History(search.objective, self.records(search), search.lag)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
