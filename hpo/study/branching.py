"""Optuna's TPE for a space of branches: a model of each branch that a trial enters, and of no other.

Optuna's own way (`group=True`) finds out from past trials which parameters go together, and models every
branch for every proposal. Here the space says it, and a branch is modelled once the proposal is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

from hpo.space import Parameter, Space
from hpo.study.storage import Storage

Group = Mapping[str, BaseDistribution]


class BranchingTPE(TPESampler):
    """Proposes for one trial; the parameters of a group are drawn together when the first is asked for.

    Args:
        seed: for the one proposal that it makes.
        groups: those of the space, by the names of all their parameters.
        memory: where the study keeps its trials.
    """

    def __init__(self, seed: int, groups: Mapping[str, Group], memory: Storage) -> None:
        super().__init__(seed=seed, multivariate=True, n_startup_trials=0)
        self._groups, self._memory, self._drawn = groups, memory, dict[str, Any]()

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - the sampler's own signature, as below
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return nothing to draw before the trial asks."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Return a parameter's value, drawn with those of its group."""
        if param_name not in self._drawn:
            group = self._groups[param_name]
            with self._memory.having(group.keys()):
                self._drawn |= self.sample_relative(study, trial, dict(group))
        return self._drawn[param_name]


def groups(space: Space) -> dict[str, Group]:
    """Return for each parameter the distributions of all that are there whenever it is."""
    found = [_distributions(group) for group in space.groups]
    return {name: group for group in found for name in group}


def _distributions(parameters: Iterable[Parameter]) -> Group:
    return {name: it for name, it in kinds(parameters).items() if not it.single()}


def kinds(parameters: Iterable[Parameter]) -> dict[str, BaseDistribution]:
    """Return the distributions of parameters, by their names."""
    asked = _Asked()
    for parameter in parameters:
        parameter.node.ask(parameter.name, asked)
    return asked.distributions


class _Asked:
    """Notes what a space asks for, as Optuna's trials name it."""

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log)
        return low

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.distributions[name] = IntDistribution(low, high)
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return choices[0]
