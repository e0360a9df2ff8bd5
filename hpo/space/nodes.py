"""What may stand in a space: values that are fixed, ranges and choices that are searched, branches.

Three views of one hyperparameter meet here. The *value* is what the config holds (momentum 0.9). The
*drawn* number is what the sampler knows (0.1 = 1 - momentum). The *form* is what YAML says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import ClassVar, Final, Protocol, TypeVar, final

from hpo.config import Config, Value
from hpo.vocabulary import But

TRUST: Final = 0.8  # the share of draws that follow the expert; the rest keeps every corner reachable
SPREAD: Final = 1 / 6  # the standard deviation around an expert's value, as a share of the range
KEPT: Final = 0.8  # the share of options that stay as they are in a draw near another

POINTS: Final = "points"

Option = TypeVar("Option", bound=Value)


class Suggest(Protocol):
    """Whoever proposes the next value; `optuna.Trial` is one."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Propose a number between low and high."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Propose a whole number from low to high."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Propose one of the choices."""


@final
@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is not searched."""

    value: Value
    searched: ClassVar[bool] = False

    def ask(self, _name: str, _suggest: Suggest) -> Value:
        """Return the value; nobody is asked."""
        return self.value

    def draw(self, _rng: random.Random, _trust: float = TRUST) -> Value:
        """Return the value."""
        return self.value

    def near(self, _drawn: Value, _rng: random.Random) -> Value:
        """Return the value."""
        return self.value

    def find(self, _value: Value) -> tuple[()]:
        """Return nothing, as nothing is drawn."""
        return ()

    @property
    def form(self) -> Value:
        """What YAML says."""
        return self.value


@dataclass(frozen=True, slots=True)
class _Range:
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
class Uniform(_Range):
    """Every value between the bounds is equally likely."""

    verb: ClassVar[str] = "uniform"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return the value that is proposed."""
        return suggest.suggest_float(name, self.low, self.high)


@final
@dataclass(frozen=True, slots=True)
class Log(_Range):
    """Every order of magnitude between the bounds is equally likely."""

    verb: ClassVar[str] = "log"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return the value that is proposed."""
        return suggest.suggest_float(name, self.low, self.high, log=True)

    def _around(self, rng: random.Random, centre: float | None, trust: float) -> float:
        return _magnitude(rng, self, centre, trust)


@final
@dataclass(frozen=True, slots=True)
class OneMinusLog(_Range):
    """Every order of magnitude of 1 - value is equally likely, for momentum and betas.

    The bounds are those of 1 - value, the prior is a value.
    """

    verb: ClassVar[str] = "one_minus_log"

    def ask(self, name: str, suggest: Suggest) -> float:
        """Return one minus the number that is proposed."""
        return self.value(suggest.suggest_float(name, self.low, self.high, log=True))

    def _around(self, rng: random.Random, centre: float | None, trust: float) -> float:
        return _magnitude(rng, self, centre, trust)

    def value(self, drawn: float) -> float:
        """Return one minus the drawn number."""
        return 1 - drawn

    def place(self, value: float) -> float:
        """Return one minus the value; a bound comes back as it was written (1 - 0.7 is not 0.3)."""
        return next((bound for bound in self.options if 1 - bound == value), 1 - value)


@final
@dataclass(frozen=True, slots=True)
class Int(_Range):
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


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values; `prior` maps those that an expert favours to weights."""

    options: tuple[Value, ...]
    prior: Mapping[Value, float] = field(default_factory=dict)
    verb: ClassVar[str] = "choice"
    searched: ClassVar[bool] = True

    def ask(self, name: str, suggest: Suggest) -> Value:
        """Return the option that is proposed."""
        return suggest.suggest_categorical(name, self.options)

    def draw(self, rng: random.Random, trust: float = TRUST) -> Value:
        """Draw an option from the prior, to this share; otherwise uniformly."""
        return _pick(rng, self.options, self.prior, trust)

    def near(self, drawn: Value, rng: random.Random) -> Value:
        """Return the option that was drawn before, mostly."""
        return drawn if rng.random() < KEPT else self.draw(rng)

    def find(self, value: Value) -> tuple[Value, ...]:
        """Return the value as the options have it (5 for 5.0), if it is one of them."""
        return tuple(option for option in self.options if same(option, value))

    @property
    def form(self) -> dict[str, object]:
        """What YAML says."""
        return {self.verb: list(self.options)} | _weighed(self.prior)


Leaf = Fixed | Uniform | Log | OneMinusLog | Int | Choice


