"""The ledger's tables.

Records lie in five tables with one running number, `seq`, over all of them. The primary
keys say what can happen only once: a trial is proposed once, an epoch is measured once, a trial ends
once. JSON is kept as text: Python's NaN has no place in PostgreSQL's own JSON type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from hpo.trial import Attempt, Ending, Forecast, Point, Proposal, Record

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
    Column("devices", Float),
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
