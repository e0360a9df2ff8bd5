"""The ledger's tables, and how a record becomes a row and back.

Records lie in five tables with one running number, `seq`, over all of them. The primary
keys say what can happen only once: a trial is proposed once, an epoch is measured once, a trial ends
once. JSON is kept as text: Python's NaN has no place in PostgreSQL's own JSON type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
)

from hpo.config import Config, read_json
from hpo.history import Search
from hpo.trial import Attempt, Ending, Forecast, Outcome, Point, Proposal, Record

metadata = MetaData()

searches = Table(
    "searches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("recipe", String(100), nullable=False),
    Column("path", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("objective", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("versions", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("uploaded", Integer),
)

# Which revision of these tables a store has: in Alembic's form, but not by the name that MLflow uses.
revisions = Table("hpo_revision", metadata, Column("version_num", String(32), primary_key=True))

# One row for each time that a driver worked on a search; `state` is null until it stops. `born` is when its
# process began, in seconds since the machine did: it tells the process from another one of the same number.
# `wish` is what people ask of it (`hpo.wish.Wish`), as JSON; `used` what it took of the budget by the clock.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("search_id", ForeignKey("searches.id"), nullable=False, index=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("state", String(20)),
    Column("reason", Text),
    Column("born", Float),
    Column("heartbeat", Float),
    Column("wish", Text),
    Column("used", Float),
)


def _of_search() -> Column[int]:
    return Column("search_id", ForeignKey("searches.id"), primary_key=True)


def _order() -> tuple[Column[float], Column[int]]:
    return Column("at", Float, nullable=False), Column("seq", Integer, nullable=False)


proposals = Table(
    "proposals",
    metadata,
    _of_search(),
    Column("number", Integer, primary_key=True),
    Column("config", Text, nullable=False),
    Column("origin", String(20), nullable=False),
    Column("params", Text, nullable=False),
    Column("distributions", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("cohort", String(64), nullable=False),
    *_order(),
)

attempts = Table(
    "attempts",
    metadata,
    _of_search(),
    Column("trial", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("notes", Text, nullable=False, server_default="{}"),
    Column("cohort", String(64), nullable=False, server_default=""),
    Column("at", Float, nullable=False),
    Column("seq", Integer, primary_key=True),
)

points = Table(
    "points",
    metadata,
    _of_search(),
    Column("trial", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("score", Float),
    Column("loss", Float),
    Column("train_loss", Float),
    Column("lr", Float),
    Column("grad_norm", Float),
    Column("clipped_norm", Float),
    Column("seconds", Float),
    Column("clipped_share", Float),
    Column("grad_mean", Float),
    Column("grad_std", Float),
    Column("metrics", Text, nullable=False),
    Column("notes", Text, nullable=False),
    *_order(),
)

endings = Table(
    "endings",
    metadata,
    _of_search(),
    Column("trial", Integer, primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("score", Float),
    Column("notes", Text, nullable=False),
    *_order(),
)

forecasts = Table(
    "forecasts",
    metadata,
    _of_search(),
    Column("trials", Integer),
    Column("confirm", Integer, nullable=False),
    Column("seeds", Integer, nullable=False),
    Column("used", Float, nullable=False),
    Column("gain", Float),
    Column("noise", Float),
    Column("over", String(20), nullable=False),
    Column("terms", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("seq", Integer, primary_key=True),
)

RECORDS: Final[Mapping[type[Record], Table]] = {
    Proposal: proposals,
    Attempt: attempts,
    Point: points,
    Ending: endings,
    Forecast: forecasts,
}

for _table in (proposals, points, endings):
    Index(f"{_table.name}_in_order", _table.c.search_id, _table.c.seq)

_NAMES: Final = {kind: [item.name for item in fields(kind)] for kind in RECORDS}
_CELLS: Final = {kind: attrgetter(*names) for kind, names in _NAMES.items()}
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


def write(connection: Connection, search_id: int, records: Iterable[Record]) -> None:
    """Write records of a search, which have their places and times, within a transaction."""
    for kind, group in groupby(sorted(records, key=_kind), key=type):
        statement, filled = _insertion(kind, connection.dialect)
        connection.exec_driver_sql(statement, [filled((search_id, *_cells(record))) for record in group])


@lru_cache(maxsize=64)
def _insertion(kind: type[Record], dialect: Dialect) -> tuple[str, Callable[[tuple[Any, ...]], Any]]:
    """Return the statement, and what makes its values of a search's id and a record's cells.

    It is the driver that is given the rows: SQLAlchemy takes four times as long to look at each.
    """
    compiled, names = insert(RECORDS[kind]).compile(dialect=dialect), ["search_id", *_NAMES[kind]]
    places = compiled.positiontup
    if places is None:
        return str(compiled), lambda cells: dict(zip(names, cells, strict=True))
    return str(compiled), itemgetter(*map(names.index, places))


def _kind(record: Record) -> str:
    return type(record).__name__


def to_row(record: Record) -> dict[str, Any]:
    """Return a record as the values of a row."""
    return dict(zip(_NAMES[type(record)], _cells(record), strict=True))


def _cells(record: Record) -> list[Any]:
    kind = type(record)
    cells = list(_CELLS[kind](record))
    for place in _TEXTS[kind]:
        cells[place] = _to_text(cells[place])
    return cells


def columns(kind: type[Record]) -> list[Column[Any]]:
    """Return what must be selected for `record`."""
    return [RECORDS[kind].c[item.name] for item in fields(kind)]


def record(kind: type[Record], cells: Iterable[Any]) -> Record:
    """Return the record that a row of these columns holds."""
    values = [read(cell) if read else cell for read, cell in zip(_ROWS[kind], cells, strict=True)]
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


_ROWS: Final = {kind: [_reader(kind, item.name) for item in fields(kind)] for kind in RECORDS}
"""What reads each cell of a record's row; None for those that are as they should be."""
