"""A search in outline: how its trials ended, and which is the best, without reading all that was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Row, func, select

from hpo.config import Config
from hpo.history import History, Outline, Search
from hpo.ledger.ledger import Ledger
from hpo.ledger.rows import columns, record
from hpo.ledger.schema import attempts, endings, points, proposals
from hpo.trial import CONFIRMATION, PROOF, Attempt, Ending, Outcome, Point, Proposal, Record

_TRIAL: Final[Mapping[type[Record], Column[int]]] = {
    Proposal: proposals.c.number,
    Attempt: attempts.c.trial,
    Point: points.c.trial,
    Ending: endings.c.trial,
}
"""Where each kind of record names its trial."""


def outline(ledger: Ledger, search: Search) -> Outline:
    """Return the outline of a search as it stands."""
    seq = ledger.last_seq(search)
    with ledger.engine.connect() as connection:
        reader = _Reader(connection, search, seq)
        beside, ended = reader.beside(), reader.ended()
        own = [it for it in ended if it.trial not in beside]
        running = reader.proposed() - len(ended)
        counts = Counter(str(it.outcome) for it in own)
        deciding = _deciding(reader, _ranked(search, own), beside)
        best = History(search.objective, reader.records(deciding)).best
    return Outline(({"running": running} if running else {}) | counts, best, seq)


def best_configs(ledger: Ledger, search: Search, count: int) -> list[Config]:
    """Return the configurations of the few trials that came to their end with the best scores."""
    maximize = search.objective.direction == "maximize"
    finished = (
        proposals.c.search_id == search.id,
        endings.c.search_id == search.id,
        endings.c.trial == proposals.c.number,
        endings.c.outcome == Outcome.FINISHED.value,
        endings.c.score.is_not(None),
        proposals.c.origin.not_in((CONFIRMATION, PROOF)),
    )
    cost = -endings.c.score if maximize else endings.c.score
    query = select(proposals.c.config).where(*finished).order_by(cost, proposals.c.number).limit(count)
    with ledger.engine.connect() as connection:
        return [Config.from_json(text) for text in connection.scalars(query)]


def _ranked(search: Search, own: Sequence[Row[Any]]) -> list[int]:
    """Return the numbers of the trials that finished, best first, as `History` ranks them."""
    finished = [it for it in own if it.outcome == Outcome.FINISHED]
    return [it.trial for it in sorted(finished, key=lambda it: (search.objective.cost(it.score), it.trial))]


def _deciding(reader: _Reader, ranked: Sequence[int], beside: Mapping[int, str]) -> list[int]:
    """Return the trials on which it depends who wins: the best, and what was trained again with whom."""
    again = [number for number, origin in beside.items() if origin == CONFIRMATION]
    if not again:
        return [*ranked[:1]]
    twins, first = reader.twins(again), dict[str, int]()
    for number in ranked:
        if number in twins:
            first.setdefault(twins[number], number)
    return [*{*ranked[:1], *first.values(), *again}]


@dataclass(frozen=True)
class _Reader:
    """Reads some of what a search wrote up to a record, so that all of it fits together."""

    connection: Connection
    search: Search
    upto: int

    def _rows(self, chosen: Sequence[ColumnElement[Any]], *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query = select(*chosen).where(*where)
        table = query.get_final_froms()[0]
        here = (table.c.search_id == self.search.id, table.c.seq <= self.upto)
        return self.connection.execute(query.where(*here).order_by(table.c.seq)).all()

    def ended(self) -> Sequence[Row[Any]]:
        """Return how each trial ended, in that order."""
        return self._rows([endings.c.trial, endings.c.outcome, endings.c.score])

    def beside(self) -> dict[int, str]:
        """Return the origins of the trials that are no part of the search itself."""
        apart = proposals.c.origin.in_((PROOF, CONFIRMATION))
        return {it.number: it.origin for it in self._rows([proposals.c.number, proposals.c.origin], apart)}

    def proposed(self) -> int:
        """Return how many trials there are."""
        here = (proposals.c.search_id == self.search.id, proposals.c.seq <= self.upto)
        return self.connection.scalar(select(func.count(proposals.c.number)).where(*here)) or 0

    def twins(self, numbers: Collection[int]) -> dict[int, str]:
        """Return the trials with the configurations of these, and each one's."""
        of_search = proposals.c.search_id == self.search.id
        theirs = select(proposals.c.config).where(of_search, proposals.c.number.in_(numbers))
        rows = self._rows([proposals.c.number, proposals.c.config], proposals.c.config.in_(theirs))
        return {it.number: it.config for it in rows}

    def records(self, trials: Collection[int]) -> list[Record]:
        """Return all that was written of these trials, in order."""
        return sorted(self._records(trials), key=attrgetter("seq"))

    def _records(self, trials: Collection[int]) -> Iterator[Record]:
        for kind, number in _TRIAL.items():
            for row in self._rows(columns(kind), number.in_(trials)):
                yield record(kind, row)
