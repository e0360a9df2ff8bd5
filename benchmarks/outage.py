"""Does training wait for MLflow? One search again and again, with MLflow in order and out of it.

    python benchmarks/outage.py [--rounds 5] [--to outage.jsonl]

Each round runs it with every state of MLflow, in an order of its own; a round takes about five minutes. Each
run is a line of JSON in the file `--to`, and the table is made of all that are there: `--rounds 0` only
prints it. Figures, median over rounds:

    seconds    from the first epoch in the ledger to the last
    ratio      of these to those of the same round with MLflow in order
    uploader   processor time of the uploading process while training lasted, at the lowest priority, and
               its share of what the workers used: so much at most it can have taken from them
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflows
from faults import WORDS
from scene import Scene, scene

TRIALS = 8
SEARCH = [*WORDS, f"trials={TRIALS}", "epochs=60", "confirm=0", "sampler=random", "pruner=none"]
STATES: dict[str, Callable[[Scene], None]] = {
    "in order": Scene.put_mlflow,
    "down": mlflows.down,
    "never answers": mlflows.server(""),
    "answers 500": mlflows.server("500 Internal Server Error"),
    "answers 429": mlflows.server("429 Too Many Requests"),
    "answers after 5 s": mlflows.server("503 Busy", 5.0),
}
GLANCE_SECONDS = 0.5  # so seldom that to look costs the search little
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """What one search took: seconds of training, and of the processor."""

    seconds: float
    uploader: float
    workers: float


def measure(stage: Callable[[Scene], None]) -> Measured:
    """Run the search once with MLflow in this state."""
    with scene(SEARCH) as it:
        stage(it)
        it.start("search", *it.words)
        uploader, workers = dict[int, float](), dict[int, float]()
        while it.alive and it.count("SELECT count(*) FROM endings") < TRIALS:
            uploader.update({pid: processor(pid) for pid in it.processes("hpo.tracking")})
            workers.update({pid: processor(pid) for pid in it.at_work()})
            time.sleep(GLANCE_SECONDS)
        ((first, last),) = it.ask("SELECT min(at), max(at) FROM points")
        return Measured(last - first, sum(uploader.values()), sum(workers.values()))


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def row(name: str, found: Sequence[Measured], usual: Sequence[Measured]) -> str:
    """Return a line of the table."""
    ratios = [one.seconds / other.seconds for one, other in zip(found, usual, strict=True)]
    seconds, ratio = statistics.median(it.seconds for it in found), statistics.median(ratios)
    uploader = statistics.median(it.uploader for it in found)
    share = statistics.median(it.uploader / it.workers for it in found)
    return f"| {name} | {seconds:.1f} | {ratio:.3f} | {uploader:.1f} s, {100 * share:.1f} % |"


def table(path: Path) -> str:
    """Return the table of all runs in a file; a round that has not ended is left out."""
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = {name: [Measured(**run["found"]) for run in runs if run["state"] == name] for name in STATES}
    rounds = min(len(measured) for measured in found.values())
    usual = found["in order"][:rounds]
    lines = [row(name, measured[:rounds], usual) for name, measured in found.items()] if rounds else []
    head = [f"{rounds} rounds", "| MLflow | seconds | ratio | uploader |", "|---|---|---|---|"]
    return "\n".join([*head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--to", type=Path, default=Path("outage.jsonl"))
    words, chance = parser.parse_args(), random.Random()
    for _ in range(words.rounds):
        for name in chance.sample(list(STATES), len(STATES)):
            run = {"state": name, "found": asdict(measure(STATES[name]))}
            with words.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(run) + "\n")
    print(table(words.to))


if __name__ == "__main__":
    main()
