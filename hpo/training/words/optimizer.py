"""What an optimizer is: a word of a space, the call that it amounts to, and what it keeps between steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpo.config import Value
from hpo.training.words.calls import Call
from hpo.training.words.state import Rule, State, copies
from hpo.vocabulary import Word

_TUPLES: Final = {
    "betas": ("beta1", "beta2"),
    "adamw_betas": ("adamw_beta1", "adamw_beta2"),
    "eps": ("eps1", "eps2"),
}
_NOTHING: Final = copies(0, 0)


@dataclass(frozen=True)
class Optimizer(Word):
    """A word, the torch optimizer that it stands for, what one step does, and what is kept between steps.

    In the formula w are the weights, g is the gradient, m its running mean, v that of its square, a prime
    marks a mean that is freed of its start at 0, and t counts the steps. If it is `entrywise`, each entry of
    the weights takes its step without knowing the others, so that they may lie apart. If it is `fused`, torch
    has one kernel for a whole step, which is asked for: a small model's step is a quarter shorter with it.
    """

    target: str = ""
    formula: str = ""
    state: Rule = _NOTHING
    entrywise: bool = True
    fused: bool = False

    def arguments(self, hyperparameters: Mapping[str, Value]) -> dict[str, Any]:
        """Return all hyperparameters; those left out keep their defaults."""
        return {item.name: item.default for item in self.hyperparameters} | dict(hyperparameters)

    def call(self, hyperparameters: Mapping[str, Value]) -> Call:
        """Return the call that these hyperparameters amount to."""
        arguments = self.arguments(hyperparameters)
        for name, parts in _TUPLES.items():
            if parts[0] in arguments:
                arguments[name] = tuple(arguments.pop(part) for part in parts)
        return Call(self.target, arguments | ({"fused": True} if self.fused else {}))

    def keeps(self, shapes: Sequence[tuple[int, ...]], hyperparameters: Mapping[str, Value]) -> State:
        """Return what is kept for parameters of these shapes."""
        return self.state(shapes, self.arguments(hyperparameters))
