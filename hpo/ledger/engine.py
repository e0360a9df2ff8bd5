"""Opening a database by its address, in the way that a ledger needs it."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from hpo.errors import NO_PORT, InputError, Problem
from hpo.ledger.place import may_write, open_to_read
from hpo.ledger.trouble import explain

_FORM: Final = "an address such as sqlite:///hpo.db or postgresql://user:password@host/database"
_DRIVER: Final = "PostgreSQL needs psycopg: pip install 'hpo[postgres]'"
_WAIT_SECONDS: Final = 30
"""How long one try waits for a lock, or for a server that does not answer."""
_PATIENT: Final = {
    "connect_timeout": 10,
    "options": f"-c lock_timeout={_WAIT_SECONDS}s",
    "keepalives_idle": _WAIT_SECONDS,
    "tcp_user_timeout": 1000 * _WAIT_SECONDS,  # a line that is dead and does not say so
}


def open_engine(url: str) -> Engine:
    """Return the engine of an address; nothing is connected to yet.

    Raises:
        InputError: the address cannot be understood, or its driver is not installed.
    """
    try:
        return _open(url)
    except ArgumentError as error:
        raise InputError(Problem("store", f"This is not {_FORM}: {error}.")) from None
    except ImportError as error:
        raise InputError(Problem("store", f"{error}. {_DRIVER}")) from None
    except ValueError:  # which quotes a piece of the address, maybe of its password
        raise InputError(Problem("store", f"This is not {_FORM}: {NO_PORT}.")) from None


def _open(url: str) -> Engine:
    given = make_url(url)
    file = Path(given.database or "").absolute()
    if given.get_backend_name() != "sqlite":
        patient = {name: value for name, value in _PATIENT.items() if name not in given.query}
        engine = create_engine(url, pool_pre_ping=True, connect_args=patient)
    elif file.is_file() and not may_write(file):
        engine = create_engine(url, creator=partial(open_to_read, file), poolclass=NullPool)
    else:
        engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "handle_error", explain)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # WAL lets readers and the one writer work at the same time; FULL makes each commit survive a power cut.
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()  # nobody else has it yet
        raise
