"""Writing the records of one search, in order and in groups."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager

from sqlalchemy import Select, exists, func, select

from hpo.errors import HpoError
from hpo.history import Search
from hpo.ledger.ledger import Ledger
from hpo.ledger.patience import Patience
from hpo.ledger.rows import write
from hpo.ledger.schema import RECORDS, sessions
from hpo.trial import R, Record, placed


class Writer:
    """Numbers the records of one search and commits them in groups.

    `append` costs microseconds and promises nothing; what was appended before a `flush` is durable once
    that `flush` returns. It waits for a database that is locked or restarts, and drops nothing if it gives
    up: the records wait for the next flush.

    A search has one writer, that of its latest session: what outlives a dead driver writes nothing more.
    """

    def __init__(self, ledger: Ledger, search: Search, session: int) -> None:
        self._ledger, self._search, self._session = ledger, search, session
        self._seq = ledger.last_seq(search)
        self._pending: list[Record] = []
        self._patience = Patience()
        self._appending, self._committing = threading.RLock(), threading.Lock()

    def append(self, record: R) -> R:
        """Give a record its place and time and keep it for the next commit."""
        with self._appending:
            self._seq += 1
            found = placed(record, self._seq, time.time())
            self._pending.append(found)
        return found

    def together(self) -> AbstractContextManager[object]:
        """Return what keeps the records that are appended within it in one commit."""
        return self._appending

    def flush(self) -> None:
        """Commit, in one transaction, everything that was appended before this call."""
        with self._committing:
            with self._appending:
                group = list(self._pending)
            if group:
                self._patience(lambda: self._commit(group))
                with self._appending:
                    del self._pending[: len(group)]

    def _commit(self, group: list[Record]) -> None:
        with self._ledger.engine.begin() as connection:
            if connection.scalar(self._is_in(group[-1])):
                return  # the answer to an earlier try was lost, not the commit
            latest = connection.scalar(self._latest_session())
            if latest != self._session:
                raise HpoError(f"{self._search.name} has gone on in session {latest}; this one is over")
            write(connection, self._search.id, group)

    def _is_in(self, record: Record) -> Select[bool]:
        table = RECORDS[type(record)]
        here = (table.c.search_id == self._search.id, table.c.seq == record.seq, table.c.at == record.at)
        return select(exists().where(*here))

    def _latest_session(self) -> Select[int]:
        return select(func.max(sessions.c.id)).where(sessions.c.search_id == self._search.id)
