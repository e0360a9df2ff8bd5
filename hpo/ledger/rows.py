"""How a search or a record becomes a row and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

from sqlalchemy import Column, Connection, Dialect, Float, Row, insert

from hpo.config import Config, read_json
from hpo.history import Search
from hpo.ledger.liveness import lasted, standing, took
from hpo.ledger.schema import RECORDS, points
from hpo.recipe import Objective
from hpo.trial import Outcome, Point, Record
from hpo.wish import Wish

_NAMES: Final = {kind: [item.name for item in fields(kind)] for kind in RECORDS}
_VALUES: Final = {kind: attrgetter(*names) for kind, names in _NAMES.items()}
_TEXTS: Final = {
    kind: [
        place
        for place, name in enumerate(names)
        if name in ("config", "params", "distributions", "notes", "metrics")
    ]
    for kind, names in _NAMES.items()
}
_MEASURED: Final = frozenset(column.name for column in points.c if isinstance(column.type, Float))


def search_row(search: Search) -> dict[str, Any]:
    """Return what a search was ordered with as the values of a row."""
    return {
        "name": search.name,
        "recipe": search.recipe,
        "path": search.path,
        "source": search.source,
        "space": search.space,
        "objective": str(search.objective),
        "settings": json.dumps(dict(search.settings)),
        "versions": json.dumps(dict(search.versions)),
        "created": search.created,
        "uploaded": search.uploaded or 0,
    }


def search_of(row: Row[Any], sessions: Sequence[Row[Any]], at: float) -> Search:
    """Return the search that a row and those of its sessions, in order, hold `at` a time of the ledger's."""
    latest = sessions[-1] if sessions else None
    state, reason = standing(latest, at)
    found = Search(
        name=row.name,
        recipe=row.recipe,
        path=row.path,
        source=row.source,
        space=row.space,
        objective=Objective.recall(row.objective),
        settings=json.loads(row.settings),
        versions=json.loads(row.versions),
        created=row.created,
        state=state,
        reason=reason,
        id=row.id,
        uploaded=row.uploaded,
        session=latest.id if latest else 0,
        wish=wish_of(latest.wish if latest else None),
        ran=sum(map(lasted, sessions)),
    )
    used = (took(it, of_devices=found.of_devices) for it in sessions)
    return replace(found, used=sum(filter(None, used)))


def wish_of(text: str | None) -> Wish:
    """Return the wish that a session's cell holds, but for words of a newer hpo; none if nobody has asked."""
    told = json.loads(text or "{}")
    return Wish(**{it.name: told[it.name] for it in fields(Wish) if it.name in told})


def write(connection: Connection, search_id: int, records: Iterable[Record]) -> None:
    """Write records of a search, which have their places and times, within a transaction."""
    for kind, group in groupby(sorted(records, key=_kind), key=type):
        statement, filled = _insertion(kind, connection.dialect)
        connection.exec_driver_sql(statement, [filled((search_id, *cells(record))) for record in group])


@lru_cache(maxsize=64)
def _insertion(kind: type[Record], dialect: Dialect) -> tuple[str, Callable[[tuple[Any, ...]], Any]]:
    """Return the statement, and what makes its values of a search's id and a record's cells.

    It is the driver that is given the rows: SQLAlchemy takes four times as long to look at each.
    """
    compiled, names = insert(RECORDS[kind]).compile(dialect=dialect), ["search_id", *_NAMES[kind]]
    places = compiled.positiontup
    if places is None:
        return str(compiled), lambda values: dict(zip(names, values, strict=True))
    return str(compiled), itemgetter(*map(names.index, places))


def _kind(record: Record) -> str:
    return type(record).__name__


def cells(record: Record) -> list[Any]:
    """Return what the cells of a record's row hold, in the order of its fields."""
    kind = type(record)
    values = list(_VALUES[kind](record))
    for place in _TEXTS[kind]:
        values[place] = _to_text(values[place])
    return values


def columns(kind: type[Record]) -> list[Column[Any]]:
    """Return what must be selected for `record`."""
    return [RECORDS[kind].c[name] for name in _NAMES[kind]]


def record(kind: type[Record], row: Iterable[Any]) -> Record:
    """Return the record that a row of these columns holds."""
    values = [read(cell) if read else cell for read, cell in zip(_READ[kind], row, strict=True)]
    return kind(*values)


def _to_text(value: Config | Mapping[str, Any]) -> str:
    if isinstance(value, Config):
        return value.to_json()
    return json.dumps(value) if value else "{}"


def _number(cell: float | None) -> float:
    return math.nan if cell is None else cell  # SQLite keeps NaN as NULL


def _mapping(text: str) -> Mapping[str, Any]:
    """Return what a text of JSON holds; most hold nothing."""
    found: Mapping[str, Any] = {} if text == "{}" else read_json(text)
    return found


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "config": Config.from_json,
    "outcome": Outcome,
    "params": _mapping,
    "distributions": lru_cache(maxsize=256)(_mapping),  # nearly all trials share theirs
    "notes": _mapping,
    "metrics": _mapping,
}


def _reader(kind: type[Record], name: str) -> Callable[[Any], Any] | None:
    return _number if kind is Point and name in _MEASURED else _READERS.get(name)


_READ: Final = {kind: [_reader(kind, name) for name in names] for kind, names in _NAMES.items()}
"""What reads each cell of a record's row; None for those that are as they should be."""
