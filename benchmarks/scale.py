"""What becomes of a search that grows to 100,000 trials, in one ledger.

Real ledger on SQLite, real referee; the training is made up: a loss that follows from the configuration, with
noise, in no time. Up to 500 trials before each mark the ledger is filled by its own writer with trials drawn
at random, of which a third passes each rung. Then, in a process of its own, the referee is made from these
records, as `hpo resume` does, and 500 trials are asked for one by one and each epoch is a report of its own;
means of processor time are told, since the wall's clock sees the neighbours, too. What is answered goes to
the disk in groups of 100 trials; the time which that takes is told for each record.

With --views the verbs that look at a search are run at each mark, each as a process of its own;
processor time again, with the start of Python, and the most memory that the process had.

    python benchmarks/scale.py [--marks 1000,10000,100000] [--sampler blend] [--views]

Aims: at most 1.5 times as much per ask and per report at 100,000 trials as at 1,000; 5 ms per ask at 10,000.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

STORE, NAME = "sqlite:///hpo.db", "large"
EPOCHS, RUNGS = 9, (2, 4)
WINDOW, GROUP = 500, 100
VIEWS = ("show", "show --json", "list", "report")


@dataclass
class Row:
    """What was measured before one mark: milliseconds for each call, seconds of the start, MiB."""

    trials: int
    records: int
    ask: float
    report: float
    commit: float
    resume: float
    memory: float
    ledger: float


class Clock:
    """Adds up the processor time of one kind of call."""

    def __init__(self) -> None:
        self.spent, self.calls = 0.0, 0

    def __call__(self, call: Callable[[], Any]) -> Any:
        """Return what a call returns."""
        started = time.process_time()
        try:
            return call()
        finally:
            self.spent += time.process_time() - started
            self.calls += 1

    @property
    def mean(self) -> float:
        """Milliseconds of a call."""
        return 1000 * self.spent / max(1, self.calls)


def order(sampler: str, trials: int) -> None:
    """Write down a search."""
    from hpo.ledger import Ledger
    from hpo.planning.ordering import order
    from hpo.settings import SearchSettings

    words = ["recipe=cnn", f"trials={trials}", f"epochs={EPOCHS}", f"sampler={sampler}", f"name={NAME}"]
    ledger = Ledger(STORE)
    ledger.create_search(order(SearchSettings.from_words([*words, f"store={STORE}"])))
    ledger.close()


def fill(first: int, last: int) -> None:
    """Write trials into the ledger that were never asked for."""
    from hpo.ledger import Ledger, Writer

    ledger = Ledger(STORE)
    search = ledger.search(NAME)
    writer = Writer(ledger, search, ledger.open_session(search))
    for number, record in made_up(search, range(first, last)):
        writer.append(record)
        if number % 1000 == 0:
            writer.flush()
    writer.flush()
    ledger.close()


def made_up(search: Any, numbers: range) -> Iterator[tuple[int, Any]]:
    """Yield the records of such trials, each with its trial's number."""
    from optuna.distributions import distribution_to_json
    from optuna.trial import FixedTrial

    from hpo.planning.plan import Plan
    from hpo.trial import Attempt, Ending, Outcome, Point, Proposal

    plan, text = Plan.of(search), lru_cache(distribution_to_json)
    for number in numbers:
        dice = random.Random(number)
        drawn = FixedTrial(plan.space.draw(dice))
        config = plan.vocabulary.defaults(plan.space.sample(drawn))
        distributions = {name: text(it) for name, it in drawn.distributions.items()}
        yield number, Proposal(number, config, "random", drawn.params, distributions, cohort=f"{number}")
        yield number, Attempt(number, "host/1", f"{number}", {"at once": 1})
        outcome, last = Outcome.FINISHED, None
        for epoch in range(1, EPOCHS + 1):
            last = measured(number, config, epoch)
            if not isinstance(last, Point):
                outcome = Outcome.DIVERGED
                break
            yield number, last
            if epoch in RUNGS and number and dice.random() > 1 / 3:
                outcome = Outcome.PRUNED
                break
        yield number, Ending(number, outcome, "", getattr(last, "score", None))


