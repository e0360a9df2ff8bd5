"""What ails a database, in words for the user."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from hpo.errors import LedgerError

_FULL: Final = ("disk is full", "disk I/O error")
_DAMAGED: Final = ("malformed", "not a database")


def explain(context: ExceptionContext) -> None:
    """Add to a database's error what it means and what is needed.

    Raises:
        LedgerError: the file is damaged, which no waiting mends.
    """
    error, file = context.sqlalchemy_exception, file_of(context.engine)
    said = _line(context.original_exception)
    if file and any(word in said for word in _DAMAGED):
        raise damage(file, said) from context.original_exception
    if file and any(word in said for word in _FULL):
        said = f"{said}; {file.parent} has {_free(file.parent)} bytes free, the ledger needs some more"
    if error is not None:
        error.add_detail(said)


def cause(error: DBAPIError) -> str:
    """Return what ails the database, in one line and without any address."""
    return str(error.detail[-1]) if error.detail else _line(error.orig)


def damage(file: Path, said: str) -> LedgerError:
    """Return the complaint that an SQLite file is not what was written."""
    remedy = f"Put back a copy of it, or save what can be read: sqlite3 {file} .recover"
    return LedgerError(f"{file} is damaged: {said}. It was left as it is. {remedy}")


def file_of(engine: Engine | None) -> Path | None:
    """Return the file of an SQLite database."""
    local = engine is not None and engine.dialect.name == "sqlite" and engine.url.database
    return Path(local).absolute() if local else None


def _free(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free:,}"


def _line(error: object) -> str:
    return " ".join(str(error).split())
