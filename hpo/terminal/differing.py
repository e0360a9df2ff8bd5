"""What `hpo diff` prints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpo.differences import Differences
from hpo.results.phrasing import brief


def page(found: Differences) -> RenderableType:
    """Return all that differs, or that nothing does."""
    if not found.rows and not found.texts:
        return Text(f"{found.a} and {found.b} are the same in everything that is kept of them.")
    return Group(*_parts(found))


def _parts(found: Differences) -> Iterator[RenderableType]:
    for part, rows in groupby(found.rows, key=lambda row: row.part):
        table = Table(box=None, pad_edge=False)
        for heading in (part, found.a, found.b):
            table.add_column(Text(heading), overflow="fold")
        for row in rows:
            table.add_row(Text(row.name), *map(_shown, (row.a, row.b)))
        yield table
        yield Text()
    for name, text in found.texts.items():
        yield Text(f"{name}\n{text}\n")


def _shown(value: Any) -> Text:
    if isinstance(value, list | tuple):
        return Text(", ".join(map(str, value)) or "-")
    return Text("-" if value is None or value == "" else brief(value, digits=6))
