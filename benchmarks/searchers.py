"""Who searches on recorded curves (`curves.py`): random search, halving, Optuna, and hpo."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).resolve().parent.parent))

from curves import Account, Axis, Spent, Table
from others import OTHERS, priorband

from hpo.history import Trial
from hpo.planning.ordering import order
from hpo.planning.past import Past
from hpo.planning.plan import Plan
from hpo.planning.rungs import rungs as rungs_of
from hpo.referee.undecided import Undecided
from hpo.settings import SearchSettings
from hpo.study import Study
from hpo.trial import Ending, Judgment, Outcome, Point, Proposal

MANY = 1_000_000
optuna.logging.set_verbosity(optuna.logging.ERROR)
optuna.logging.disable_default_handler()

Searcher = Callable[[Account, int], None]


def at_random(account: Account, seed: int) -> None:
    """Draw uniformly and train each to its end."""
    for point in _points(account, seed):
        account.train(account.take(point), account.table.epochs)


def _points(account: Account, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while len(account.seen) < len(account.table.curves):
        yield rng.random(len(account.table.axes))
    raise Spent


def halving(account: Account, seed: int, factor: int = 3) -> None:
    """Draw uniformly; at each rung the best third goes on as soon as it is one (asynchronous halving)."""
    rungs: dict[int, dict[int, float]] = {}
    for point in _points(account, seed):
        configuration, until = account.take(point), 1
        while True:
            loss = account.train(configuration, until)
            rung = rungs.setdefault(until, {})
            rung[configuration] = loss
            better = sum(other < loss for other in rung.values())
            if until == account.table.epochs or better * factor >= len(rung):
                break
            until = min(until * factor, account.table.epochs)


def top(account: Account, seed: int, share: float = 0.5, until: int = 2) -> None:
    """Pay a share of the budget for one epoch of as many as that buys, then train the best to their ends.

    TaskSet's first point lies before training, so one epoch is `until` the second.
    """
    points, first = _points(account, seed), {}
    while account.paid < share * account.budget:
        configuration = account.take(next(points))
        first[configuration] = account.train(configuration, until)
    for configuration in sorted(first, key=lambda it: first[it]):
        account.train(configuration, account.table.epochs)


def by_optuna(
    account: Account, seed: int, sampler: Callable[[int], Any], pruner: Callable[[int], Any]
) -> None:
    """Let Optuna propose in the unit cube, and prune after any epoch."""
    study = optuna.create_study(sampler=sampler(seed), pruner=pruner(account.table.epochs))
    while len(account.seen) < len(account.table.curves):
        trial = study.ask()
        point = [trial.suggest_float(axis.name, 0, 1) for axis in account.table.axes]
        study.tell(trial, *_outcome(account, trial, account.take(point)))
    raise Spent


def _outcome(account: Account, trial: optuna.Trial, configuration: int) -> tuple[Any, Any]:
    loss = math.inf
    for epoch in range(1, account.table.epochs + 1):
        loss = account.train(configuration, epoch)
        if not math.isfinite(loss):
            return None, optuna.trial.TrialState.PRUNED
        trial.report(loss, epoch)
        if trial.should_prune():
            return None, optuna.trial.TrialState.PRUNED
    return loss, None


def by_hpo(
    account: Account, seed: int, words: Sequence[str], priors: Mapping[str, float], most: int = 0
) -> None:
    """Let hpo's own study propose and judge, as `hpo search` would with one worker.

    It begins from so many configurations of the list of Adam at most.
    """
    ordered = beginning(plan(account.table, seed, words, priors), listed(account.table)[:most])
    for _ in trials(account, Study(ordered)):
        pass


def trials(account: Account, study: Study) -> Iterator[Trial]:
    """Yield each trial of a study once it has ended, until the budget is used up, which is raised."""
    rungs, epochs = rungs_of("ladder", account.table.epochs), account.table.epochs
    undecided, places = Undecided(rungs, epochs, study.judge), dict[int, int]()
    while len(account.seen) < len(account.table.curves):
        stops, on = undecided.decide(account.paid, 1)
        for it in stops:
            yield _ended(study, it, Outcome.PRUNED)
        trial = on[0] if on else Trial(study.propose())
        if not on:
            places[trial.number] = account.take(_point(account.table, trial.proposal))
        outcome = _trained(account, study, trial, places[trial.number])
        if outcome:
            yield _ended(study, trial, outcome)
        else:
            undecided.add(trial, account.paid, saved=True)
    raise Spent


def _point(table: Table, proposal: Proposal) -> list[float]:
    found = [float(proposal.config[_key(table, axis)]) for axis in table.axes]
    return [float(axis.unit(value)) for axis, value in zip(table.axes, found, strict=True)]


def _trained(account: Account, study: Study, trial: Trial, configuration: int) -> Outcome | None:
    """Train a trial further; return how that ended, or None if it is undecided."""
    for epoch in range(trial.epochs + 1, account.table.epochs + 1):
        loss = account.train(configuration, epoch)
        if not math.isfinite(loss):
            return Outcome.DIVERGED
        trial.points.append(Point(trial.number, epoch, loss, loss, loss, 0, 0, 0, 0))
        judgment, _ = study.report(trial.number, epoch, loss)
        if judgment is not Judgment.GOES_ON:
            return Outcome.PRUNED if judgment is Judgment.STOPS else None
    return Outcome.FINISHED


def _ended(study: Study, trial: Trial, outcome: Outcome) -> Trial:
    study.end(trial.number, outcome, trial.score)
    trial.ending = Ending(trial.number, outcome, score=trial.score)
    return trial


RECIPE = '''"""Recorded."""
objective = "minimize loss"
epochs = {epochs}
baseline = {baseline}
def model({arguments}): ...
def data(): ...
def loss(outputs, targets): ...
'''
VERBS = {"linear": "uniform", "log": "log", "one_minus_log": "one_minus_log"}


def plan(table: Table, seed: int, words: Sequence[str], priors: Mapping[str, float]) -> Plan:
    """Return the plan of a search over a table."""
    usual = {_key(table, axis): priors.get(axis.name, _middle(axis)) for axis in table.axes}
    baseline = {**(table.fixed or {}), **usual}
    own = (name.partition(".")[2] for name in baseline if name.startswith("model."))
    arguments = ", ".join(f"{name}=0.0" for name in own)
    with tempfile.TemporaryDirectory(prefix="hpo-replay-") as folder:
        recipe, space = Path(folder, "recorded.py"), Path(folder, "recorded.yaml")
        recipe.write_text(RECIPE.format(epochs=table.epochs, arguments=arguments, baseline=baseline))
        space.write_text(json.dumps(_space(table, priors)))
        given = [f"recipe={recipe}", f"space={space}", f"seed={seed}", f"trials={MANY}", *words]
        return Plan.of(order(SearchSettings.from_words(given)))


def beginning(ordered: Plan, found: Sequence[Mapping[str, Any]]) -> Plan:
    """Return the plan of a search that begins from what was found, parameters of its space."""
    settings = {**ordered.search.settings, **Past(("earlier",), tuple(found)).noted}
    return replace(ordered, search=replace(ordered.search, settings=settings))


def listed(table: Table) -> list[Mapping[str, Any]]:
    """Return the list of Adam that ships with hpo, as parameters, as far as TaskSet has words for it."""
    points = yaml.safe_load(LIST.read_text(encoding="utf-8"))["points"]
    axes = [axis for axis in table.axes if axis.name in WORDS]
    return [dict(_said(axis, point[WORDS[axis.name]]) for axis in axes) for point in points if axes]


def _said(axis: Axis, value: float) -> tuple[str, float]:
    """Return a value on an axis as the sampler knows it."""
    if axis.scale == "one_minus_log":
        return f"model.one_minus_{axis.name}", 1 - value
    return f"model.{axis.name}", float(np.clip(value, axis.low, axis.high))


def _key(table: Table, axis: Axis) -> str:
    """Return hpo's name of an axis; what it does not know is an argument of the recipe's model."""
    return f"model.{axis.name}" if table.fixed is None else axis.name


def _space(table: Table, priors: Mapping[str, float]) -> dict[str, Any]:
    """Return the space of a table's axes, and of what all its configurations share, as YAML has it."""
    fixed = table.fixed or {}
    space: dict[str, Any] = {name: value for name, value in fixed.items() if "." not in name}
    nodes = {_key(table, axis): _node(axis, priors.get(axis.name)) for axis in table.axes}
    for name, node in {**fixed, **nodes}.items():
        head, _, last = name.rpartition(".")
        if head in fixed:
            word = fixed[head]
            space[head] = {"one_of": {word: {}}} if space[head] == word else space[head]
            space[head]["one_of"][word][last] = node
        elif head:
            space.setdefault(head, {})[last] = node
        else:
            space[name] = node
    return space


