"""What a list says of a search, counted by the database: no curve is read but that of the winner."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, case, func, select

from hpo.history import Glance, Search, Trial
from hpo.ledger.ledger import Ledger
from hpo.ledger.schema import RECORDS, columns, endings, proposals, record
from hpo.trial import PROOF, Attempt, Ending, Outcome, Point, Proposal, Record


def glance(ledger: Ledger, search: Search) -> Glance:
    """Return what is known of a search at a glance."""
    with ledger.engine.connect() as connection:
        return _Look(connection, search).glance(ledger.last_seq(search))


class _Look:
    """One look at one search."""

    def __init__(self, connection: Connection, search: Search) -> None:
        self._connection, self._search = connection, search
        here = (proposals.c.search_id == search.id, proposals.c.origin == PROOF)
        self._proofs = list(connection.scalars(select(proposals.c.number).where(*here)))

    def glance(self, seq: int) -> Glance:
        best = self._best()
        proofs = (self._trial(number) for number in self._proofs)
        return Glance(
            seq=seq,
            counts=self._counts(),
            open=self._count(proposals) - self._count(endings),
            best=best,
            proof=next((it for it in proofs if best and it.proposal.config == best.proposal.config), None),
        )

    def _count(self, table: Table) -> int:
        return self._connection.scalar(select(func.count()).where(table.c.search_id == self._search.id)) or 0

    def _of_search(self) -> tuple[ColumnElement[bool], ...]:
        """Say which endings are of the search itself, not of proofs."""
        return endings.c.search_id == self._search.id, endings.c.trial.not_in(self._proofs)

    def _counts(self) -> dict[str, int]:
        chosen = select(endings.c.outcome, func.count().label("trials")).where(*self._of_search())
        rows = self._connection.execute(chosen.group_by(endings.c.outcome))
        return {row.outcome: row.trials for row in rows}

    def _best(self) -> Trial | None:
        """Return the finished trial with the best score; databases differ in where they sort NaN."""
        score, most = endings.c.score, sys.float_info.max
        order = score.asc() if self._search.objective.direction == "minimize" else score.desc()
        finite = case((score.between(-most, most), 0), else_=1)
        chosen = select(endings.c.trial).where(
            *self._of_search(), endings.c.outcome == Outcome.FINISHED.value
        )
        number = self._connection.scalar(chosen.order_by(finite, order, endings.c.trial).limit(1))
        return None if number is None else self._trial(number)

    def _trial(self, number: int) -> Trial:
        """Return all that is known of one trial."""
        (proposal,) = self._records(Proposal, number)
        trial = Trial(proposal, self._records(Attempt, number), self._records(Point, number))
        trial.ending = next(iter(self._records(Ending, number)), None)
        return trial

    def _records(self, kind: type[Record], number: int) -> list[Any]:
        table = RECORDS[kind]
        own = table.c.number if kind is Proposal else table.c.trial
        chosen = select(*columns(kind)).where(table.c.search_id == self._search.id, own == number)
        return [record(kind, row) for row in self._connection.execute(chosen.order_by(table.c.seq))]
