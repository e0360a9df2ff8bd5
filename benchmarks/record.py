"""Record learning curves of a recipe, for `benchmarks/replay.py` to replay searches on.

Configurations are drawn uniformly from a space of numbers without branches to choose between, and trained
to their ends by the fused engine: with the same data, order and initial weights, as a search's trials are.

    python benchmarks/record.py --recipe mlp --space SPACE.yaml --to FOLDER/mlp.json.gz
                                [--configurations 500] [--epochs N] [--size 32]

The file is a list of runs: {"hp": {name: number, …}, "fixed": {name: value, …}, "valid": [cost, …]}, where
the cost is the recipe's score after each epoch as something to be minimized, null from where it diverged on.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).resolve().parent.parent))

from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.training import fused
from hpo.training.engine import Member, Task
from hpo.training.execution import execute, load_splits
from hpo.trial import Point


@dataclass(frozen=True)
class Uniform:
    """Proposes uniformly, on the scale that a number is searched on."""

    chance: random.Random

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between these."""
        share = self.chance.random()
        return low * (high / low) ** share if log else low + share * (high - low)

    def suggest_int(self, _name: str, low: int, high: int) -> int:
        """Return a whole number from these."""
        return self.chance.randint(low, high)

    def suggest_categorical(self, name: str, _choices: Sequence[object]) -> object:
        """Refuse: the tables of a replay know numbers only."""
        raise SystemExit(f"{name} has choices: curves are recorded over numbers only")


def record(plan: Plan, count: int, size: int) -> Iterator[dict[str, object]]:
    """Yield the runs of so many configurations, trained `size` at a time."""
    suggest = Uniform(random.Random(0))
    searched = {parameter.key for parameter in plan.space.parameters}
    drawn = [plan.space.sample(suggest) for _ in range(count)]
    fixed = {key: value for key, value in drawn[0].items() if key not in searched}
    module = execute(plan.search.source, plan.search.path)
    task = Task(module, load_splits(module, {}), plan.search.objective, plan.epochs, 0, "cpu")
    for start in range(0, count, size):
        configs = drawn[start : start + size]
        members = [Member(number, plan.vocabulary.defaults(it)) for number, it in enumerate(configs)]
        for config, curve in zip(configs, curves(task, members), strict=True):
            yield {"hp": {key: config[key] for key in searched}, "fixed": fixed, "valid": curve}


def curves(task: Task, members: Sequence[Member]) -> list[list[float | None]]:
    """Return the costs of each after each epoch."""
    found: list[list[float | None]] = [[None] * task.epochs for _ in members]
    for reports in fused.train(task, members):
        for report in reports:
            if isinstance(report, Point):
                found[report.trial][report.epoch - 1] = task.objective.cost(report.score)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--space", required=True)
    parser.add_argument("--to", type=Path, required=True, help="a file, FOLDER/TASK.json.gz")
    parser.add_argument("--configurations", type=int, default=500)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--size", type=int, default=32, help="so many train at once")
    words = parser.parse_args()
    torch.set_num_threads(1)
    epochs = [f"epochs={words.epochs}"] if words.epochs else []
    given = [f"recipe={words.recipe}", f"space={words.space}", *epochs]
    plan = Plan.of(order(SearchSettings.from_words(given)))
    runs = list(record(plan, words.configurations, words.size))
    words.to.parent.mkdir(parents=True, exist_ok=True)
    words.to.write_bytes(gzip.compress(json.dumps(runs).encode(), mtime=0))
    print(f"{len(runs)} runs of {plan.epochs} epochs in {words.to}")


if __name__ == "__main__":
    main()