def _middle(axis: Axis) -> float:
    if axis.scale == "log":
        return math.sqrt(axis.low * axis.high)
    if axis.scale == "one_minus_log":
        return 1 - math.sqrt((1 - axis.low) * (1 - axis.high))
    return (axis.low + axis.high) / 2


def _node(axis: Axis, prior: float | None) -> dict[str, Any]:
    low, high = (1 - axis.high, 1 - axis.low) if axis.scale == "one_minus_log" else (axis.low, axis.high)
    expert = {} if prior is None else {"prior": min(max(prior, axis.low), axis.high)}
    return {VERBS[axis.scale]: [low, high], **expert}


# What an expert would say of Adam, of whatever task: Kingma and Ba 2015, and common practice.
ADAM = {
    "learning_rate": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "l1": 1e-8,
    "l2": 1e-8,
    "linear_decay": 1e-7,
    "exponential_decay": 1e-6,
}
WRONG = {"learning_rate": 1.0, "beta1": 0.1, "beta2": 0.1, "epsilon": 100.0, "l1": 1.0, "l2": 1.0}


def _tpe(seed: int) -> Any:
    return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def _gp(seed: int) -> Any:
    return optuna.samplers.GPSampler(seed=seed)


def _none(_: int) -> Any:
    return optuna.pruners.NopPruner()


