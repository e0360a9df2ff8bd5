"""Three ways to go through a space without a sampler: by what is known, what was drawn, a cube's point."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from hpo.space import Given, Space


class Known:
    """Passes on what is known and does not draw what is not, so that nothing false is learned."""

    def __init__(self, trial: optuna.Trial, known: Mapping[str, Any]) -> None:
        self._trial, self._known = trial, known

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number within these limits."""
        return self._trial.suggest_float(name, low, high, log=log) if name in self._known else low

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number within these limits."""
        return self._trial.suggest_int(name, low, high) if name in self._known else low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of these."""
        return self._trial.suggest_categorical(name, choices) if name in self._known else choices[0]


class Drawn(Given):
    """Hands out what was drawn, and notes it as a trial of Optuna's would.

    Args:
        drawn: values by the names of parameters.
        kinds: the distributions of the space's parameters.
    """

    def __init__(self, drawn: Mapping[str, Any], kinds: Mapping[str, BaseDistribution]) -> None:
        super().__init__(drawn)
        self._kinds = kinds
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def _take(self, name: str) -> Any:
        value, kind = super()._take(name), self._kinds[name]
        self.params[name] = kind.to_external_repr(kind.to_internal_repr(value))
        self.distributions[name] = kind
        return value


class Quantiles:
    """Turns a point of the unit cube into the values at these quantiles, and keeps those asked for."""

    def __init__(self, quantiles: Mapping[str, float]) -> None:
        self._quantiles = quantiles
        self.drawn: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number within these limits."""
        share = float(self._quantiles[name])
        value = low * (high / low) ** share if log else low + share * (high - low)
        return float(self._keep(name, min(max(value, low), high)))

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number within these limits."""
        return int(self._keep(name, min(low + int(self._quantiles[name] * (high - low + 1)), high)))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of these."""
        return self._keep(name, choices[int(self._quantiles[name] * len(choices))])

    def _keep(self, name: str, value: Any) -> Any:
        self.drawn[name] = value
        return value


def sobol_point(space: Space, seed: int, number: int) -> dict[str, Any]:
    """Return the values of a space's parameters at a point, from 1, of the scrambled Sobol sequence."""
    from scipy.stats import qmc  # takes as long to import as all the rest

    names = [parameter.name for parameter in space.parameters]
    if not names:
        return {}
    sequence = qmc.Sobol(len(names), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one point at a time is not a power of two
        latest = sequence.random(number)[-1]
    point = Quantiles(dict(zip(names, latest, strict=True)))
    space.sample(point)
    return point.drawn
