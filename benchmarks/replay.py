"""How soon a searcher finds what is good, replayed on recorded learning curves.

A searcher sees only what it has paid for: one epoch of one configuration at a time, each at the same price;
going on with a configuration costs the epochs that are new. Who proposes a point of the space is given the
nearest recorded configuration that was not taken yet, whoever it is.

Figures, for budgets in full trainings:

    regret    (best validation loss seen - best of all) / (median last loss of all - best of all), in [0, 1];
              the mean over seeds for each task, then the geometric mean over tasks
    reached   the budget at which a searcher has the regret that random search has after 50 trainings
    seconds   the searcher's own, per search

Curves are folders of `*.json` or `*.json.gz`, each a list of runs: {"hp": {name: number, …}, "valid": [loss
after each epoch, …]}, the losses perhaps within {"loss": …}. The same file format is a task.

    python benchmarks/replay.py --curves DIR [--seeds 30] [--searchers random,halving,hpo] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).resolve().parent.parent))

from hpo.plan import Plan, order
from hpo.settings import SearchSettings
from hpo.study import Study
from hpo.trial import Outcome

BUDGETS = (2, 5, 10, 20, 50)
FLOOR = 1e-3  # of a regret, so that a geometric mean can be taken
MANY = 1_000_000
optuna.logging.set_verbosity(optuna.logging.ERROR)
optuna.logging.disable_default_handler()


@dataclass(frozen=True)
class Axis:
    """One hyperparameter: its range, and the scale on which it is even."""

    name: str
    low: float
    high: float
    scale: str  # linear, log, one_minus_log

    @classmethod
    def of(cls, name: str, values: np.ndarray) -> Axis:
        """Read an axis off the values that were recorded."""
        low, high = float(values.min()), float(values.max())
        if 0.5 < high < 1 and low >= 0 and (1 - low) / (1 - high) > 100:
            return cls(name, low, high, "one_minus_log")
        return cls(name, low, high, "log" if low > 0 and high / low > 100 else "linear")

    def unit(self, values: np.ndarray | float) -> np.ndarray:
        """Return where values lie between the ends of the range, in [0, 1]."""
        low, high = self.flat(self.low), self.flat(self.high)
        return (self.flat(values) - low) / (high - low)

    def flat(self, values: np.ndarray | float) -> np.ndarray:
        """Return values on the scale on which they are even."""
        if self.scale == "log":
            return np.log(np.maximum(values, 1e-300))
        return -np.log1p(-np.asarray(values)) if self.scale == "one_minus_log" else np.asarray(values)


@dataclass(frozen=True)
class Table:
    """A task: recorded configurations, and the validation loss of each after each epoch (inf: diverged)."""

    name: str
    axes: tuple[Axis, ...]
    unit: np.ndarray  # [configurations, axes]
    curves: np.ndarray  # [configurations, epochs]

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a task from its file."""
        content = path.read_bytes()
        runs = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        names = sorted(runs[0]["hp"])
        values = np.array([[run["hp"][name] for name in names] for run in runs], dtype=float)
        axes = tuple(Axis.of(name, values[:, place]) for place, name in enumerate(names))
        curves = np.array([_losses(run["valid"]) for run in runs], dtype=float)
        return cls(
            path.name.partition(".")[0],
            axes,
            np.stack([axis.unit(values[:, place]) for place, axis in enumerate(axes)], axis=1),
            np.where(np.isfinite(curves), curves, np.inf),
        )

    @property
    def epochs(self) -> int:
        """The epochs of a full training."""
        return self.curves.shape[1]

    def regret(self, loss: float) -> float:
        """Return how far a loss is from the best, where the median last loss is 1 away."""
        best, usual = self.curves.min(), np.median(self.curves[:, -1])
        return float(np.clip((loss - best) / (usual - best), FLOOR, 1))


def _losses(recorded: Any) -> list[float]:
    return recorded["loss"] if isinstance(recorded, dict) else recorded


class Spent(Exception):  # noqa: N818 - the end of every search
    """The budget is used up."""