@final
@dataclass(frozen=True, slots=True)
class OneOf:
    """A word that opens hyperparameters of its own; with a single branch there is nothing to search."""

    branches: Mapping[str, Mapping[str, Leaf]]
    prior: Mapping[str, float] = field(default_factory=dict)
    verb: ClassVar[str] = "one_of"

    @property
    def searched(self) -> bool:
        """Whether there is more than one branch."""
        return len(self.branches) > 1

    @property
    def options(self) -> tuple[str, ...]:
        """The words."""
        return tuple(self.branches)

    def ask(self, name: str, suggest: Suggest) -> Value:
        """Return the word that is proposed."""
        return suggest.suggest_categorical(name, self.options) if self.searched else self.options[0]

    def draw(self, rng: random.Random, trust: float = TRUST) -> Value:
        """Draw a word from the prior, to this share; otherwise uniformly."""
        return _pick(rng, self.options, self.prior, trust)

    def near(self, drawn: Value, rng: random.Random) -> Value:
        """Return the word that was drawn before, mostly."""
        return drawn if rng.random() < KEPT else self.draw(rng)

    def find(self, value: Value) -> tuple[Value, ...]:
        """Return the word, if it is one of those to draw from."""
        return (value,) if self.searched and value in self.branches else ()

    @property
    def form(self) -> dict[str, object]:
        """What YAML says."""
        branches = {
            word: {name: leaf.form for name, leaf in leaves.items()} for word, leaves in self.branches.items()
        }
        return {self.verb: branches} | _weighed(self.prior)


@final
@dataclass(frozen=True, slots=True)
class Points:
    """Whole configurations, or parts of them, one of which is taken; a sampler knows them by number."""

    configs: tuple[Config, ...]

    @property
    def searched(self) -> bool:
        """Whether there is more than one."""
        return len(self.configs) > 1

    @property
    def options(self) -> tuple[int, ...]:
        """Their numbers."""
        return tuple(range(len(self.configs)))

    def ask(self, name: str, suggest: Suggest) -> Value:
        """Return the number of the one that is proposed."""
        return suggest.suggest_categorical(name, self.options) if self.searched else 0

    def draw(self, rng: random.Random, _trust: float = TRUST) -> Value:
        """Draw a number."""
        return rng.choice(self.options)

    def near(self, drawn: Value, rng: random.Random) -> Value:
        """Return the number that was drawn before, mostly."""
        return drawn if rng.random() < KEPT else self.draw(rng)

    def find(self, number: Value) -> tuple[Value, ...]:
        """Return the number, if there is one and something to choose from."""
        return (number,) if self.searched and number is not None else ()

    def number(self, config: Config) -> int | None:
        """Return the number of the first one that a configuration agrees with."""
        return next((at for at, it in enumerate(self.configs) if it.items() <= config.items()), None)

    @property
    def form(self) -> list[dict[str, Value]]:
        """What YAML says."""
        return [dict(config) for config in self.configs]


Node = Leaf | OneOf | Points


def same(left: Value, right: Value) -> bool:
    """Whether two values are equal and alike; Python's `0 == False` does not count."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def can_be(node: Node, wanted: Value | But) -> bool:
    """Whether a node can give exactly this value, or one but it."""
    if isinstance(wanted, But):
        return any(not same(value, wanted.value) for value in _possible(node))
    if isinstance(node, _Range):
        return bool(node.find(wanted))
    return any(same(value, wanted) for value in _possible(node))


def _possible(node: Node) -> Sequence[Value]:
    """Return the values of a node, of a range its ends."""
    return (node.value,) if isinstance(node, Fixed) else node.options


def _weighed(prior: Mapping[Option, float]) -> dict[str, object]:
    """Return the form of a prior over options: a favourite, weights, or nothing."""
    if list(prior.values()) == [1.0]:
        return {"prior": next(iter(prior))}
    return {"prior": dict(prior)} if prior else {}


def _between(rng: random.Random, low: float, high: float, centre: float | None, trust: float) -> float:
    """Draw uniformly, or with this trust from a normal around the centre, truncated to the range."""
    width = high - low
    if centre is None or not width or rng.random() >= trust:
        return rng.uniform(low, high)
    bell = NormalDist((centre - low) / width, SPREAD)
    return low + width * bell.inv_cdf(rng.uniform(bell.cdf(0), bell.cdf(1)))


def _magnitude(rng: random.Random, node: Log | OneMinusLog, centre: float | None, trust: float) -> float:
    middle = None if centre is None else math.log(centre)
    return _clip(math.exp(_between(rng, math.log(node.low), math.log(node.high), middle, trust)), node)


def _clip(drawn: float, node: _Range) -> float:
    """Undo what rounding added beyond the bounds."""
    return min(max(drawn, node.low), node.high)


def _pick(
    rng: random.Random, options: Sequence[Option], prior: Mapping[Option, float], trust: float
) -> Option:
    if prior and rng.random() < trust:
        return rng.choices(list(prior), list(prior.values()))[0]
    return rng.choice(options)
