"""Searches with more than one goal, to be read and chosen from: the front in rows, and what `pick=` names."""

from __future__ import annotations

from typing import Final

from hpo.errors import InputError, Problem, did_you_mean
from hpo.history import History, Trial
from hpo.recipe import MEMORY, SECONDS
from hpo.results.phrasing import brief

KNEE: Final = "knee"
_BEST: Final = "best"
_KIB: Final = 1024
_FULL: Final = 999.5
"""What three digits would write as 1e+03: the next unit has it."""


def cost(name: str, value: float) -> str:
    """Return a cost with its unit.

    >>> cost("memory", 1325752), cost("seconds", 0.0096), cost("parameters", 6138)
    ('1.26 MiB', '9.6 ms', '6,138')
    """
    if name == MEMORY:
        return _bytes(value)
    return _time(value) if name == SECONDS else f"{value:,.0f}"


def _bytes(value: float) -> str:
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= _FULL and len(units) > 1:
        value, units = value / _KIB, units[1:]
    return f"{value:.3g} {units[0]}"


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if 1e3 * seconds < _FULL else f"{seconds:.3g} s"


def axis(name: str) -> tuple[str, float]:
    """Return what stands along the axis of a cost, and what its numbers are multiplied by."""
    axes = {MEMORY: ("MiB at the peak", 1 / _KIB**2), SECONDS: ("milliseconds a step", 1e3)}
    return axes.get(name, (name, 1.0))


def columns(history: History) -> tuple[str, ...]:
    """Return what the rows of the front hold."""
    return ("trial", history.objective.metric, *history.objective.beside, "")


def rows(history: History) -> list[tuple[str, ...]]:
    """Return a row for each trial of the front, best score first; see `columns`. The last says what it is."""
    knee = history.knee
    return [_row(history, trial, knee) for trial in history.front]


def _row(history: History, trial: Trial, knee: Trial | None) -> tuple[str, ...]:
    costs = (cost(name, trial.costs[name]) for name in history.objective.beside)
    named = {"winner": history.best, KNEE: knee, "baseline": history.trials.get(0)}
    marks = ", ".join(name for name, it in named.items() if it is trial)
    return (str(trial.number), brief(trial.score or 0.0, digits=4), *costs, marks)


def pick(history: History, word: str) -> int | None:
    """Return the number of the trial that a word names: `best`, `knee`, a goal, or the number itself.

    The goal of the score means the winner, as `best` does; a cost means the one of the front that costs
    least. None if nothing has finished.

    Raises:
        InputError: the word names nothing.
    """
    if word.isdecimal():
        return int(word)
    known = _choices(history)
    if word not in known:
        one = "" if history.objective.beside else " This search has one goal, so there is no front."
        hint = did_you_mean(word, known)
        raise InputError(Problem(f"pick={word}", f"Name a goal, or a trial by its number.{one}{hint}"))
    found = known[word]
    return found.number if found else None


def _choices(history: History) -> dict[str, Trial | None]:
    objective, front = history.objective, history.front
    choices = {_BEST: history.best, objective.metric: history.best}
    for place, name in enumerate(objective.beside, start=1):  # of those that are no different, the best
        choices[name] = min(front, key=lambda it: history.goals(it)[place], default=None)
    return choices | ({KNEE: history.knee} if objective.beside else {})
