"""Two searches, or two trials, side by side: only what is not the same."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from hpo.errors import InputError, Problem
from hpo.history import History, Search, Trial
from hpo.ledger import Ledger
from hpo.planning.past import PAST, Past
from hpo.recipe import COLUMNS
from hpo.results.summary import measures, seconds
from hpo.settings import DiffSettings

_LINES: Final = 80
_OWN: Final = ("name", "space_file", "lag", "beside", "held")
"""Settings that always differ, whose content is compared, or that follow from others and the machine."""


@dataclass(frozen=True)
class Row:
    """One thing that differs, and what it is on either side; None where there is no such thing."""

    part: str
    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Differences:
    """What differs between `a` and `b`: single values, and texts line by line."""

    a: str
    b: str
    rows: tuple[Row, ...]
    texts: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


@dataclass(frozen=True)
class _Side:
    """What was named: a search and one of its trials, its winner if no other is named."""

    name: str
    search: Search
    history: History
    trial: Trial | None
    alone: bool

    def values(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the parts that are compared value by value."""
        if not self.alone:
            yield "search", {"state": self.search.state.value, **_counts(self.history)}
        if self.trial:
            yield "trial" if self.alone else "winner", _facts(self.trial, self.search)
            yield "configuration", dict(self.trial.proposal.config)
        settings = {**self.search.settings, PAST: Past.of(self.search.settings).sources}
        yield "settings", {it: value for it, value in settings.items() if it not in _OWN}
        yield "versions", dict(self.search.versions)

    def texts(self) -> dict[str, str]:
        """Return the parts that are compared line by line."""
        return {"recipe": self.search.source, "space": self.search.space}


def diff(settings: DiffSettings) -> Differences:
    """Compare two searches (`cnn-1`) or trials (`cnn-1/7`); beside a trial, a search stands for its winner.

    Raises:
        InputError: there is no such search or trial.
    """
    ledger = Ledger(settings.store)
    sides = [_side(ledger, name) for name in (settings.a, settings.b)]
    a, b = (replace(side, alone=any(it.alone for it in sides)) for side in sides)
    texts = {name: _compared(text, b.texts()[name]) for name, text in a.texts().items()}
    return Differences(
        a.name, b.name, tuple(_rows(a, b)), {name: text for name, text in texts.items() if text}
    )


def _side(ledger: Ledger, name: str) -> _Side:
    head, slash, number = name.partition("/")
    search = ledger.search(head)
    history = ledger.history(search)
    trial = history.trials.get(int(number)) if slash else history.best
    if slash and trial is None:
        raise InputError(Problem(name, f"There is no trial {number} in {head}. Look at it: hpo show {head}."))
    return _Side(name, search, history, trial, alone=bool(slash))


def _rows(a: _Side, b: _Side) -> Iterator[Row]:
    """Yield what is not the same on both sides, part by part."""
    others = dict(b.values())
    for part, values in a.values():
        theirs = others.get(part, {})
        for name in dict.fromkeys((*values, *theirs)):
            if values.get(name) != theirs.get(name):
                yield Row(part, name, values.get(name), theirs.get(name))


def _counts(history: History) -> dict[str, Any]:
    return {"trials": len(history.searched), "epochs": history.epochs, **history.counts}


def _facts(trial: Trial, search: Search) -> dict[str, Any]:
    """Return what came of a trial."""
    took = seconds(trial)
    return {
        "number": trial.number,
        "origin": trial.proposal.origin,
        "seed": trial.proposal.seed,
        "outcome": trial.outcome and trial.outcome.value,
        "epochs": trial.epochs,
        **measures(trial, search.objective),
        **{COLUMNS[name]: value for name, value in trial.costs.items()},
        "seconds": took and round(took, 1),
    }


def _compared(before: str, after: str) -> str:
    """Return two texts' differences line by line, the first of them."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), "a", "b", lineterm="", n=1))
    rest = len(lines) - _LINES
    return "\n".join([*lines[:_LINES], *([f"… {rest} lines more"] if rest > 0 else [])])
