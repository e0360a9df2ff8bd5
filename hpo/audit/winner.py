"""Who has won by the ledger: the best with fresh seeds, or in the search if nothing was confirmed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, text

from hpo.audit.rules import CONFIRMED, RANKING

Endings = dict[str, Row[Any]]
"""How a configuration's training ended with each seed."""


def winner(connection: Connection, known: Mapping[str, Any]) -> int | None:
    """Return the number of the trial that has won, or None if none has finished."""
    numbers: dict[str, int] = {}
    for row in connection.execute(text(RANKING), known):
        numbers.setdefault(row.config, row.number)
    confirmed = {config: endings for config, endings in _confirmed(connection, known).items() if endings}
    places = {
        config: (*_merit(list(endings.values()), known["sign"]), numbers[config])
        for config, endings in confirmed.items()
        if config in numbers
    }
    first = min(places, key=lambda config: places[config]) if places else next(iter(numbers), "")
    return numbers.get(first)


def _confirmed(connection: Connection, known: Mapping[str, Any]) -> dict[str, Endings]:
    """Return the endings by configuration and seed, of seeds with which all have ended by themselves."""
    found: dict[str, Endings] = defaultdict(dict)
    for row in connection.execute(text(CONFIRMED), known):
        found[row.config][row.notes] = row
    ended = [{seed for seed, row in rows.items() if _by_itself(row)} for rows in found.values()]
    whole = set.intersection(*ended) if ended else set()
    return {config: {seed: rows[seed] for seed in whole} for config, rows in found.items()}


def _by_itself(row: Row[Any]) -> bool:
    return bool(row.outcome) and row.reason not in ("timeout", "budget")


def _merit(rows: Sequence[Row[Any]], sign: int) -> tuple[bool, float]:
    """Return whether a training did not come to its end, and the median cost of those that did."""
    scores = [row.score for row in rows if row.outcome == "finished" and row.score is not None]
    costs = [sign * score for score in scores if math.isfinite(score)]
    return len(costs) < len(rows), median(costs or [math.inf])
