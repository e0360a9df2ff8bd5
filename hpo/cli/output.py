"""What the verbs print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from hpo import settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpo.history import History, Search


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
    from hpo.summary import describe
    from hpo.terminal import advising, tables, training

    advice, words = advise(found, history), chosen.store_words
    described = describe(found, history) | {"advice": [it.describe() for it in advice]}
    if found.given:
        page = training.show(found, history, words)
    else:
        look = " ".join(("hpo show", found.name, *words))
        shown = advising.briefly(advice, look) if briefly else advising.fully(advice)
        page = tables.show(found, history, words, shown)
    put(page, described, as_json=as_json)


def put(page: RenderableType, described: object, *, as_json: bool) -> None:
    """Print a page, or what it shows as JSON."""
    if as_json:
        typer.echo(json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console

    Console().print(page)


def at(service: str, name: str) -> str:
    """Say how to look at a search at a service."""
    return f"See it: hpo status service={service}. Stop it: hpo stop {name} service={service}"
