"""What the verbs print."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from hpo import settings
from hpo.errors import HpoError, without_password

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpo.conductor.session import Result
    from hpo.history import History, Search


class Finale:
    """What the end of a search prints: to a person at once, to a program when MLflow has all of it as well.

    While MLflow is waited for, a terminal says so, and that Ctrl-C leaves it for later. What standard output
    does not take is no reason to leave anything out: that is raised when all is done.
    """

    _unwritten: HpoError | SystemExit | None = None

    def __init__(
        self, chosen: settings.StoreSettings, *, as_json: bool = False, briefly: bool = False
    ) -> None:
        self._chosen, self._as_json, self._briefly = chosen, as_json, briefly

    def __enter__(self) -> Finale:
        from hpo.terminal.console import on_stderr

        self._waiting = on_stderr().status("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.stop()
        if self._unwritten and kind is None:
            raise self._unwritten

    def tell(self, result: Result) -> None:
        """Print the page for a person, who need not wait for MLflow."""
        if not self._as_json:
            search = replace(result.search, uploaded=None)  # it is not known yet what MLflow will lack
            self._show(search, result.history)
            later = f"Ctrl-C leaves that to: {self._sync(search)}"
            self._waiting.update(f"MLflow gets the report and pictures. {later}")
            self._waiting.start()

    def close(self, search: Search, history: History) -> None:
        """Print the rest: what MLflow lacks, or all of it for a program."""
        from hpo.results.summary import unsent

        self._waiting.stop()
        if self._as_json:
            self._show(search, history)
        elif missing := unsent(search, history.seq):
            typer.echo(f"MLflow lacks {missing} of {history.seq} records. Send them: {self._sync(search)}")

    def _show(self, search: Search, history: History) -> None:
        try:
            show(search, history, self._chosen, as_json=self._as_json, briefly=self._briefly)
        except (HpoError, SystemExit) as error:
            self._unwritten = error

    def _sync(self, search: Search) -> str:
        return " ".join(("hpo sync", search.name, *self._chosen.store_words))


def show(
    found: Search,
    history: History,
    chosen: settings.StoreSettings,
    *,
    as_json: bool,
    briefly: bool = False,
) -> None:
    """Print the page of a search: all of it, or what its end says."""
    from hpo.advice import advise
    from hpo.results.summary import describe
    from hpo.terminal import advising, overview, training

    advice, words = advise(found, history), chosen.store_words
    described = describe(found, history) | {"advice": [it.describe() for it in advice]}
    if found.given:
        page = training.show(found, history, words)
    else:
        look = " ".join(("hpo show", found.name, *words))
        shown = advising.briefly(advice, look) if briefly else advising.fully(advice)
        page = overview.show(found, history, words, shown)
    put(page, described, as_json=as_json)


def put(page: RenderableType, described: object, *, as_json: bool) -> None:
    """Print a page, or what it shows as JSON.

    Raises:
        HpoError: standard output does not take it, as on a full disk.
        SystemExit: it is a pipe that nobody reads.
    """
    try:
        if as_json:
            typer.echo(json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False))
            return
        from rich.console import Console

        Console().print(page)
    except OSError as error:
        _let_go()
        if isinstance(error, BrokenPipeError):
            raise SystemExit(1) from None
        raise HpoError(f"Standard output does not take it all: {error.strerror}.") from None


def _let_go() -> None:
    """Have what standard output has not taken yet, and all that follows, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def at(service: str, name: str) -> str:
    """Say how to look at a search at a service."""
    shown = without_password(service)
    return f"See it: hpo status service={shown}. Stop it: hpo stop {name} service={shown}"
