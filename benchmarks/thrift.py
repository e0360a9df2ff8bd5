"""What a search loses, and what it saves, if it ends where more is not worth it (`hpo.progress.prospect`).

hpo's default search is replayed on recorded curves (`curves.py`) with a budget in full trainings, and stopped
where its rule says so. Only the last loss of a full training counts. Figures, means over tasks and seeds:

    stopped   the share of searches that ended before their budget
    saved     the share of the budget that these, and the others, left
    regret    (loss of the winner - best of all) / (median last loss of all - best of all), at the end of the
              budget and where the rule ended the search
    noise     what the rule takes for noise, on the same scale

    python benchmarks/thrift.py --curves DIR [--seeds 7] [--budgets 10,20,50]
"""

from __future__ import annotations

import argparse
import contextlib
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from curves import Account, Spent, Table
from searchers import plan, trials

from hpo.history import Trial
from hpo.progress.prospect import Prospect
from hpo.recipe import Objective
from hpo.study import Study
from hpo.trial import Outcome

LOSS = Objective("minimize", "loss")


@dataclass(frozen=True)
class End:
    """Where a search stood when its rule, or its budget, ended it: trainings paid, regret, noise."""

    paid: float
    regret: float
    noise: float


@dataclass
class Search:
    """A replayed search, trial by trial: `known` are those that ended, with what was paid by then."""

    table: Table
    known: list[tuple[Trial, float]]

    def end(self, budget: float, *, thrifty: bool) -> End:
        """Return where it ends: with its budget, or if it is thrifty where the rest is not worth it."""
        told, spent, best = Prospect(LOSS), 0.0, math.inf
        for trial, paid in self.known:
            if paid > budget or (thrifty and _vain(told, trial.number, spent, budget)):
                break
            told.take(trial)
            spent = paid
            if trial.outcome is Outcome.FINISHED:
                best = min(best, trial.score or math.inf)
        noise = self.table.regret(self.table.lowest.min() + (told.noise or 0.0))
        return End(spent, float(self.table.regret(best)), float(noise))


def _vain(told: Prospect, trials: int, spent: float, budget: float) -> bool:
    gain = told.gain((budget - spent) / (spent / trials)) if trials else None
    return gain is not None and told.noise is not None and gain < told.noise


def replay(job: tuple[Path, int, int]) -> Search:
    """Search one task to the whole budget."""
    path, seed, budget = job
    table = Table.read(path, final=True)
    account = Account(table, budget * table.epochs)
    study = Study(plan(table, seed, [], {}))
    known: list[tuple[Trial, float]] = []
    with contextlib.suppress(Spent):
        known.extend((trial, account.paid / table.epochs) for trial in trials(account, study))
    return Search(table, known)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--budgets", default="10,20,50")
    parser.add_argument("--processes", type=int, default=1)
    words = parser.parse_args()
    budgets = [int(it) for it in words.budgets.split(",")]
    paths = sorted(words.curves.glob("*.json.gz"))
    jobs = [(path, seed, max(budgets)) for path in paths for seed in range(words.seeds)]
    with ProcessPoolExecutor(words.processes) as pool:
        searches = list(pool.map(replay, jobs))
    for budget in budgets:
        print(f"budget {budget:>3}: {_told(searches, budget)}")


def _told(searches: list[Search], budget: int) -> str:
    whole, ends = ([it.end(budget, thrifty=thrifty) for it in searches] for thrifty in (False, True))
    stopped = fmean(end.paid < full.paid for end, full in zip(ends, whole, strict=True))
    saved = 1 - fmean(it.paid for it in ends) / fmean(it.paid for it in whole)
    regrets = [fmean(it.regret for it in those) for those in (whole, ends)]
    noise = fmean(it.noise for it in ends)
    return (
        f"stopped {stopped:.2f}, saved {saved:.2f}, "
        f"regret {regrets[0]:.4f} at the end, {regrets[1]:.4f} where stopped, noise {noise:.4f}"
    )


if __name__ == "__main__":
    main()
