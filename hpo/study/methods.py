"""Which of Optuna's samplers and pruners a search's words mean, and how they are set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler

from hpo.planning.rungs import HALVING, HYPERBAND, halving_begins, median_begins
from hpo.study.branching import BranchingTPE, Group
from hpo.study.ladder import Field, Ladder
from hpo.study.storage import Storage

Groups = Mapping[str, Group]


def _gp(seed: int, *_: Any) -> BaseSampler:
    return GPSampler(seed=seed, independent_sampler=RandomSampler(seed), n_startup_trials=1)


def _cmaes(seed: int, *_: Any) -> BaseSampler:
    independent = RandomSampler(seed)
    return CmaEsSampler(
        seed=seed, independent_sampler=independent, warn_independent_sampling=False, n_startup_trials=1
    )


MODELS: Final[Mapping[str, Callable[[int, Groups, Storage], BaseSampler]]] = {
    "tpe": BranchingTPE,
    "gp": _gp,
    "cmaes": _cmaes,
}
"""What makes a sampler from a seed and the space's groups."""


def _halving(epochs: int, *_: Any) -> BasePruner:
    # Rungs at 1/6, 1/3 and 2/3 of the epochs; from each, the better half goes on. Earlier or sharper cuts
    # stop what warms up or decays late.
    return SuccessiveHalvingPruner(min_resource=halving_begins(epochs), reduction_factor=HALVING)


def _hyperband(epochs: int, *_: Any) -> BasePruner:
    return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=HYPERBAND)


def _median(epochs: int, *_: Any) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=median_begins(epochs))


PRUNERS: Final[Mapping[str, Callable[[int, Field], BasePruner]]] = {
    "ladder": Ladder,
    "halving": _halving,
    "hyperband": _hyperband,
    "median": _median,
    "none": lambda *_: NopPruner(),
}
