"""What may stand in a space: a value that is fixed, a range, a choice, branches, whole configurations.

Each has a value, a drawn number and a form, as `hpo.space.ranges` says.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar, final

from hpo.config import Config, Value
from hpo.space.ranges import TRUST, Int, Log, OneMinusLog, Range, Suggest, Uniform
from hpo.vocabulary import But

KEPT: Final = 0.8  # the share of options that stay as they are in a draw near another

POINTS: Final = "points"

Option = TypeVar("Option", bound=Value)


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

    def filled(self, values: Mapping[str, Value]) -> Points:
        """Return them with these values where they say nothing."""
        return Points(tuple(Config(values) | it for it in self.configs))

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
    if isinstance(node, Range):
        return bool(node.find(wanted))
    return any(same(value, wanted) for value in _possible(node))


def values(node: Node) -> Sequence[Value] | None:
    """Return all that can be drawn of a node, in order; None where that is any number of a range."""
    if isinstance(node, Int):
        return range(node.low, node.high + 1)
    return None if isinstance(node, Range) else _possible(node)


def _possible(node: Node) -> Sequence[Value]:
    """Return the values of a node, of a range its ends."""
    return (node.value,) if isinstance(node, Fixed) else node.options


def _weighed(prior: Mapping[Option, float]) -> dict[str, object]:
    """Return the form of a prior over options: a favourite, weights, or nothing."""
    if list(prior.values()) == [1.0]:
        return {"prior": next(iter(prior))}
    return {"prior": dict(prior)} if prior else {}


def _pick(
    rng: random.Random, options: Sequence[Option], prior: Mapping[Option, float], trust: float
) -> Option:
    if prior and rng.random() < trust:
        return rng.choices(list(prior), list(prior.values()))[0]
    return rng.choice(options)
