"""Stores of every age: which revision of the schema one has, and bringing it up to date.

Nearly every store is up to date, so what that takes is one question. Alembic, which takes a while to
import, is called for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.exc import ProgrammingError

from hpo.errors import InputError, LedgerError, Problem, without_password
from hpo.ledger.schema import metadata, revisions, searches
from hpo.ledger.trouble import UnopenedError, UnreachableError, in_one_line

HEAD: Final = "0005"
_BEFORE_REVISIONS: Final = "0001"
_LOCK: Final = 4_742_063  # any number, as long as all who migrate take the same


def prepare(engine: Engine, *, create: bool) -> bool:
    """Bring a store up to date; return whether there is one.

    Args:
        engine: the database.
        create: whether to make the tables if there are none.

    Raises:
        InputError: a newer hpo has made this store, or it cannot be opened.
    """
    try:
        with engine.connect() as connection:
            found = _revision(connection)
        if found == HEAD or (found is None and not create):
            return found is not None
        with _alone(engine) as connection:
            _bring_up(connection, _shown(engine))
    except UnreachableError as error:
        raise UnopenedError(_shown(engine), error.said) from None
    except ProgrammingError as error:
        raise UnopenedError(_shown(engine), in_one_line(error.orig)) from None
    except LedgerError as error:
        raise InputError(Problem(_shown(engine), f"{error}")) from None
    return True


def _revision(connection: Connection) -> str | None:
    """Return the store's revision, or None if it has no tables."""
    there = inspect(connection)
    if there.has_table(revisions.name):
        return str(connection.scalar(select(revisions.c.version_num)))
    return _BEFORE_REVISIONS if there.has_table(searches.name) else None


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Hold off everyone else who would do the same, to the end of one transaction."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection
        connection.commit()


def _bring_up(connection: Connection, shown: str) -> None:
    found = _revision(connection)  # once more: someone else may have done it in the meantime
    if found is None:
        metadata.create_all(connection)
        connection.execute(insert(revisions).values(version_num=HEAD))
    elif found > HEAD:
        newer = f"A newer hpo has made this store: its revision is {found}, and this hpo knows {HEAD}."
        raise InputError(Problem(shown, f"{newer} Use the newer one: pip install --upgrade hpo"))
    elif found < HEAD:
        _upgrade(connection, found)


def _upgrade(connection: Connection, found: str) -> None:
    from alembic import command
    from alembic.config import Config

    if not inspect(connection).has_table(revisions.name):
        revisions.create(connection)
        connection.execute(insert(revisions).values(version_num=found))
    attributes = {"connection": connection, "version_table": revisions.name}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    command.upgrade(config, HEAD)


def _shown(engine: Engine) -> str:
    return without_password(engine.url.render_as_string(hide_password=False))
