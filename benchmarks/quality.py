"""How good the winner is for the epochs that were paid: hpo's default against random search.

Both search recipe `cnn` on the space `default`, with the real referee and the real training loop, but in one
process and with one worker: without Ray the budget in epochs is exact and a run repeats to the last digit.

    default   what `hpo search` does unless told otherwise
    random    sampler=random pruner=none

Both try the recipe's baseline first. A budget of n trainings is n times the recipe's epochs, however many
trials they are spread over. What counts is the best validation loss among trials that trained all epochs
by then. Seeds (of weights, data order and sampler) are shared, so ratios are paired: below 1 is better.
`reached` is the budget at which the default had the loss that random search ends with.

    python benchmarks/quality.py [--seeds 5] [--trainings 30] [--processes 2] [--json FILE]

With the figures of 5 seeds and 30 trainings this takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).resolve().parent.parent))

from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.protocol import Answer
from hpo.referee import Referee
from hpo.settings import SearchSettings
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal
from hpo.worker import cohort
from hpo.worker.job import Job

WAYS = {"default": [], "random": ["sampler=random", "pruner=none"]}
MANY = 1_000_000  # the budget ends a search here, not the number of trials
BUDGETS = (5, 10, 20, 30)


@dataclass
class Course:
    """One search: the best finished score so far, each time that it got better."""

    way: str
    seed: int
    full: int
    trials: int = 0
    finished: int = 0
    spent: int = 0
    steps: list[tuple[int, float]] = field(default_factory=list)

    def best(self, trainings: float) -> float:
        """Return the best score by then."""
        return min(
            (score for epochs, score in self.steps if epochs <= trainings * self.full), default=math.inf
        )

    def reached(self, score: float) -> float:
        """Return the budget, in trainings, that it took to be as good as this."""
        return min((epochs / self.full for epochs, found in self.steps if found <= score), default=math.inf)


class Counting:
    """The referee, with a budget: stops the trial under way when the epochs are spent."""

    def __init__(self, referee: Referee, course: Course, budget: int) -> None:
        self.referee, self.course, self.budget = referee, course, budget
        self.last: dict[int, float] = {}

    @property
    def spent(self) -> bool:
        """Whether nothing is left to train with."""
        return self.course.spent >= self.budget

    def take_up(self, cohort: str, size: int, worker: str, because: str, **_: bool) -> list[Proposal]:
        """Count the trials."""
        trials = self.referee.take_up(cohort, size, worker, because).trials
        self.course.trials += len(trials)
        return trials

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Count the epochs; nobody goes on once they are spent, but who just had the last one finishes."""
        self.course.spent += len(reports)
        self.last |= {it.trial: it.score for it in reports if isinstance(it, Point)}
        answer = self.referee.report(reports)
        over = {it.trial for it in reports if self.spent and it.epoch < self.course.full}
        return Answer([number for number in answer.on if number not in over], answer.undecided)

    def saved(self, trials: Collection[int]) -> None:
        """Pass it on."""
        self.referee.saved(trials)

    def tell(self, endings: Sequence[Ending]) -> None:
        """Note a finished trial that is the best so far."""
        self.referee.tell(endings)
        for ending in endings:
            assert ending.outcome is Outcome.FINISHED, ending
            self.course.finished += 1
            score = self.last[ending.trial]
            if score < self.course.best(math.inf):
                self.course.steps.append((self.course.spent, score))


def search(way: str, seed: int, trainings: int, recipe: str) -> Course:
    """Search in this process until the budget is spent."""
    words = [f"recipe={recipe}", f"seed={seed}", f"trials={MANY}", *WAYS[way]]
    with tempfile.TemporaryDirectory(prefix="hpo-quality-") as folder:
        ledger = Ledger(f"sqlite:///{folder}/hpo.db")
        plan = Plan.of(ledger.create_search(order(SearchSettings.from_words(words))))
        found = plan.search
        course = Course(way, seed, plan.epochs)
        referee = Referee(ledger.url, found.name, ledger.open_session(found))
        counting = Counting(referee, course, trainings * plan.epochs)
        job = Job(found.source, found.path, found.objective, plan.epochs, seed, plan.baseline)
        number = 0
        while not counting.spent:
            cohort.train(job, f"cohort {number}", counting)
            number += 1
        ledger.close()
    return course


def measure(seeds: int, trainings: int, processes: int, recipe: str) -> list[Course]:
    """Run both ways for all seeds, the two of a seed one after the other."""
    courses = []
    with ProcessPoolExecutor(processes) as pool:
        tasks = [pool.submit(search, way, seed, trainings, recipe) for seed in range(seeds) for way in WAYS]
        for task in as_completed(tasks):
            course = task.result()
            courses.append(course)
            print(f"seed {course.seed} {course.way}: {course.best(math.inf):.4f}", file=sys.stderr)
    return sorted(courses, key=lambda course: (course.seed, course.way))


def table(courses: list[Course], trainings: int) -> str:
    ours, theirs = ([it for it in courses if it.way == way] for way in WAYS)
    budgets = [it for it in BUDGETS if it < trainings] + [trainings]
    lines = [f"{'trainings':<10}{'default':>10}{'random':>10}{'ratio':>8}{'min':>8}{'max':>8}{'better':>8}"]
    for budget in budgets:
        pairs = [(a.best(budget), b.best(budget)) for a, b in zip(ours, theirs, strict=True)]
        # Nothing finished yet on either side: says nothing.
        ratios = [a / b for a, b in pairs if math.isfinite(b)] or [math.nan]
        medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
        line = f"{budget:<10}{medians[0]:>10.4f}{medians[1]:>10.4f}{statistics.median(ratios):>8.3f}"
        better = f"{sum(a < b for a, b in pairs)}/{len(pairs)}"
        lines.append(line + f"{min(ratios):>8.3f}{max(ratios):>8.3f}{better:>8}")
    for way, side in zip(WAYS, (ours, theirs), strict=True):
        counts = [
            statistics.median(getattr(it, name) for it in side) for name in ("trials", "finished", "spent")
        ]
        lines.append(f"{way}: {counts[0]:.0f} trials, {counts[1]:.0f} finished, {counts[2]:.0f} epochs")
    reached = [a.reached(b.best(trainings)) for a, b in zip(ours, theirs, strict=True)]
    shown = ", ".join(f"{it:.1f}" if math.isfinite(it) else "never" for it in reached)
    lines.append(f"reached, in trainings: {shown} of {trainings} (median {statistics.median(reached):.1f})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=30, help="the budget")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--recipe", default="cnn")
    parser.add_argument("--json", type=Path, help="write every course here")
    words = parser.parse_args()
    courses = measure(words.seeds, words.trainings, words.processes, words.recipe)
    print(table(courses, words.trainings))
    if words.json:
        words.json.write_text(json.dumps([asdict(it) for it in courses], indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
