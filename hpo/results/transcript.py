"""A search as one text: what it was ordered with and all that it wrote, as lines of JSON.

So a search travels without its ledger: MLflow keeps the text (`hpo.tracking`), `hpo fetch` reads it back.
The first line is the search, each other line one record, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from hpo.config import Config
from hpo.errors import HpoError
from hpo.history import Search, State
from hpo.recipe import Objective
from hpo.trial import Attempt, Ending, Forecast, Outcome, Point, Proposal, Record

VERSION: Final = 2
"""The form that is written; what a newer hpo wrote in another form is refused."""

_KINDS: Final = {kind.__name__.lower(): kind for kind in (Proposal, Attempt, Point, Ending, Forecast)}
_KEPT: Final = (
    "name",
    "recipe",
    "path",
    "source",
    "space",
    "versions",
    "settings",
    "created",
    "reason",
    "used",
)


def write(search: Search, records: Iterable[Record]) -> str:
    """Return a search and its records as text; numbers round-trip exactly, NaN and infinity too."""
    head = {name: getattr(search, name) for name in _KEPT}
    head |= {"version": VERSION, "objective": str(search.objective), "state": search.state}
    lines = ({"record": type(it).__name__.lower(), **_cells(it)} for it in records)
    return "".join(f"{json.dumps(line, default=dict)}\n" for line in (head, *lines))


def _cells(record: Record) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}


def read(text: str) -> tuple[Search, list[Record]]:
    """Read what `write` wrote.

    Raises:
        HpoError: a newer hpo wrote it.
    """
    head, *lines = map(json.loads, text.splitlines())
    version = head.pop("version")
    if version > VERSION:
        raise HpoError(f"A newer hpo wrote this search down (form {version}; this one reads {VERSION}).")
    head |= {"objective": Objective.recall(head["objective"]), "state": State(head["state"])}
    return Search(**head), [_record(line) for line in lines]


def _record(line: Mapping[str, Any]) -> Record:
    cells = dict(line)
    kind = _KINDS[cells.pop("record")]
    for name, read_cell in (("config", Config), ("outcome", Outcome)):
        if name in cells:
            cells[name] = read_cell(cells[name])
    return kind(**cells)
