"""What ails a database, in words for the user."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError

from hpo.errors import InputError, LedgerError, Problem

_NEEDS: Final = {"disk is full": "make room there", "disk I/O error": "that disk may be failing"}
_DAMAGED: Final = ("malformed", "not a database")
_REFUSALS: Final = {
    "25006": "This server only follows another: give the address of the one that takes changes",
    "42501": "Ask its owner for the right, or give another user",
}
"""What to do where PostgreSQL takes no changes, by its codes: on a replica, and without the right to."""


class UnreachableError(LedgerError):
    """A database that someone holds, that restarts, or whose disk is full: later it may answer."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the ledger is out of reach: {said}")
        self.said = said


class UnopenedError(UnreachableError, InputError):
    """The same, before anything was started."""

    exit_code = InputError.exit_code

    def __init__(self, where: str, said: str) -> None:
        InputError.__init__(self, Problem(where, f"Cannot open this store: {said}."))
        self.said = said


def explain(context: ExceptionContext) -> None:
    """Say in our words what a database said, with what it needs.

    Raises:
        UnreachableError: it may answer later.
        LedgerError: its file is damaged, or it takes no changes, which no waiting mends.
    """
    said, file = in_one_line(context.original_exception), file_of(context.engine)
    if remedy := _REFUSALS.get(getattr(context.original_exception, "sqlstate", None) or ""):
        raise LedgerError(f"the ledger refuses: {said}. {remedy}.") from None
    if file and any(word in said for word in _DAMAGED):
        raise damage(file, said) from None
    if file and "readonly" in said:
        remedy = "Choose another store=, or search on in a copy of it."
        raise LedgerError(f"{file} is not yours to write to, only to read. {remedy}") from None
    need = next((need for word, need in _NEEDS.items() if word in said), "")
    if file and need:
        free = shutil.disk_usage(file.parent).free
        said = f"{said}: {file.parent} has {free:,} bytes free, {need}"
    if isinstance(context.sqlalchemy_exception, OperationalError | InterfaceError):
        raise UnreachableError(said) from None


def damage(file: Path, said: str) -> LedgerError:
    """Return the complaint that an SQLite file is not what was written."""
    remedy = f"Put back a copy of it, or save what can be read: sqlite3 {file} .recover"
    return LedgerError(f"{file} is damaged: {said}. It was left as it is. {remedy}")


def file_of(engine: Engine | None) -> Path | None:
    """Return the file of an SQLite database."""
    local = engine is not None and engine.dialect.name == "sqlite" and engine.url.database
    return Path(local).absolute() if local else None


def in_one_line(error: object) -> str:
    """Return what an error says, which may be several lines."""
    return " ".join(str(error).split())
