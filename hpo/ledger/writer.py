"""Writing the records of one search, in order and in groups."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

from sqlalchemy import insert

from hpo.history import Search
from hpo.ledger.ledger import Ledger
from hpo.ledger.schema import RECORDS, to_row
from hpo.trial import Record

R = TypeVar("R", bound=Record)


class Writer:
    """Numbers the records of one search and commits them in groups.

    `append` costs microseconds and promises nothing; what was appended before a `flush` is durable once
    that `flush` returns. If a commit fails, nothing is dropped: the records wait for the next flush.
    """

    def __init__(self, ledger: Ledger, search: Search) -> None:
        self._ledger, self._search = ledger, search
        self._seq = ledger.last_seq(search)
        self._pending: list[Record] = []
        self._appending, self._committing = threading.Lock(), threading.Lock()

    def append(self, record: R) -> R:
        """Give a record its place and time and keep it for the next commit."""
        with self._appending:
            self._seq += 1
            placed: R = replace(record, seq=self._seq, at=time.time())
            self._pending.append(placed)
        return placed

    def flush(self) -> None:
        """Commit, in one transaction, everything that was appended before this call."""
        with self._committing:
            group = list(self._pending)
            if group:
                self._commit(group)
                with self._appending:
                    del self._pending[: len(group)]

    def _commit(self, group: list[Record]) -> None:
        with self._ledger.engine.begin() as connection:
            for kind, records in groupby(sorted(group, key=_kind), key=type):
                rows = [{"search_id": self._search.id, **to_row(record)} for record in records]
                connection.execute(insert(RECORDS[kind]), rows)


def _kind(record: Record) -> str:
    return type(record).__name__
