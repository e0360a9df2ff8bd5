"""The two ends of what a parameter may be: who lies there, how often by chance, and what lies beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Final, Protocol

from hpo.advice.facts import is_number
from hpo.config import Value
from hpo.results.phrasing import brief
from hpo.space import SPREAD, TRUST, Choice, Int, Magnitudes, OneMinusLog, Parameter, Range

_OUTER: Final = 0.1
_FACTOR: Final = 4.0  # by which a bound on a log scale moves
_BELOW_ONE: Final = 0.9  # the most that 1 - momentum may come to


class End(Protocol):
    """The upper or lower end of a parameter's values."""

    @property
    def share(self) -> float:
        """The share of draws that lie here, if nothing is known but the prior."""

    @property
    def words(self) -> str:
        """What is so of a trial that lies here."""

    @property
    def beyond(self) -> tuple[Range | Choice, Value] | None:
        """The same with more room at this end, and its new last value; None where there can be none."""

    def holds(self, drawn: Value) -> bool:
        """Whether a drawn value lies here."""


def end_of(parameter: Parameter, *, upper: bool) -> End | None:
    """Return an end of a parameter; None if its values have no order."""
    node = parameter.node
    if isinstance(node, Range):
        return _Tenth(node, upper=upper)
    if isinstance(node, Choice) and len(_steps(node)) > 2:
        return _LastStep(node, upper=upper)
    return None


@dataclass(frozen=True)
class _Tenth:
    """The outer tenth of a range, on the scale on which it is searched."""

    node: Range
    upper: bool

    @property
    def _far(self) -> bool:
        """Whether the drawn number is high here: that of momentum is 1 - momentum."""
        return self.upper is not isinstance(self.node, OneMinusLog)

    def holds(self, drawn: Value) -> bool:
        """Whether a drawn value lies here."""
        if not is_number(drawn):
            return False
        share = self.node.share(drawn)
        return share > 1 - _OUTER if self._far else share < _OUTER

    @property
    def share(self) -> float:
        """The share of draws that lie here, if nothing is known but the prior."""
        if self.node.centre is None:
            return _OUTER
        bell = NormalDist(self.node.share(self.node.centre), SPREAD)
        low, high = (1 - _OUTER, 1.0) if self._far else (0.0, _OUTER)
        inner = (bell.cdf(high) - bell.cdf(low)) / (bell.cdf(1) - bell.cdf(0))
        return max(_OUTER, TRUST * inner + (1 - TRUST) * _OUTER)

    @property
    def words(self) -> str:
        """What is so of a trial that lies here."""
        low, high = sorted(map(self.node.value, self.node.options))
        return f"lie in the {'highest' if self.upper else 'lowest'} tenth of {brief(low)} to {brief(high)}"

    @property
    def beyond(self) -> tuple[Range | Choice, Value] | None:
        """The same with more room at this end, and its new last value."""
        old = self.node.high if self._far else self.node.low
        new = self._moved(old, 1 if self._far else -1)
        changes: dict[str, Any] = {"high" if self._far else "low": new}
        return (replace(self.node, **changes), self.node.value(new)) if new != old else None

    def _moved(self, bound: float, outward: int) -> float:
        """Return a bound further out; what is a share, or not negative, stays so."""
        low, high = self.node.options
        if isinstance(self.node, Magnitudes):
            moved = _rounded(bound * _FACTOR**outward)
            return min(moved, _BELOW_ONE) if isinstance(self.node, OneMinusLog) else moved
        moved = bound + outward * (high - low) / 2
        floor, ceiling = 0 if low >= 0 else -math.inf, 1 if high <= 1 else math.inf
        if isinstance(self.node, Int):
            return max(round(moved), min(1, self.node.low))
        return min(max(_rounded(moved), floor), ceiling)


@dataclass(frozen=True)
class _LastStep:
    """The last number of a choice that lists several."""

    node: Choice
    upper: bool

    @property
    def _last(self) -> float:
        return _steps(self.node)[-1 if self.upper else 0]

    def holds(self, drawn: Value) -> bool:
        """Whether a drawn value lies here."""
        return is_number(drawn) and drawn == self._last

    @property
    def share(self) -> float:
        """The share of draws that lie here, if nothing is known but the prior."""
        favoured = self.node.prior.get(self._last, 0.0) / (sum(self.node.prior.values()) or 1.0)
        return max(1 / len(self.node.options), favoured)

    @property
    def words(self) -> str:
        """What is so of a trial that lies here."""
        return f"have the {'largest' if self.upper else 'smallest'} of its values, {brief(self._last)}"

    @property
    def beyond(self) -> tuple[Range | Choice, Value] | None:
        """The same with one step more, as much larger or smaller as the last one."""
        steps, options = _steps(self.node), self.node.options
        last, before = (steps[-1], steps[-2]) if self.upper else (steps[0], steps[1])
        if last <= 0 or before <= 0:
            return None
        step: float = last * last / before
        step = round(step) if all(isinstance(option, int) for option in options) else _rounded(step)
        if step in options or not step:
            return None
        return replace(self.node, options=(*options, step) if self.upper else (step, *options)), step


def _steps(node: Choice) -> list[float]:
    """Return the numbers among the options of a choice, in order."""
    return sorted(float(option) for option in node.options if is_number(option))


def _rounded(number: float) -> float:
    """Return the number with two digits.

    >>> _rounded(0.123)
    0.12
    """
    return float(f"{number:.2g}")
