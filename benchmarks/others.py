"""Searchers of others, for `benchmarks/replay.py`: NePS's PriorBand, SMAC3, HpBandSter's BOHB, Syne Tune.

They are imported when they are asked for: `pip install 'hpo[bench]'`, in an environment of their own. Each
proposes a point of the unit cube, or a trial to go on with, and until which epoch it is to train.
"""

from __future__ import annotations

import itertools
import logging
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from curves import Account, Spent

DIVERGED = 1e6  # what they are told of it: not all of them take infinity


def _shown(loss: float) -> float:
    return min(loss, DIVERGED)


def priorband(account: Account, seed: int, priors: Mapping[str, float]) -> None:
    """NePS's PriorBand over Hyperband (Mallik et al., 2023), with the prior that hpo is given."""
    import neps
    import torch

    logging.getLogger("neps").setLevel(logging.ERROR)
    np.random.seed(seed)
    torch.manual_seed(seed)
    table, taken = account.table, dict[str, int]()
    nodes: dict[str, Any] = {
        axis.name: neps.Float(0.0, 1.0, **_expected(axis, priors)) for axis in table.axes
    }
    space = type("Space", (neps.PipelineSpace,), nodes | {"epochs": neps.IntegerFidelity(1, table.epochs)})
    search = neps.AskAndTell(neps.algorithms.priorband(space()))
    while len(account.seen) < len(table.curves):
        trial = search.ask()
        number = trial.metadata.id.partition("_")[0]
        if number not in taken:
            taken[number] = account.take([trial.config[axis.name] for axis in table.axes])
        search.tell(trial, _shown(account.train(taken[number], int(trial.config["epochs"]))))
    raise Spent


def _expected(axis: Any, priors: Mapping[str, float]) -> dict[str, Any]:
    if axis.name not in priors:
        return {}
    place = float(np.clip(axis.unit(priors[axis.name]), 0, 1))
    return {"prior": place, "prior_confidence": "medium"}


def smac(account: Account, seed: int) -> None:
    """SMAC3: Hyperband with random forests, its facade for several fidelities (Lindauer et al., 2022)."""
    from ConfigSpace import ConfigurationSpace, Float
    from smac import MultiFidelityFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    table, taken = account.table, dict[Any, int]()
    space = ConfigurationSpace(seed=seed)
    space.add([Float(axis.name, (0.0, 1.0)) for axis in table.axes])
    with tempfile.TemporaryDirectory() as folder:
        given = {"min_budget": 1, "max_budget": table.epochs, "n_trials": 10**6, "deterministic": True}
        scenario = Scenario(space, output_directory=folder, seed=seed, **given)
        search = MultiFidelityFacade(scenario, _never, overwrite=True, logging_level=logging.ERROR)
        while len(account.seen) < len(table.curves):
            trial = search.ask()
            if trial.config not in taken:
                taken[trial.config] = account.take([trial.config[axis.name] for axis in table.axes])
            loss = account.train(taken[trial.config], max(1, round(trial.budget)))
            search.tell(trial, TrialValue(_shown(loss)))
    raise Spent


def _never(config: Any, seed: int, budget: float) -> float:
    raise NotImplementedError("it is asked and told")


def bohb(account: Account, seed: int) -> None:
    """HpBandSter's BOHB (Falkner et al., 2018): its own model in a loop of our own, without its servers."""
    from ConfigSpace import ConfigurationSpace, Float
    from hpbandster.optimizers.config_generators.bohb import BOHB

    np.random.seed(seed)
    space = ConfigurationSpace(seed=seed)
    space.add([Float(axis.name, (0.0, 1.0)) for axis in account.table.axes])
    model, brackets = BOHB(space), math.floor(math.log(account.table.epochs, 3)) + 1
    for last in itertools.cycle(reversed(range(brackets))):
        rungs = [account.table.epochs / 3**it for it in reversed(range(last + 1))]
        _bracket(account, model, brackets // (last + 1) * 3**last, rungs)


def _bracket(account: Account, model: Any, first: int, rungs: Sequence[float]) -> None:
    """Let so many configurations go up these rungs, from each the best third."""
    free = len(account.table.curves) - len(account.seen)
    if not free:
        raise Spent
    going: Iterable[tuple[int, Any]] = (_drawn(account, model) for _ in range(min(first, free)))
    for rung in rungs:
        epochs = max(1, round(rung))
        losses = {number: (_told(account, model, number, config, epochs), config) for number, config in going}
        best = sorted(losses, key=lambda number: losses[number][0])[: max(1, len(losses) // 3)]
        going = [(number, losses[number][1]) for number in best]


def _drawn(account: Account, model: Any) -> tuple[int, Any]:
    config, _ = model.get_config(None)  # it asks the model of the most epochs, whatever it is told
    return account.take([config[axis.name] for axis in account.table.axes]), config


def _told(account: Account, model: Any, number: int, config: Any, epochs: int) -> float:
    loss = _shown(account.train(number, epochs))
    given = {"config": config, "budget": epochs}
    model.new_result(SimpleNamespace(result={"loss": loss}, kwargs=given, exception=None))
    return loss


def syne_asha(account: Account, seed: int) -> None:
    """Syne Tune's ASHA, in its stopping form."""
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.baselines import ASHA

    table = account.table
    space = {axis.name: uniform(0.0, 1.0) for axis in table.axes}
    search = ASHA(space, metric="loss", time_attr="epoch", max_t=table.epochs, random_seed=seed)
    for number in range(len(table.curves)):
        trial = Trial(number, search.suggest().config, None)
        search.on_trial_add(trial)
        _train(account, account.take([trial.config[axis.name] for axis in table.axes]), trial, search)
    raise Spent


def _train(account: Account, configuration: int, trial: Any, search: Any) -> None:
    for epoch in range(1, account.table.epochs + 1):
        result = {"loss": _shown(account.train(configuration, epoch)), "epoch": epoch}
        if epoch == account.table.epochs:
            search.on_trial_complete(trial, result)
        elif search.on_trial_result(trial, result) == "STOP":
            return


OTHERS: Mapping[str, Callable[[Account, int], None]] = {"smac": smac, "bohb": bohb, "syne:asha": syne_asha}
