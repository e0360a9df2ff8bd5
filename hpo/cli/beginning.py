"""What helps before a search."""

from __future__ import annotations

import json

import typer

from hpo import __version__, settings, shipped
from hpo.cli import frame, output


@frame.verb()
def check(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """List all mistakes of a search."""
    from hpo.check import check as examine
    from hpo.check import describe, said

    plan = examine(words or ())
    typer.echo(json.dumps(describe(plan), indent=2) if as_json else said(plan))


@frame.verb()
def new(words: frame.Words = None) -> None:
    """Write a recipe or space to start from."""
    chosen = settings.NewSettings.from_words(words or ())
    from hpo.starting import new as write

    path = write(chosen.kind, chosen.name)
    recipe = "mlp space=" if chosen.kind == "space" else ""
    typer.echo(f"Written: {path}. Run it: hpo search recipe={recipe}{chosen.name}")


@frame.verb()
def copy(words: frame.Words = None) -> None:
    """Copy a recipe or space, to change it."""
    chosen = settings.CopySettings.from_words(words or ())
    from hpo.starting import copy as write

    for path in write(chosen.source, chosen.name):
        typer.echo(f"Written: {path}")


@frame.verb()
def space(words: frame.Words = None) -> None:
    """Suggest the space to search next."""
    chosen = settings.SpaceSettings.from_words(words or ())
    from hpo.handover.suggesting import suggest

    typer.echo(suggest(chosen), nl=bool(chosen.to))


@frame.verb()
def doctor(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """Say what works on this machine."""
    chosen = settings.StoreSettings.from_words(words or ())
    from hpo.doctor import examine
    from hpo.terminal import health

    findings = []
    for finding in examine(chosen.store):
        findings.append(finding)
        if not as_json:
            output.put(health.line(finding), None, as_json=False)
    output.put(health.verdict(findings), [it.describe() for it in findings], as_json=as_json)
    if any(it.essential and not it.well for it in findings):
        raise typer.Exit(1)


@frame.verb()
def recipes(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """List the recipes, yours and hpo's own."""
    settings.Settings.from_words(words or ())
    from hpo.results.summary import describe_recipes
    from hpo.terminal import tables

    described = describe_recipes(shipped.available("recipes", ".py"))
    output.put(tables.recipes(described), described, as_json=as_json)


@frame.verb()
def spaces(words: frame.Words = None, *, as_json: frame.Json = False) -> None:
    """List the search spaces, yours and hpo's own."""
    settings.Settings.from_words(words or ())
    from hpo.results.summary import describe_spaces
    from hpo.terminal import tables

    described = describe_spaces(shipped.available("search_spaces", ".yaml"))
    output.put(tables.spaces(described), described, as_json=as_json)


@frame.verb()
def completion(words: frame.Words = None) -> None:
    """Complete words in your shell."""
    chosen = settings.CompletionSettings.from_words(words or ())
    from hpo.cli.completion import SCRIPTS, complete

    found = complete(chosen.line, frame.VERBS) if chosen.line else [SCRIPTS[chosen.shell].rstrip()]
    typer.echo("\n".join(found))


@frame.verb()
def version(words: frame.Words = None) -> None:
    """Print the version of hpo."""
    settings.Settings.from_words(words or ())
    typer.echo(f"hpo {__version__}")