@dataclass
class Account:
    """What a searcher has paid for, and the best that it has seen: [(epochs paid, loss), …]."""

    table: Table
    budget: int
    paid: int = 0
    best: float = math.inf
    seen: dict[int, int] = field(default_factory=dict)  # epochs of each configuration that was taken
    steps: list[tuple[int, float]] = field(default_factory=list)

    def take(self, point: Sequence[float]) -> int:
        """Return the nearest configuration that is free, shape of the point [axes], in the unit cube."""
        distance = ((self.table.unit - np.asarray(point)) ** 2).sum(axis=1)
        distance[list(self.seen)] = math.inf
        nearest = int(distance.argmin())
        self.seen[nearest] = 0
        return nearest

    def train(self, configuration: int, until: int) -> float:
        """Pay for epochs up to this one and return the loss after it."""
        while self.seen[configuration] < until:
            if self.paid >= self.budget:
                raise Spent
            loss = float(self.table.curves[configuration, self.seen[configuration]])
            self.seen[configuration] += 1
            self.paid += 1
            if loss < self.best:
                self.best = loss
                self.steps.append((self.paid, loss))
        return float(self.table.curves[configuration, until - 1])


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


def top(account: Account, seed: int, share: float = 0.5) -> None:
    """Pay a share of the budget for one epoch of as many as that buys, then train the best to their ends."""
    points, first = _points(account, seed), {}
    while account.paid < share * account.budget:
        configuration = account.take(next(points))
        first[configuration] = account.train(configuration, 1)
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


def by_hpo(account: Account, seed: int, *words: str, priors: Mapping[str, float] | None = None) -> None:
    """Let hpo's own study propose and judge, as `hpo search` would with one worker."""
    study = Study(_plan(account.table, seed, words, priors or {}))
    while len(account.seen) < len(account.table.curves):
        proposal = study.propose()
        own = proposal.config.below("model")
        point = [float(axis.unit(float(own[axis.name]))) for axis in account.table.axes]
        study.end(proposal.number, *_ending(account, study, proposal.number, account.take(point)))
    raise Spent


def _ending(account: Account, study: Study, number: int, configuration: int) -> tuple[Outcome, float | None]:
    loss: float | None = None
    for epoch in range(1, account.table.epochs + 1):
        now = account.train(configuration, epoch)
        if not math.isfinite(now):
            return Outcome.DIVERGED, loss
        loss = now
        kept, _ = study.report(number, epoch, loss)
        if not kept:
            return Outcome.PRUNED, loss
    return Outcome.FINISHED, loss


RECIPE = '''"""Recorded."""
objective = "minimize loss"
epochs = {epochs}
baseline = {{{baseline}}}
def model({arguments}): ...
def data(): ...
def loss(outputs, targets): ...
'''
VERBS = {"linear": "uniform", "log": "log", "one_minus_log": "one_minus_log"}


def _plan(table: Table, seed: int, words: Sequence[str], priors: Mapping[str, float]) -> Plan:
    """Return the plan of a search over a table: its axes are the arguments of a recipe's model."""
    usual = {axis.name: priors.get(axis.name, _middle(axis)) for axis in table.axes}
    arguments = ", ".join(f"{name}={value!r}" for name, value in usual.items())
    baseline = ", ".join(f'"model.{name}": {value!r}' for name, value in usual.items())
    source = RECIPE.format(epochs=table.epochs, arguments=arguments, baseline=baseline)
    lines = [f"  {axis.name}: {_node(axis, priors.get(axis.name))}" for axis in table.axes]
    with tempfile.TemporaryDirectory(prefix="hpo-replay-") as folder:
        recipe, space = Path(folder, "recorded.py"), Path(folder, "recorded.yaml")
        recipe.write_text(source)
        space.write_text("\n".join(["model:", *lines]) + "\n")
        given = [f"recipe={recipe}", f"space={space}", f"seed={seed}", f"trials={MANY}", *words]
        return Plan.of(order(SearchSettings.from_words(given)))


def _middle(axis: Axis) -> float:
    if axis.scale == "log":
        return math.sqrt(axis.low * axis.high)
    if axis.scale == "one_minus_log":
        return 1 - math.sqrt((1 - axis.low) * (1 - axis.high))
    return (axis.low + axis.high) / 2


def _node(axis: Axis, prior: float | None) -> str:
    low, high = (1 - axis.high, 1 - axis.low) if axis.scale == "one_minus_log" else (axis.low, axis.high)
    expert = "" if prior is None else f", prior: {min(max(prior, axis.low), axis.high)!r}"
    return f"{{{VERBS[axis.scale]}: [{low!r}, {high!r}]{expert}}}"


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


