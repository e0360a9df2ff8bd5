"""What a search must come to, such as `accuracy>=0.97`, and whether its winner does."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from hpo.history import History, Trial
from hpo.trial import Outcome

_RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_ROUNDING: Final = 1e-6
"""Relative: measures are in single precision, where 90 right of 100 are 0.89999998."""
_FORM: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Requirement:
    """A bound for something that the recipe measures."""

    metric: str
    relation: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.bound:.15g}"

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound, or at it but for rounding; what is not a number never is."""
        equal = math.isclose(value, self.bound, rel_tol=_ROUNDING)
        return _RELATIONS[self.relation](self.bound if equal else value, self.bound)


def parse(text: str) -> tuple[Requirement, ...]:
    """Read requirements, several of them with commas between.

    >>> list(map(str, parse("accuracy >= 0.97, loss<0.1")))
    ['accuracy>=0.97', 'loss<0.1']

    Raises:
        ValueError: the text has another form.
    """
    return tuple(_parse_one(part) for part in text.split(",")) if text else ()


def _parse_one(text: str) -> Requirement:
    match = _FORM.fullmatch(text)
    if match is None or not math.isfinite(float(match[3])):
        raise ValueError(text)
    return Requirement(match[1], match[2], float(match[3]))


@dataclass(frozen=True)
class Judgement:
    """Whether the winner does what is required: by its median with so many fresh `seeds`, or one score."""

    requirement: Requirement
    value: float
    seeds: int

    @property
    def passed(self) -> bool:
        """Whether it does."""
        return self.requirement.holds(self.value)

    def describe(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        value = self.value if math.isfinite(self.value) else None
        return {
            "requirement": str(self.requirement),
            "value": value,
            "seeds": self.seeds,
            "passed": self.passed,
        }

    def __str__(self) -> str:
        how = f"median of {self.seeds} fresh seeds" if self.seeds > 1 else "one seed"
        return f"{self.requirement}: {self.value:.6g} ({how})"


def judge(history: History, requirements: tuple[Requirement, ...]) -> list[Judgement]:
    """Return whether the winner does what is required; who did not end with every seed does not."""
    standing = next(iter(history.standings), None)
    trials = list(standing.again.values()) if standing else [history.best] if history.best else []
    return [
        Judgement(it, _median([_measured(trial, it.metric, history) for trial in trials]), len(trials))
        for it in requirements
    ]


def _measured(trial: Trial, metric: str, history: History) -> float:
    if trial.outcome is not Outcome.FINISHED:
        return math.nan
    last = trial.points[-1]
    known = {"loss": last.loss, **last.metrics, history.objective.metric: last.score}
    return known.get(metric, math.nan)


def _median(values: list[float]) -> float:
    return median(values) if values and all(map(math.isfinite, values)) else math.nan
