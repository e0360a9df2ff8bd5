"""What becomes of a search that grows to 100,000 trials, in one ledger.

Real referee, real ledger on SQLite; the training is made up: a loss that follows from the configuration, with
noise, in no time. Each trial is asked for alone, and each epoch is a report of its own. Processor time is
told, mean over the last 500 trials before each mark, since the wall's clock sees the neighbours, too. What is
answered goes to the disk in groups of 100 trials; the time which that takes is told for each record.

At each mark, with --views, the verbs that look at a search are run on what there is by then, each as a
process of its own, and the referee is made again from its records, as `hpo resume` does; processor time
again, with the start of Python, and the most memory that the process had.

    python benchmarks/scale.py [--marks 1000,10000,100000] [--sampler blend] [--epochs 9] [--views]

Aims: at most 1.5 times as much per ask and per report at 100,000 trials as at 1,000; 5 ms per ask at 10,000.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STORE = "sqlite:///hpo.db"
WINDOW = 500
GROUP = 100
VIEWS = ("show", "list", "report", "show --json", "resume")


@dataclass
class Row:
    """What was measured before one mark: milliseconds, records and MiB."""

    trials: int
    records: int
    ask: float
    report: float
    commit: float
    memory: float
    ledger: float


class Clock:
    """Adds up the processor time of one kind of call."""

    def __init__(self) -> None:
        self.spent, self.calls = 0.0, 0

    def __call__(self, call: Callable[[], Any]) -> Any:
        """Return what a call returns."""
        started = time.thread_time()
        try:
            return call()
        finally:
            self.spent += time.thread_time() - started
            self.calls += 1

    @property
    def mean(self) -> float:
        """Milliseconds of a call."""
        return 1000 * self.spent / max(1, self.calls)


def started(sampler: str, trials: int, epochs: int) -> str:
    """Write down a search and return its name."""
    from hpo.ledger import Ledger
    from hpo.plan import order
    from hpo.settings import SearchSettings

    words = ["recipe=cnn", f"trials={trials}", f"epochs={epochs}", f"sampler={sampler}", "name=large"]
    ledger = Ledger(STORE)
    name = ledger.create_search(order(SearchSettings.from_words([*words, f"store={STORE}"]))).name
    ledger.close()
    return name


def referee(name: str) -> Any:
    from hpo.ledger import Ledger
    from hpo.referee import Referee

    ledger = Ledger(STORE)
    session = ledger.open_session(ledger.search(name))
    ledger.close()
    return Referee(STORE, name, session)


def measured(number: int, config: Any, epoch: int) -> Any:
    """One epoch of a made-up training: best at lr 0.02, it diverges far from it, and it is noisy."""
    from hpo.trial import Divergence, Point

    distance = abs(math.log10(config["optimizer.lr"] / 0.02))
    if distance > 1.8 and epoch == 2:
        return Divergence(number, epoch, 3, math.inf, 1e6)
    noise = int(hashlib.sha256(f"{config.digest}{epoch}".encode()).hexdigest()[:6], 16) / 16**6
    loss = (1 + distance) / epoch + 0.05 * noise
    return Point(number, epoch, loss, loss, loss, 0.1, 1.0, 1.0, 0.01, {"accuracy": 1 / (1 + loss)})


def grow(judge: Any, marks: list[int], epochs: int) -> Iterator[Row]:
    """Train trials, one after another; yield a row at each mark."""
    asking, reporting, committing = Clock(), Clock(), Clock()
    for count in range(1, max(marks) + 1):
        cohort = f"cohort-{count}"
        (trial,) = asking(lambda cohort=cohort: judge.ask(cohort, 1))
        judge.attempt(cohort, [trial.number], "host/1", {"at once": 1})
        train(judge, trial, epochs, reporting)
        judge.reclaim((), "it is done")
        if count % GROUP == 0:
            committing(judge.flush)
        if count in marks:
            yield row(judge, count, asking, reporting, committing)
        if any(count == mark - WINDOW for mark in marks):
            asking, reporting, committing = Clock(), Clock(), Clock()


def train(judge: Any, trial: Any, epochs: int, reporting: Clock) -> None:
    from hpo.trial import Ending, Outcome

    for epoch in range(1, epochs + 1):
        point = measured(trial.number, trial.config, epoch)
        if not reporting(lambda point=point: judge.report([point])):
            return
    judge.tell([Ending(trial.number, Outcome.FINISHED)])


def row(judge: Any, count: int, asking: Clock, reporting: Clock, committing: Clock) -> Row:
    files = [path.stat().st_size for path in Path().glob("hpo.db*")]
    written = asking.calls * 3 + reporting.calls
    return Row(
        trials=count,
        records=judge._history.seq,
        ask=asking.mean,
        report=reporting.mean,
        commit=1000 * committing.spent / written,
        memory=resident(),
        ledger=sum(files) / 2**20,
    )


def resident() -> float:
    """Return the memory that this process has now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def look(verb: str) -> tuple[float, float]:
    """Return the seconds and MiB that a verb takes in a process of its own."""
    word, *flags = verb.split()
    if word == "resume":
        command = [sys.executable, __file__, "--resume"]
    else:
        command = [sys.executable, "-m", "hpo.cli", word, *(() if word == "list" else ("large",)), *flags]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{verb}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def show(rows: list[Row], views: dict[int, dict[str, tuple[float, float]]]) -> None:
    print("| trials | records | ms per ask | per report | per record to disk | MiB of referee | of ledger |")
    print("|---|---|---|---|---|---|---|")
    for it in rows:
        print(
            f"| {it.trials:,} | {it.records:,} | {it.ask:.2f} | {it.report:.2f} | {it.commit:.3f} "
            f"| {it.memory:.0f} | {it.ledger:.0f} |"
        )
    for trials, found in views.items():
        times = ", ".join(
            f"{verb} {seconds:.1f} s, {memory:.0f} MiB" for verb, (seconds, memory) in found.items()
        )
        print(f"{trials:,} trials: {times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--marks", default="1000,10000,100000")
    parser.add_argument("--sampler", default="blend")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--views", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.resume:
        referee("large")
        return
    target = given.json and given.json.resolve()
    marks = [int(it) for it in given.marks.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows, views = [], {}
        for it in grow(referee(started(given.sampler, max(marks), given.epochs)), marks, given.epochs):
            rows.append(it)
            print(it, file=sys.stderr, flush=True)
            if given.views:
                views[it.trials] = {verb: look(verb) for verb in VIEWS}
        show(rows, views)
        if target:
            target.write_text(json.dumps({"rows": [asdict(it) for it in rows], "views": views}, indent=1))


if __name__ == "__main__":
    main()
