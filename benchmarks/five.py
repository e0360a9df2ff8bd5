"""Are there five configurations of an optimizer that work nearly everywhere, better than five of an expert's?

Of each optimizer so many configurations are drawn from `space=default`, half of them uniformly and half
from its priors. The same ones train on every recipe, as many at once as the fused engine takes, with the
same weights and order. Regret is 0 at the best of a recipe's and 1 at the median of its uniform ones, or
where training diverged.

Five are chosen one after the other, each so that the mean over recipes of the least regret among those
chosen is least. The check: chosen without a recipe, what is their least regret on it? Beside it, what five
draws from the priors come to on average, and five uniform ones.

    python benchmarks/five.py [--optimizers sgd,adagrad,rmsprop,adam,adamw] [--recipes mlp,cnn,rnn,finetune]
                              [--draws 96] [--share 1] [--to FOLDER]

`share` is the part of a recipe's epochs that is trained; with `--to` each list is written as a space.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).resolve().parent.parent))

from record import curves

from hpo.config import Config
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.settings import SearchSettings
from hpo.training.engine import Member, Task
from hpo.training.execution import execute, load_splits

FIVE = 5
AT_ONCE = 32
RESAMPLED = 2000
HEAD = "With trials=6: the baseline, and five configurations that do well on recipes of all kinds."
_TIES = 1e-6  # what the mean regret counts among those that add equally little


@dataclass(frozen=True)
class Drawn:
    """Proposes what was drawn."""

    params: Mapping[str, Any]

    def suggest_float(self, name: str, _low: float, _high: float, **_: bool) -> float:
        """Return the number drawn."""
        return float(self.params[name])

    def suggest_int(self, name: str, _low: int, _high: int) -> int:
        """Return the whole number drawn."""
        return int(self.params[name])

    def suggest_categorical(self, name: str, _choices: Sequence[Any]) -> Any:
        """Return the option drawn."""
        return self.params[name]


def pool(plan: Plan, draws: int) -> list[Config]:
    """Return configurations of a space, the first half drawn uniformly, the others from its priors."""
    dice = random.Random(0)
    drawn = [plan.space.draw(dice, float(number >= draws // 2)) for number in range(draws)]
    return [plan.space.sample(Drawn(params)) for params in drawn]


def costs(plan: Plan, configs: Sequence[Config], epochs: int) -> np.ndarray:
    """Return the last cost of each on the plan's recipe, shape [configurations]; infinite if it diverged."""
    module = execute(plan.search.source, plan.search.path)
    task = Task(module, load_splits(module, {}), plan.search.objective, epochs, 0, "cpu")
    whole = [plan.vocabulary.defaults(Config({**it, **_own(plan)})) for it in configs]
    found = []
    for start in range(0, len(whole), AT_ONCE):
        members = [Member(number, it) for number, it in enumerate(whole[start : start + AT_ONCE])]
        found += [np.inf if curve[-1] is None else curve[-1] for curve in curves(task, members)]
    return np.array(found, dtype=float)


def _own(plan: Plan) -> dict[str, Any]:
    """Return what a recipe's baseline says of its data's size and of where training starts."""
    names = ("batch_size", "start", "freeze", "body_lr")
    return {name: plan.baseline[name] for name in names if name in plan.baseline}


def regrets(found: np.ndarray) -> np.ndarray:
    """Return how far costs are from the best, where the median uniform one is 1 away."""
    best, usual = found.min(), np.median(found[: len(found) // 2])
    return np.clip((found - best) / (usual - best), 0, 1)


def chosen(matrix: np.ndarray) -> list[int]:
    """Return five places, greedily; the matrix holds regrets, shape [recipes, configurations]."""
    places: list[int] = []
    least = np.ones(len(matrix))
    for _ in range(FIVE):
        reached = np.minimum(least[:, None], matrix)
        merit = reached.mean(axis=0) + _TIES * matrix.mean(axis=0)
        merit[places] = np.inf
        places.append(int(merit.argmin()))
        least = reached[:, places[-1]]
    return places


def at_random(regrets_of: np.ndarray) -> float:
    """Return the least regret of five, on average over draws."""
    chance = np.random.default_rng(0)
    drawn = [chance.choice(regrets_of, FIVE, replace=False).min() for _ in range(RESAMPLED)]
    return statistics.fmean(drawn)


def checked(matrix: np.ndarray, recipes: Sequence[str]) -> str:
    """Return a table: five chosen on the other recipes, beside five of the expert's and of chance."""
    half = matrix.shape[1] // 2
    rows = []
    for place, name in enumerate(recipes):
        five = matrix[place, chosen(np.delete(matrix, place, axis=0))].min()
        rows.append((name, five, at_random(matrix[place, half:]), at_random(matrix[place, :half])))
    means = [statistics.fmean(row[column] for row in rows) for column in (1, 2, 3)]
    lines = [f"{'':<14}{'five':>8}{'prior':>8}{'uniform':>8}"]
    lines += [
        f"{name:<14}" + "".join(f"{it:>8.3f}" for it in own) for name, *own in [*rows, ("mean", *means)]
    ]
    return "\n".join(lines)


def written(optimizer: str, five: Sequence[Config]) -> str:
    """Return the space of these configurations, numbers with four digits."""
    points = [
        {
            name: float(f"{it:.4g}") if isinstance(it, float) else it
            for name, it in config.items()
            if name not in ("optimizer", "batch_size")
        }
        for config in five
    ]
    head = f"# hpo search recipe=cnn space=five_{optimizer}\n# {HEAD}\n\n"
    return head + yaml.safe_dump({"optimizer": optimizer, "points": points}, sort_keys=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--optimizers", default="sgd,adagrad,rmsprop,adam,adamw")
    parser.add_argument("--recipes", default="mlp,cnn,rnn,finetune")
    parser.add_argument("--draws", type=int, default=96)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--to", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    if words.to:
        words.to.mkdir(parents=True, exist_ok=True)
    recipes = words.recipes.split(",")
    for optimizer in words.optimizers.split(","):
        given = [[f"recipe={it}", f"space.optimizer={optimizer}"] for it in recipes]
        plans = [Plan.of(order(SearchSettings.from_words(it))) for it in given]
        configs = pool(plans[0], words.draws)
        matrix = np.stack(
            [regrets(costs(it, configs, max(1, round(words.share * it.epochs)))) for it in plans]
        )
        print(f"{optimizer}\n{checked(matrix, recipes)}", flush=True)
        if words.to:
            five = [configs[place] for place in chosen(matrix)]
            Path(words.to, f"five_{optimizer}.yaml").write_text(written(optimizer, five))


if __name__ == "__main__":
    main()
