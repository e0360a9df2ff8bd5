"""What each optimizer keeps between steps, in numbers, from the shapes of the parameters alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class State:
    """How many numbers of the parameters' own type are kept, and how many counters, which are float32."""

    numbers: int = 0
    counters: int = 0

    def __add__(self, other: State) -> State:
        return State(self.numbers + other.numbers, self.counters + other.counters)


Rule = Callable[[Sequence[Shape], Mapping[str, Any]], State]
"""From the shapes of all parameters and all hyperparameters to what is kept."""


def _each(rule: Callable[[Shape, Mapping[str, Any]], State]) -> Rule:
    """Return the rule for all parameters that treats each by itself."""
    return lambda shapes, values: sum((rule(shape, values) for shape in shapes), State())


def copies(numbers: int, counters: int = 1) -> Rule:
    """Whole copies of each parameter, and counters for each, such as the number of steps."""
    return _each(lambda shape, _: State(numbers * math.prod(shape), counters))


@_each
def sgd(shape: Shape, values: Mapping[str, Any]) -> State:
    """The last step, if there is momentum."""
    return State(math.prod(shape) if values["momentum"] else 0)


@_each
def rmsprop(shape: Shape, values: Mapping[str, Any]) -> State:
    """The mean of squares, the last step if there is momentum, the mean if it is taken off."""
    return State((1 + bool(values["momentum"]) + values["centered"]) * math.prod(shape), 1)


@_each
def adafactor(shape: Shape, _values: Mapping[str, Any]) -> State:
    """The mean squares of a matrix's rows and columns, of a vector's entries."""
    if len(shape) < 2:
        return State(math.prod(shape), 1)
    return State(math.prod(shape[:-1]) + math.prod((*shape[:-2], shape[-1])), 1)


@_each
def muon(shape: Shape, _values: Mapping[str, Any]) -> State:
    """The momentum of a matrix, AdamW's two means of anything else."""
    return State(math.prod(shape)) if len(shape) == 2 else State(2 * math.prod(shape), 1)


def lbfgs(shapes: Sequence[Shape], values: Mapping[str, Any]) -> State:
    """At most `history_size` steps and changes of the gradient, the direction and the last gradient.

    Two factors go with each step remembered, and one scales the first guess of the curvature.
    """
    history = values["history_size"]
    return State((2 * history + 2) * sum(map(math.prod, shapes)) + 2 * history + 1)
