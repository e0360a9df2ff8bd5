"""A search taken elsewhere: as an Optuna study, or as tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpo.errors import InputError, Problem
from hpo.handover.destination import taken
from hpo.history import History, Search
from hpo.ledger import Ledger
from hpo.results import frames
from hpo.settings import ExportSettings

if TYPE_CHECKING:
    import pandas as pd

_FILE: Final = "sqlite:///"
_NO_CURVES: Final = (
    "Optuna keeps no curves in a study of several goals: each trial has its own as the user attribute curve."
)


def hand_over(settings: ExportSettings) -> str:
    """Write a search as the settings say, and return what was written, in words.

    Raises:
        InputError: there is no such search, or it cannot be written there.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    return FORMS[settings.form](search, ledger.history(search), settings.to)


def _optuna(search: Search, history: History, to: str) -> str:
    if "://" not in to:
        message = f"An Optuna study lies in a database: write to={_FILE}{to}."
        raise InputError(Problem(f"to={to}", message))
    _refuse_others(to)
    from hpo.study.export import save

    count = save(search, history, to)
    written = f"Written: study {search.name} with {count} trials. Look at it: optuna-dashboard {to}"
    return f"{written}\n{_NO_CURVES}" if search.objective.beside else written


def _refuse_others(url: str) -> None:
    """Refuse a database of something else: all kinds keep their revisions in a table of one name."""
    path = Path(url.removeprefix(_FILE))
    if not url.startswith(_FILE) or not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
    except sqlite3.DatabaseError as error:
        raise InputError(Problem(f"to={url}", f"This is no database: {error}.")) from None
    if tables and "studies" not in tables:
        message = "This database holds something else, and is left as it is. Choose another file."
        raise InputError(Problem(f"to={url}", message))


def _csv(search: Search, history: History, to: str) -> str:
    return _tables(search, history, to, lambda frame, path: frame.to_csv(path, index=False))


def _parquet(search: Search, history: History, to: str) -> str:
    return _tables(search, history, to, lambda frame, path: frame.to_parquet(path, index=False))


def _tables(search: Search, history: History, to: str, write: Callable[[pd.DataFrame, Path], None]) -> str:
    """Write the trials to a file and the epochs to one beside it."""
    path = Path(to)
    beside = path.with_name(f"{path.stem}-epochs{path.suffix}")
    for each in (path, beside):
        if each.exists():
            raise InputError(taken(each))
    try:
        write(frames.trials(search, history), path)
        write(frames.epochs(history), beside)
    except OSError as error:
        raise InputError(Problem(f"to={to}", f"Cannot write here: {error.strerror or error}.")) from None
    return f"Written: {path}, a row for each trial; {beside}, a row for each epoch."


FORMS: Final = {"optuna": _optuna, "csv": _csv, "parquet": _parquet}