def _halving(_: int) -> Any:
    return optuna.pruners.SuccessiveHalvingPruner()


def _hyperband(epochs: int) -> Any:
    return optuna.pruners.HyperbandPruner(1, epochs, 3)


SEARCHERS: dict[str, Searcher] = {
    "random": at_random,
    "halving": halving,
    "top": top,
    "tpe": partial(by_optuna, sampler=_tpe, pruner=_none),
    "tpe+halving": partial(by_optuna, sampler=_tpe, pruner=_halving),
    "tpe+hyperband": partial(by_optuna, sampler=_tpe, pruner=_hyperband),
    "gp+halving": partial(by_optuna, sampler=_gp, pruner=_halving),
}
PRIORS = {"": {}, "+prior": ADAM, "+wrong": WRONG, "+lists": {}}
LIST = Path(__file__).resolve().parent.parent / "search_spaces" / "five_adam.yaml"
MOST = 3  # as hpo.conductor.recollection takes
WORDS = {"learning_rate": "optimizer.lr", "beta1": "optimizer.beta1", "beta2": "optimizer.beta2"}
TIMES = {"random x2": 2, "random x10": 10}  # random search with so many times the budget


def searcher(name: str) -> Searcher:
    """Return who is meant: one of `SEARCHERS` or `OTHERS`, or `hpo[:sampler+pruner]` or `priorband`.

    The last two may be given `+prior` or `+wrong`, hpo `+lists`: it begins from its own list of Adam.
    """
    given = next((it for it in PRIORS if it and name.endswith(it)), "")
    ways, priors = name.removesuffix(given), PRIORS[given]
    if ways == "priorband":
        return partial(priorband, priors=priors)
    if not name.startswith("hpo"):
        return {**SEARCHERS, **OTHERS}["random" if name in TIMES else name]
    sampler, _, pruner = ways.partition(":")[2].partition("+")
    words = [f"sampler={sampler}", f"pruner={pruner}"] if sampler else []
    return partial(by_hpo, words=words, priors=priors, most=MOST if given == "+lists" else 0)
