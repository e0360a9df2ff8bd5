"""Ranges of numbers that may stand in a space, each even on a scale of its own.

Three views of one hyperparameter meet here. The *value* is what the config holds (momentum 0.9). The
*drawn* number is what the sampler knows (0.1 = 1 - momentum). The *form* is what YAML says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar, Final, Protocol, final

from hpo.config import Value

TRUST: Final = 0.8  # the share of draws that follow the expert; the rest keeps every corner reachable
SPREAD: Final = 1 / 6  # the standard deviation around an expert's value, as a share of the range


class Suggest(Protocol):
    """Whoever proposes the next value; `optuna.Trial` is one."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Propose a number between low and high."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Propose a whole number from low to high."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Propose one of the choices."""


class Given:
    """Proposes what it was given, of everything that is asked for."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def suggest_float(self, name: str, _low: float, _high: float, *, log: bool = False) -> float:  # noqa: ARG002
        """Return the number of this name."""
        value: float = self._take(name)
        return value

    def suggest_int(self, name: str, _low: int, _high: int) -> int:
        """Return the whole number of this name."""
        return int(self._take(name))

    def suggest_categorical(self, name: str, _choices: Any) -> Any:
        """Return the choice of this name."""
        return self._take(name)

    def _take(self, name: str) -> Any:
        return self._params[name]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; an expert would look around the value `prior`."""

    low: float
    high: float
    prior: float | None = None
    verb: ClassVar[str]
    searched: ClassVar[bool] = True

    @property
    def options(self) -> tuple[float, float]:
        """What there is to draw from."""
        return self.low, self.high

    @property
    def form(self) -> dict[str, object]:
        """What YAML says."""
        return {self.verb: list(self.options)} | ({} if self.prior is None else {"prior": self.prior})

    def value(self, drawn: float) -> float:
        """Return the value that a drawn number stands for."""
        return drawn

    def place(self, value: float) -> float:
        """Return the drawn number that stands for a value."""
        return value

    def find(self, value: Value) -> tuple[float, ...]:
        """Return the drawn number that gives exactly this value, if there is one."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ()
        drawn = self.place(value)
        return (drawn,) if self.low <= drawn <= self.high and self.value(drawn) == value else ()

    def share(self, drawn: float) -> float:
        """Return where a drawn number lies between the bounds, in [0, 1], on the range's own scale."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(drawn) - low) / (high - low) if high > low else 0.0

    def scale(self, drawn: float) -> float:
        """Return a drawn number as it is where every part of the range is equally likely."""
        return drawn

    @property
    def centre(self) -> float | None:
        """The drawn number around which the expert would look."""
        return None if self.prior is None else self.place(self.prior)

    def draw(self, rng: random.Random, trust: float = TRUST) -> float:
        """Draw a number from the prior, to this share; otherwise uniformly."""
        return self._around(rng, self.centre, trust)

    def near(self, drawn: float, rng: random.Random) -> float:
        """Draw a number around one that was drawn before."""
        return self._around(rng, drawn, 1.0)

    def _around(self, rng: random.Random, centre: float | None, trust: float) -> float:
        return _clip(_between(rng, self.low, self.high, centre, trust), self)


@final
@dataclass(frozen=True, slots=True)
class Uniform(Range):
    """Every value between the bounds is equally likely."""

    verb: ClassVar[str] = "uniform"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return the value that is proposed."""
        return suggest.suggest_float(name, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Magnitudes(Range):
    """Numbers of which every order of magnitude is equally likely."""

    def scale(self, drawn: float) -> float:
        """Return its order of magnitude."""
        return math.log(drawn)

    def _around(self, rng: random.Random, centre: float | None, trust: float) -> float:
        middle = None if centre is None else math.log(centre)
        return _clip(math.exp(_between(rng, math.log(self.low), math.log(self.high), middle, trust)), self)


@final
@dataclass(frozen=True, slots=True)
class Log(Magnitudes):
    """Every order of magnitude between the bounds is equally likely."""

    verb: ClassVar[str] = "log"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return the value that is proposed."""
        return suggest.suggest_float(name, self.low, self.high, log=True)


@final
@dataclass(frozen=True, slots=True)
class OneMinusLog(Magnitudes):
    """Every order of magnitude of 1 - value is equally likely, for momentum and betas.

    The bounds are those of 1 - value, the prior is a value.
    """

    verb: ClassVar[str] = "one_minus_log"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return one minus the number that is proposed."""
        return self.value(suggest.suggest_float(name, self.low, self.high, log=True))

    def value(self, drawn: float) -> float:
        """Return one minus the drawn number."""
        return 1 - drawn

    def place(self, value: float) -> float:
        """Return one minus the value; a bound comes back as it was written (1 - 0.7 is not 0.3)."""
        return next((bound for bound in self.options if 1 - bound == value), 1 - value)


@final
@dataclass(frozen=True, slots=True)
class Int(Range):
    """Whole numbers, both bounds included."""

    low: int
    high: int
    verb: ClassVar[str] = "int"

    def ask(self, name: str, suggest: Suggest) -> int:
        """Return the value that is proposed."""
        return suggest.suggest_int(name, self.low, self.high)

    def _around(self, rng: random.Random, centre: float | None, trust: float) -> int:
        return int(_clip(round(_between(rng, self.low - 0.5, self.high + 0.5, centre, trust)), self))

    def find(self, value: Value) -> tuple[int, ...]:
        """Return the value, if it is a whole number in the range."""
        if isinstance(value, bool) or not isinstance(value, int):
            return ()
        return (value,) if self.low <= value <= self.high else ()


def _between(rng: random.Random, low: float, high: float, centre: float | None, trust: float) -> float:
    """Draw uniformly, or with this trust from a normal around the centre, truncated to the range."""
    width = high - low
    if centre is None or not width or rng.random() >= trust:
        return rng.uniform(low, high)
    bell = NormalDist((centre - low) / width, SPREAD)
    return low + width * bell.inv_cdf(rng.uniform(bell.cdf(0), bell.cdf(1)))


def _clip(drawn: float, node: Range) -> float:
    """Undo what rounding added beyond the bounds."""
    return min(max(drawn, node.low), node.high)
