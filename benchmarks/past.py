"""What a search gains from what earlier ones found (`warm_start`), replayed on recorded learning curves.

On each task hpo's default searches for 20 trainings, beginning from

    nothing      as it does without a past
    like         what a search of another task found in 10 trainings: the next in the folder
    wrong        three of the worst tenth of the task's own configurations
    lists        as much as the tasks have words for of `search_spaces/five_adam.yaml`, which hpo begins from
                 where a space has no priors and no earlier search is there
    same         what a search of the same task found in 10 trainings; the configurations that this
                 one has tried are taken off the table, so that no answer is there already
    same, none   the same table, from nothing

Figures are those of `replay.py`. Regret is to the best configuration of the whole table, also of what was
taken off it.

    python benchmarks/past.py --curves DIR [--seeds 5] [--most 3] [--prior] [--final]
                              [--words pruner=halving …]
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import replay
from curves import Account, Axis, Spent, Table
from searchers import ADAM, MANY, beginning, listed, plan, trials

from hpo.planning.plan import Plan
from hpo.study import Study
from hpo.trial import Outcome

BUDGETS = (1, 2, 5, 10, 20)
EARLIER = 10
LATER = 1000  # seeds of the earlier searches lie so far from those of the later ones


@dataclass(frozen=True)
class Bench:
    """A folder of tasks, and how they are searched."""

    tables: Sequence[Table]
    words: Sequence[str]
    most: int
    priors: Mapping[str, float]

    def courses(self, seed: int) -> Iterator[replay.Course]:
        """Search each task from each beginning."""
        for place, table in enumerate(self.tables):
            following = self.tables[(place + 1) % len(self.tables)]
            like, _ = self.earlier(following, seed)
            same, tried = self.earlier(table, seed)
            yield self.search("nothing", table, seed, [])
            yield self.search("like", table, seed, like)
            yield self.search("wrong", table, seed, worst(table, seed, self.most))
            yield self.search("lists", table, seed, listed(table)[: self.most])
            yield self.search("same", table, seed, same, tried)
            yield self.search("same, none", table, seed, [], tried)

    def earlier(self, table: Table, seed: int) -> tuple[list[Mapping[str, Any]], set[int]]:
        """Return the best that a short search found, as parameters, and which configurations it tried."""
        account, ended = Account(table, budget=EARLIER * table.epochs), {}
        with contextlib.suppress(Spent):
            for trial in trials(account, Study(self.plan(table, seed + LATER))):
                if trial.outcome is Outcome.FINISHED:
                    ended[trial.score, trial.number] = trial.proposal.params
        return [ended[place] for place in sorted(ended)[: self.most]], {*account.seen}

    def plan(self, table: Table, seed: int, found: Sequence[Mapping[str, Any]] = ()) -> Plan:
        """Return the plan of a search that begins from what was found."""
        return beginning(plan(table, seed, self.words, self.priors), found)

    def search(
        self,
        name: str,
        table: Table,
        seed: int,
        found: Sequence[Mapping[str, Any]],
        tried: Collection[int] = (),
    ) -> replay.Course:
        """Search a task without what was tried; return how soon it got how good."""
        account = Account(table, budget=max(BUDGETS) * table.epochs, seen=dict.fromkeys(tried, MANY))
        with contextlib.suppress(Spent):
            for _ in trials(account, Study(self.plan(table, seed, found))):
                pass
        steps = tuple((paid / table.epochs, float(table.regret(loss))) for paid, loss in account.steps)
        return replay.Course(name, table.name, seed, steps, 0.0)


def worst(table: Table, seed: int, count: int) -> list[Mapping[str, Any]]:
    """Return some of the worst tenth of what did not diverge, as parameters."""
    last = np.where(np.isfinite(table.curves[:, -1]), table.curves[:, -1], -np.inf)
    chosen = np.random.default_rng(seed).choice(np.argsort(last)[-len(last) // 10 :], count, replace=False)
    return [
        dict(_drawn(axis, table.unit[it, place]) for place, axis in enumerate(table.axes)) for it in chosen
    ]


def _drawn(axis: Axis, share: float) -> tuple[str, float]:
    """Return a place on an axis as the sampler knows it."""
    low, high = axis.flat(axis.low), axis.flat(axis.high)
    flat = float(low + share * (high - low))
    if axis.scale == "one_minus_log":
        return f"model.one_minus_{axis.name}", float(np.exp(-flat))
    return f"model.{axis.name}", float(
        np.clip(np.exp(flat) if axis.scale == "log" else flat, axis.low, axis.high)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--curves", type=Path, required=True, help="a folder of recorded curves")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--most", type=int, default=3, help="so many configurations of the past are taken")
    parser.add_argument("--prior", action="store_true", help="with the usual priors for Adam")
    parser.add_argument("--final", action="store_true", help="count only the last loss of full trainings")
    parser.add_argument("--words", nargs="*", default=[], help="settings of the searches")
    words = parser.parse_args()
    tables = [Table.read(path, final=words.final) for path in sorted(words.curves.glob("*.json*"))]
    bench = Bench(tables, words.words, words.most, ADAM if words.prior else {})
    courses = [it for seed in range(words.seeds) for it in bench.courses(words.first + seed)]
    print(replay.report(courses, tables, BUDGETS))


if __name__ == "__main__":
    main()
