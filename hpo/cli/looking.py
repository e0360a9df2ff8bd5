"""What looks at searches, and changes nothing in them."""

from __future__ import annotations

import json
import os
from functools import partial

import typer

from hpo import settings
from hpo.cli import frame, output
from hpo.errors import without_password


@frame.verb()
def show(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Show a search: best trials, gain, next steps."""
    chosen = settings.NameSettings.from_words(words or ())
    from hpo.ledger import Ledger

    ledger = Ledger(chosen.store)
    found = ledger.search(chosen.name)
    output.show(found, ledger.history(found), chosen, as_json=as_json)


@frame.verb()
def watch(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Watch a search that runs elsewhere."""
    chosen = settings.NameSettings.from_words(words or ())
    from hpo.remote import watching

    hear = partial(typer.echo, err=True)

    if as_json:
        for record in watching.records(chosen.name, chosen.store, hear):
            typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
        return
    from hpo.terminal.live import viewer

    found, history = watching.watch(chosen.name, chosen.store, viewer, hear)
    output.show(found, history, chosen, as_json=False)


@frame.verb(name="list")
def list_(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """List all searches."""
    chosen = settings.StoreSettings.from_words(words or ())
    from hpo.ledger import Ledger, outline
    from hpo.results.summary import describe_outline
    from hpo.terminal import tables

    ledger = Ledger(chosen.store)
    described = [describe_outline(found, outline(ledger, found)) for found in ledger.searches()]
    output.put(tables.searches(described), described, as_json=as_json)


@frame.verb()
def report(words: frame.Words = None) -> None:
    """Write a search as one page of HTML."""
    chosen = settings.ReportSettings.from_words(words or ())
    from pathlib import Path

    from hpo.ledger import Ledger
    from hpo.report import write

    ledger = Ledger(chosen.store)
    found = ledger.search(chosen.name)
    typer.echo(write(found, ledger.history(found), Path(chosen.to or f"{found.name}.html")))


@frame.verb()
def plot(words: frame.Words = None) -> None:
    """Draw a search: curves, gradients, layers."""
    chosen = settings.PlotSettings.from_words(words or ())
    from hpo.plot import plot as draw

    for name, path, reason in draw(chosen):
        typer.echo(path or f"{name} not drawn: {reason}")


@frame.verb()
def ui(words: frame.Words = None) -> None:
    """Open MLflow's pages on the searches."""
    chosen = settings.TrackingSettings.from_words(words or ())
    from hpo.tracking import ui as pages_of

    address, command, environment = pages_of(chosen.tracking)
    typer.echo(f"Open {without_password(address)}")
    if command:  # in place of this process, so that whatever ends it ends the server
        os.execve(command[0], command, environment)  # noqa: S606 - our own words, no shell


@frame.verb()
def audit(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Check a search's ledger and MLflow."""
    chosen = settings.SyncSettings.from_words(words or ())
    from hpo.audit import audit as examine
    from hpo.terminal import tables
    from hpo.tracking import default_uri

    checks = examine(chosen.store, chosen.name, chosen.tracking or default_uri())
    output.put(tables.audit(checks), [check.describe() for check in checks], as_json=as_json)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@frame.verb()
def replay(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Decide or train again, and compare."""
    chosen = settings.ReplaySettings.from_words(words or ())
    from hpo.replay import replay as decide
    from hpo.replay import retrain
    from hpo.terminal import replaying
    from hpo.terminal.live import viewer

    found = decide(chosen) if chosen.trial is None else retrain(chosen, viewer)
    output.put(replaying.page(found), found.describe(), as_json=as_json)
    if not found.expected:
        raise typer.Exit(1)


@frame.verb()
def diff(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Compare two searches, or two trials."""
    chosen = settings.DiffSettings.from_words(words or ())
    from hpo.differences import diff as compare
    from hpo.terminal import differing

    found = compare(chosen)
    output.put(differing.page(found), found.describe(), as_json=as_json)
