"""The text of `hpo --help` and `hpo VERB --help`: what can be typed, with an example for all of it."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.settings import Settings

Row = tuple[str, str]


def overview(verbs: Iterable[Row], search: type[Settings]) -> str:
    """Return the first page: each verb as (example, what it does), and the keys of a search."""
    return _page(
        "Usage: hpo VERB [NAME] key=value …",
        "Finds the optimizer, learning rate and schedule that train a recipe best.",
        _section("Verbs", verbs),
        _section("Keys of search", keys(search)),
        _section(
            "Options",
            [
                ("hpo VERB --help", "The keys of a verb"),
                ("hpo VERB --json", "For programs: search, train, show, list, recipes …"),
                ("hpo --version", "The version"),
            ],
        ),
        "Exit status: 0 done, 1 search failed, 2 bad input, 130 interrupted.",
    )


def verb(summary: str, example: str, settings: type[Settings], flags: Iterable[Row]) -> str:
    """Return the page of one verb."""
    parts = [summary, f"Example: {example}", _section("Keys", keys(settings))]
    if settings.configured():
        parts.append(_words(settings))
    return _page(*parts, _section("Options", flags))


def _words(settings: type[Settings]) -> str:
    """Return the words of a configuration; what each of them takes fills a page of its own."""
    meaning = settings.model_fields[settings.words].description or ""
    listed = ", ".join(settings.configured())
    return f"{meaning}:\n" + fill(
        f"{listed}; below them as optimizer.lr=0.1, model.width=64: docs/spaces.md",
        width=78,
        initial_indent="  ",
        subsequent_indent="  ",
    )


def keys(settings: type[Settings]) -> list[Row]:
    """Return the keys of a verb as (`key=default`, what it means)."""
    fields = settings.model_fields
    known = [(_form(settings, key), settings.field(key).description or "") for key in settings.known()]
    groups = [(f"{head}.NAME=…", fields[name].description or "") for head, name in settings.groups.items()]
    return [*known, *groups]


def _form(settings: type[Settings], key: str) -> str:
    if key == settings.bare:
        return key.upper()
    default = settings.field(key).default
    return f"{key}={default}" if isinstance(default, str | int) and default != "" else f"{key}=…"


def _section(title: str, rows: Iterable[Row]) -> str:
    pairs = list(rows)
    width = max((len(left) for left, _ in pairs), default=0)
    return "\n".join([f"{title}:", *(f"  {left:<{width}}  {right}" for left, right in pairs)])


def _page(*parts: str) -> str:
    return "\n\n".join(parts)
