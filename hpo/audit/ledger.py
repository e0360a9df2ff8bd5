"""The ledger's side of an audit: its rules checked, and what MLflow is to be compared with."""

from __future__ import annotations

import ast
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from hpo.audit.check import Check
from hpo.audit.rules import RULES, STATE
from hpo.audit.winner import winner
from hpo.errors import InputError, Problem, did_you_mean, without_password

_UNBOUNDED: Final = 2**31 - 1


@dataclass(frozen=True)
class Account:
    """What a ledger says of one search, in rows, and how it stood the checks."""

    name: str
    recipe: str
    created: float
    state: str | None
    winner: int | None
    trials: Sequence[Mapping[str, Any]]  # number, config, outcome
    points: Mapping[int, Sequence[Mapping[str, Any]]]  # of a trial, epoch by epoch
    checks: Sequence[Check]


def read(store: str, name: str) -> Account:
    """Check a search's ledger, all of it as it is at one moment.

    Raises:
        InputError: there is no such search.
    """
    with _snapshot(store) as connection:
        row = _search(connection, name)
        known = _known(row)
        state = connection.scalar(text(STATE), known)
        return Account(
            name=row.name,
            recipe=row.recipe,
            created=row.created,
            state=state,
            winner=winner(connection, known),
            trials=_trials(connection, known),
            points=_points(connection, known),
            checks=[
                Check(
                    rule.name,
                    int(connection.scalar(text(rule.examined), known) or 0),
                    list(connection.scalars(text(rule.faults), known)),
                )
                for rule in RULES
                if state == "finished" or not rule.settled
            ],
        )


@contextmanager
def _snapshot(store: str) -> Iterator[Connection]:
    engine = _open(store)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file and not Path(file).exists():  # SQLite would make one
        raise InputError(Problem(f"store={store}", "There is no such file."))
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise InputError(Problem(without_password(store), f"It cannot be read: {said}.")) from None
    finally:
        engine.dispose()


def _open(store: str) -> Engine:
    try:
        engine = create_engine(store)
        file = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        if file is None or not file.exists() or (_ours(file) and _ours(file.parent)):
            return engine
        return create_engine(store, creator=partial(_read_only, file.absolute()))
    except ImportError as error:
        driver = "PostgreSQL needs psycopg: pip install 'hpo[postgres]'"
        raise InputError(Problem("store", f"{error}. {driver}")) from None
    except (ArgumentError, ValueError):  # which may quote a password
        raise InputError(Problem("store", "This is no address of a database.")) from None


def _ours(path: Path) -> bool:
    """Whether we may write here, as SQLite does to read beside a writer, and tidies up after that."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _read_only(file: Path) -> sqlite3.Connection:
    """Open someone else's SQLite file, with the log of whoever writes to it; without one it is still."""
    still = "" if Path(f"{file}-wal").exists() else "&immutable=1"
    return sqlite3.connect(f"{file.as_uri()}?mode=ro{still}", uri=True)


def _search(connection: Connection, name: str) -> Row[Any]:
    found = connection.execute(text("SELECT * FROM searches WHERE name = :name"), {"name": name})
    row = found.one_or_none()
    if row is None:
        known = connection.scalars(text("SELECT name FROM searches"))
        raise InputError(Problem(name, f"There is no search of this name.{did_you_mean(name, known)}"))
    return row


def _known(row: Row[Any]) -> dict[str, Any]:
    settings = json.loads(row.settings)
    epochs = settings.get("epochs") or _epochs(row.source)
    bought = re.fullmatch(r"(\d+)trainings?", settings.get("budget") or "")
    return {
        "search": row.id,
        "epochs": epochs,
        "trials": settings.get("trials", 1) or _UNBOUNDED,
        "paid": int(bought[1]) * epochs if bought else _UNBOUNDED,
        "sign": -1 if row.objective.startswith("maximize") else 1,
    }


def _epochs(source: str) -> int:
    """Return the `epochs = 18` of a recipe."""
    assigned = (node for node in ast.parse(source).body if isinstance(node, ast.Assign))
    values = {getattr(node.targets[0], "id", ""): node.value for node in assigned}
    return int(ast.literal_eval(values["epochs"]))


def _trials(connection: Connection, known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    query = """SELECT p.number, p.config, e.outcome FROM proposals p
        LEFT JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number
        WHERE p.search_id = :search ORDER BY p.number"""
    return [
        {**row, "config": json.loads(row["config"])}
        for row in connection.execute(text(query), known).mappings()
    ]


def _points(connection: Connection, known: Mapping[str, Any]) -> dict[int, list[Mapping[str, Any]]]:
    query = text("SELECT * FROM points WHERE search_id = :search ORDER BY trial, epoch")
    points: dict[int, list[Mapping[str, Any]]] = {}
    for row in connection.execute(query, known).mappings():
        points.setdefault(row["trial"], []).append({**row, "metrics": json.loads(row["metrics"])})
    return points