def measured(number: int, config: Any, epoch: int) -> Any:
    """One epoch of a made-up training: best at lr 0.02, it diverges far from it, and it is noisy."""
    from hpo.trial import Divergence, Point

    distance = abs(math.log10(config["optimizer.lr"] / 0.02))
    if distance > 1.8 and epoch == 2:
        return Divergence(number, epoch, 3, math.inf, 1e6)
    noise = int(hashlib.sha256(f"{config.digest}{epoch}".encode()).hexdigest()[:6], 16) / 16**6
    loss = (1 + distance) / epoch + 0.05 * noise
    return Point(number, epoch, loss, loss, loss, 0.1, 1.0, 1.0, 0.01, {"accuracy": 1 / (1 + loss)})


def measure() -> Row:
    """Make the referee from the records, and let it propose and judge."""
    from hpo.ledger import Ledger
    from hpo.referee import Referee

    ledger = Ledger(STORE)
    session = ledger.open_session(ledger.search(NAME))
    resuming, asking, reporting, committing = Clock(), Clock(), Clock(), Clock()
    judge = resuming(lambda: Referee(STORE, NAME, session))
    before, trials = ledger.last_seq(ledger.search(NAME)), 0
    for count in range(1, WINDOW + 1):
        (trial,) = asking(lambda count=count: judge.ask(f"cohort-{count}", 1))
        trials = max(trials, trial.number + 1)  # it may be an earlier one that waited
        judge.attempt(f"cohort-{count}", [trial.number], "host/1", {"at once": 1})
        train(judge, trial, reporting)
        judge.lost(f"cohort-{count}", "it is done")
        if count % GROUP == 0:
            committing(judge.flush)
    records = ledger.last_seq(ledger.search(NAME))
    files = sum(path.stat().st_size for path in Path().glob("hpo.db*"))
    commit = 1000 * committing.spent / (records - before)
    times = asking.mean, reporting.mean, commit, resuming.spent
    return Row(trials, records, *times, resident(), files / 2**20)


def train(judge: Any, trial: Any, reporting: Clock) -> None:
    from hpo.trial import Ending, Outcome

    for epoch in range(1, EPOCHS + 1):
        point = measured(trial.number, trial.config, epoch)
        if not reporting(lambda point=point: judge.report([point]).on):
            return
    judge.tell([Ending(trial.number, Outcome.FINISHED)])


def resident() -> float:
    """Return the memory that this process has now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def look(verb: str) -> tuple[float, float]:
    """Return the seconds and MiB that a verb takes in a process of its own."""
    word, *flags = verb.split()
    command = [sys.executable, "-m", "hpo", word, *(() if word == "list" else (NAME,)), *flags]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{verb}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def show(rows: list[Row]) -> None:
    columns = "trials | records | ms per ask | per report | per record to disk"
    print(f"| {columns} | seconds to make it again | MiB of the referee | of the ledger |")
    print("|---|---|---|---|---|---|---|---|")
    for it in rows:
        print(
            f"| {it.trials:,} | {it.records:,} | {it.ask:.2f} | {it.report:.2f} | {it.commit:.3f} "
            f"| {it.resume:.1f} | {it.memory:.0f} | {it.ledger:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--marks", default="1000,10000,100000")
    parser.add_argument("--sampler", default="blend")
    parser.add_argument("--views", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(asdict(measure())))
        return
    marks = [int(it) for it in given.marks.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        order(given.sampler, max(marks))
        rows = []
        for mark in marks:
            fill(rows[-1].trials if rows else 0, mark - WINDOW)
            told = subprocess.check_output([sys.executable, __file__, "--measure"])
            rows.append(Row(**json.loads(told)))
            show(rows[-1:])
            for verb in VIEWS if given.views else ():
                print("{}: {:.1f} s, {:.0f} MiB".format(verb, *look(verb)), flush=True)
        show(rows)


if __name__ == "__main__":
    main()
