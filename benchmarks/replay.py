"""How soon a searcher finds what is good, replayed on recorded learning curves.

Whoever searches sees only what was paid for (`curves.py`); budgets are in full trainings. Figures:

    regret    (best validation loss seen - best of all) / (median last loss of all - best of all), in
              [0, 1]; the mean over seeds for each task, then the geometric mean over tasks. With --final
              only the last loss of a full training counts, as it does when hpo names a winner
    area      the same, averaged over budgets from 1 to 50 that are even on a logarithmic scale
    to 50     the budget at which a searcher has the mean regret that random search has after 50
              trainings; one that never had it counts as twice the whole budget. The same for 500
    seconds   the searcher's own processor time per search, median

In brackets are 95 % intervals by bootstrap over seeds, with the tasks as they are.

Curves are folders of `*.json` or `*.json.gz`, a task each: a list of runs {"hp": {name: number, …},
"valid": [loss after each epoch, …]}, the losses perhaps within {"loss": …}. `record.py` makes such files.

    python benchmarks/replay.py --curves DIR [--seeds 30] [--searchers random,halving,hpo] [--final]
                                [--json FILE]

Searchers are named in `searchers.py`; `hpo:tpe+halving+prior` is hpo with this sampler and pruner and an
expert's prior, `+wrong` with a deliberately wrong one, `+lists` from hpo's own list of Adam. FILE gets a
line for each search as it ends, and what it holds already is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from curves import Account, Spent, Table
from searchers import TIMES, searcher

BUDGETS = (2, 5, 10, 20, 50)
GRID = tuple(np.geomspace(1, max(BUDGETS), 30))
RESAMPLED = 1000

Job = tuple[str, Path, int, bool]


@dataclass(frozen=True)
class Course:
    """One search: where it got better, as (trainings, regret), and its own seconds."""

    searcher: str
    task: str
    seed: int
    steps: tuple[tuple[float, float], ...]
    seconds: float

    def regret(self, budget: float) -> float:
        """Return the regret after so many trainings."""
        return min((it for at, it in self.steps if at <= budget), default=1.0)

    def reached(self, regret: float) -> float:
        """Return the budget at which it was as good; what never was counts as twice the whole budget."""
        return min((at for at, it in self.steps if it <= regret), default=2.0 * max(BUDGETS))

    @property
    def area(self) -> float:
        """The regret averaged over the grid of budgets."""
        return statistics.fmean(self.regret(budget) for budget in GRID)


def replay(job: Job) -> Course:
    """Run one search on one task."""
    name, path, seed, final = job
    table, times = _table(path, final), TIMES.get(name, 1)
    account = Account(table, budget=max(BUDGETS) * table.epochs * times)
    began = time.process_time()
    with contextlib.suppress(Spent):
        searcher(name)(account, seed)
    seconds = time.process_time() - began
    steps = tuple((paid / table.epochs / times, float(table.regret(loss))) for paid, loss in account.steps)
    return Course(name, table.name, seed, steps, seconds)


@cache
def _table(path: Path, final: bool) -> Table:  # noqa: FBT001 - cached by it
    return Table.read(path, final=final)


def run(jobs: Sequence[Job], processes: int, file: Path | None) -> Iterator[Course]:
    """Yield the courses of all jobs, those that a file holds already before the others."""
    known = {(it.searcher, it.task, it.seed): it for it in _kept(file)}
    named = {job: (job[0], _table(job[1], job[3]).name, job[2]) for job in jobs}
    yield from (known[key] for key in named.values() if key in known)
    missing = [job for job, key in named.items() if key not in known]
    with ProcessPoolExecutor(processes) as pool:
        for course in pool.map(replay, missing):
            if file:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(course)) + "\n")
            yield course


def _kept(file: Path | None) -> Iterator[Course]:
    if file and file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            yield Course(**json.loads(line))


def report(courses: Sequence[Course], tables: Sequence[Table], budgets: Sequence[int] = BUDGETS) -> str:
    """Return the figures of each searcher, and for each task the budget to random's regret at 50."""
    targets = {size: {it.name: it.at_random(size) for it in tables} for size in (50, 500)}
    figures: dict[str, Callable[[Course], float]] = {f"at {it}": _regret_at(it) for it in budgets}
    figures |= {"area": lambda course: course.area}
    figures |= {f"to {size}": _reaching(target) for size, target in targets.items()}
    lines = [f"{'':<26}" + "".join(f"{name:>18}" for name in figures) + f"{'seconds':>9}  to 50, by task"]
    for name in dict.fromkeys(it.searcher for it in courses):
        own = [[it for it in courses if (it.searcher, it.task) == (name, table.name)] for table in tables]
        told = "".join(f"{_told(own, figure):>18}" for figure in figures.values())
        each = " ".join(f"{statistics.fmean(map(figures['to 50'], part)):.1f}" for part in own)
        lines.append(f"{name:<26}{told}{_seconds(own):>9.2f}  {each}")
    return "\n".join(lines)


def _regret_at(budget: float) -> Callable[[Course], float]:
    return lambda course: course.regret(budget)


def _reaching(target: dict[str, float]) -> Callable[[Course], float]:
    return lambda course: course.reached(target[course.task])


def _told(own: Sequence[Sequence[Course]], figure: Callable[[Course], float]) -> str:
    """Return a figure with its interval: mean over seeds, geometric mean over tasks."""
    values = [np.array([figure(it) for it in part]) for part in own]
    chance = np.random.default_rng(0)
    again = [[chance.choice(it, len(it)).mean() for it in values] for _ in range(RESAMPLED)]
    low, high = np.percentile(np.exp(np.log(again).mean(axis=1)), [2.5, 97.5])
    middle = math.exp(statistics.fmean(math.log(it.mean()) for it in values))
    digits = 1 if middle >= 1 else 3
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _seconds(own: Sequence[Sequence[Course]]) -> float:
    return statistics.median(it.seconds for part in own for it in part)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--curves", type=Path, required=True, help="a folder of recorded curves")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--searchers", default="random,halving,top,tpe+halving,tpe+hyperband,hpo,hpo+prior")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--final", action="store_true", help="count only the last loss of full trainings")
    parser.add_argument("--json", type=Path, help="keep every search here")
    words = parser.parse_args()
    paths = sorted([*words.curves.glob("*.json"), *words.curves.glob("*.json.gz")])
    jobs = [
        (name, path, seed, words.final)
        for seed in range(words.seeds)
        for name in words.searchers.split(",")
        for path in paths
    ]
    courses = list(run(jobs, words.processes, words.json))
    print(report(courses, [_table(path, words.final) for path in paths]))


if __name__ == "__main__":
    main()