SEARCHERS: dict[str, Searcher] = {
    "random": at_random,
    "halving": halving,
    "top": top,
    "tpe": partial(by_optuna, sampler=_tpe, pruner=lambda _: optuna.pruners.NopPruner()),
    "tpe+halving": partial(
        by_optuna, sampler=_tpe, pruner=lambda _: optuna.pruners.SuccessiveHalvingPruner()
    ),
    "tpe+hyperband": partial(
        by_optuna, sampler=_tpe, pruner=lambda epochs: optuna.pruners.HyperbandPruner(1, epochs, 3)
    ),
    "hpo": by_hpo,
    "hpo+prior": partial(by_hpo, priors=ADAM),
    "hpo+wrong": partial(by_hpo, priors=WRONG),
}
TIMES = {"random x2": ("random", 2), "random x10": ("random", 10)}  # with so many times the budget


@dataclass(frozen=True)
class Course:
    """One search: its regret at each budget, where it reached a target, and its own seconds."""

    searcher: str
    task: str
    seed: int
    regrets: tuple[float, ...]
    steps: tuple[tuple[float, float], ...]  # (trainings, regret)
    seconds: float


def replay(searcher: str, table: Table, seed: int) -> Course:
    """Run one search on one task."""
    name, times = TIMES.get(searcher, (searcher, 1))
    account = Account(table, budget=max(BUDGETS) * table.epochs * times)
    began = time.process_time()
    with contextlib.suppress(Spent):
        SEARCHERS[name](account, seed)
    seconds = time.process_time() - began
    steps = tuple((paid / table.epochs / times, table.regret(loss)) for paid, loss in account.steps)
    regrets = tuple(min((it for at, it in steps if at <= budget), default=1.0) for budget in BUDGETS)
    return Course(searcher, table.name, seed, regrets, steps, seconds)


def _replay(job: tuple[str, Path, int]) -> Course:
    searcher, path, seed = job
    return replay(searcher, _table(path), seed)


_tables: dict[Path, Table] = {}


def _table(path: Path) -> Table:
    if path not in _tables:
        _tables[path] = Table.read(path)
    return _tables[path]


def report(courses: Sequence[Course]) -> str:
    """Return the figures of each searcher, one line each."""
    lines = [f"{'':<16}" + "".join(f"{f'at {it}':>8}" for it in BUDGETS) + f"{'reached':>10}{'seconds':>9}"]
    target = {
        task: mean([it.regrets[-1] for it in courses if (it.searcher, it.task) == ("random", task)])
        for task in {it.task for it in courses}
    }
    for searcher in dict.fromkeys(it.searcher for it in courses):
        own = [it for it in courses if it.searcher == searcher]
        figures = [
            geometric([_mean_of(own, task, place) for task in target]) for place in range(len(BUDGETS))
        ]
        reached = geometric(
            [mean([_reached(it, target[task]) for it in own if it.task == task]) for task in target]
        )
        seconds = statistics.median(it.seconds for it in own)
        lines.append(
            f"{searcher:<16}" + "".join(f"{it:>8.3f}" for it in figures) + f"{reached:>10.1f}{seconds:>9.2f}"
        )
    return "\n".join(lines)


def _mean_of(courses: Sequence[Course], task: str, place: int) -> float:
    return mean([it.regrets[place] for it in courses if it.task == task])


def _reached(course: Course, regret: float) -> float:
    """Return the budget at which a course was as good; what never was counts as twice the whole budget."""
    return min((at for at, it in course.steps if it <= regret), default=2.0 * max(BUDGETS))


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def geometric(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(it) for it in values))


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--curves", type=Path, required=True, help="a folder of recorded curves")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--searchers", default="random,halving,top,tpe+halving,tpe+hyperband,hpo,hpo+prior")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every course here")
    words = parser.parse_args()
    paths = sorted([*words.curves.glob("*.json"), *words.curves.glob("*.json.gz")])
    jobs = [
        (name, path, seed)
        for name in words.searchers.split(",")
        for path in paths
        for seed in range(words.seeds)
    ]
    with ProcessPoolExecutor(words.processes) as pool:
        courses = list(pool.map(_replay, jobs, chunksize=4))
    print(report(courses))
    if words.json:
        words.json.write_text(json.dumps([asdict(it) for it in courses]), encoding="utf-8")


if __name__ == "__main__":
    main()
