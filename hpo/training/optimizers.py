"""The optimizers: each one definition with two readers.

An engine *builds* the call that an optimizer's hyperparameters amount to, an export *prints* it, so
what is printed cannot drift from what was trained. Names and defaults are PyTorch's, except that
`betas` is two numbers, `beta1` and `beta2`, which are searched apart.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hpo.config import Value
from hpo.vocabulary import Contradiction, Hyperparameter, Word

_LINE: Final = 90


@dataclass(frozen=True)
class Call:
    """A call with keyword arguments, to be made or to be printed."""

    target: str
    arguments: Mapping[str, Any]

    def build(self, *positional: Any) -> Any:
        """Make the call."""
        return pkgutil.resolve_name(self.target)(*positional, **self.arguments)

    def source(self, *positional: str) -> str:
        """Print the call: in one line if it is short, else with one argument in each.

        >>> Call("torch.optim.SGD", {"lr": 0.05}).source("model.parameters()")
        'torch.optim.SGD(model.parameters(), lr=0.05)'
        """
        printed = [*positional, *(f"{name}={_literal(value)}" for name, value in self.arguments.items())]
        line = f"{self.target}({', '.join(printed)})"
        if len(line) <= _LINE:
            return line
        return "\n".join([f"{self.target}(", *(f"    {item}," for item in printed), ")"])


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Optimizer(Word):
    """A word and the torch optimizer that it stands for."""

    target: str = ""

    def call(self, hyperparameters: Mapping[str, Value]) -> Call:
        """Return the call that these hyperparameters amount to; those left out keep their defaults."""
        arguments: dict[str, Any] = {item.name: item.default for item in self.hyperparameters}
        arguments |= hyperparameters
        if "beta1" in arguments:
            arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
        return Call(self.target, arguments)


def _lr(default: float) -> Hyperparameter:
    return Hyperparameter("lr", float, default, "learning rate", low=0, open_low=True)


def _share(name: str, default: float, doc: str) -> Hyperparameter:
    return Hyperparameter(name, float, default, doc, low=0, high=1, open_high=True)


def _weight_decay(default: float, doc: str = "times the weights, added to the gradient") -> Hyperparameter:
    return Hyperparameter("weight_decay", float, default, doc, low=0)


def _eps(default: float) -> Hyperparameter:
    return Hyperparameter("eps", float, default, "added to the denominator", low=0)


_BETAS: Final = (
    _share("beta1", 0.9, "decay of the running mean of gradients, for each step"),
    _share("beta2", 0.999, "decay of the running mean of squared gradients, for each step"),
)

_WORDS: Final = (
    Optimizer(
        name="sgd",
        doc="Stochastic gradient descent, with momentum or Nesterov momentum",
        hyperparameters=(
            _lr(1e-3),
            _share("momentum", 0.0, "share of the last step that is taken again"),
            Hyperparameter("nesterov", bool, False, "look ahead along the momentum"),  # noqa: FBT003
            _weight_decay(0.0),
        ),
        contradictions=(
            Contradiction({"nesterov": True, "momentum": 0}, "nesterov needs a momentum above 0"),
        ),
        reference="Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13",
        target="torch.optim.SGD",
    ),
    Optimizer(
        name="adagrad",
        doc="Steps divided by the root of the sum of all squared gradients",
        hyperparameters=(
            _lr(1e-2),
            Hyperparameter("lr_decay", float, 0.0, "lr is divided by 1 + lr_decay x steps", low=0),
            _weight_decay(0.0),
            Hyperparameter("initial_accumulator_value", float, 0.0, "where the sum starts", low=0),
            _eps(1e-10),
        ),
        reference="Duchi et al. 2011, jmlr.org/papers/v12/duchi11a.html",
        target="torch.optim.Adagrad",
    ),
    Optimizer(
        name="rmsprop",
        doc="Steps divided by the root of the running mean of squared gradients",
        hyperparameters=(
            _lr(1e-2),
            _share("alpha", 0.99, "decay of the running mean of squared gradients, for each step"),
            _eps(1e-8),
            _weight_decay(0.0),
            _share("momentum", 0.0, "share of the last step that is taken again"),
            Hyperparameter("centered", bool, False, "divide by the standard deviation instead"),  # noqa: FBT003
        ),
        reference="Tieleman and Hinton 2012, lecture 6.5; centered: arXiv:1308.0850",
        target="torch.optim.RMSprop",
    ),
    Optimizer(
        name="adam",
        doc="Running mean of gradients, divided by the root of that of their squares",
        hyperparameters=(_lr(1e-3), *_BETAS, _eps(1e-8), _weight_decay(0.0)),
        reference="Kingma and Ba 2014, arXiv:1412.6980",
        target="torch.optim.Adam",
    ),
    Optimizer(
        name="adamw",
        doc="Adam with weight decay apart from the gradient",
        hyperparameters=(
            _lr(1e-3),
            *_BETAS,
            _eps(1e-8),
            _weight_decay(1e-2, "times lr: the share of the weights that each step takes away"),
        ),
        reference="Loshchilov and Hutter 2017, arXiv:1711.05101",
        target="torch.optim.AdamW",
    ),
)

OPTIMIZERS: Final[Mapping[str, Optimizer]] = {word.name: word for word in _WORDS}
