"""Does training wait for MLflow? Searches with MLflow in order and out of it, their uploader held by turns.

    python benchmarks/outage.py [--rounds 1] [--to outage.jsonl]

Searches differ by more than what is to be seen, so each is compared with itself: while it trains, its
uploading process is held (SIGSTOP) and let go in turns of a second. Each round runs one search with every
state of MLflow, two minutes each. Figures, over all rounds:

    ratio      epochs per second while the uploader may work, to those while it is held, in brackets the
               95 % interval by bootstrap over pairs of turns. At 0.99, training is 1 % slower for uploading
    uploader   its processor time, at the lowest priority, as a share of what the workers used

Each search is a line of JSON in the file `--to`, and the table is made of all that are there: `--rounds 0`
only prints it.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import mlflows
import numpy as np
from faults import WORDS
from scene import Scene, scene, until

TRIALS = 8
SEARCH = [*WORDS, f"trials={TRIALS}", "epochs=200", "confirm=0", "sampler=random", "pruner=none"]
STATES: dict[str, Callable[[Scene], None]] = {
    "in order": Scene.put_mlflow,
    "down": mlflows.down,
    "never answers": mlflows.server(""),
    "answers 500": mlflows.server("500 Internal Server Error"),
    "answers 429": mlflows.server("429 Too Many Requests"),
    "answers after 5 s": mlflows.server("503 Busy", 5.0),
}
TURN_SECONDS = 1.0
RESAMPLED = 2000
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Turn = tuple[float, float]  # when it began and ended, in seconds since 1970


@dataclass
class Measured:
    """One search: epochs and seconds with the uploader free and held, turn by turn, and processor seconds."""

    state: str
    turns: list[tuple[float, float, float, float]] = field(default_factory=list)
    uploader: float = 0.0
    workers: float = 0.0


def measure(state: str) -> Measured:
    """Run the search once with MLflow in this state."""
    found, pairs = Measured(state), list[tuple[Turn, Turn]]()
    with scene(SEARCH) as it:
        STATES[state](it)
        it.start("search", *it.words)
        until(lambda: it.processes("hpo.tracking") or not it.alive)
        uploaders, spent = it.processes("hpo.tracking"), dict[int, float]()
        while it.alive and it.count("SELECT count(*) FROM endings") < TRIALS - 1:  # both workers are busy
            pairs.append((turn(uploaders, signal.SIGCONT), turn(uploaders, signal.SIGSTOP)))
            spent.update({pid: processor(pid) for pid in it.at_work()})
        found.uploader, found.workers = sum(map(processor, uploaders)), sum(spent.values())
        turn(uploaders, signal.SIGCONT)
        ends = sorted(at for (at,) in it.ask("SELECT at FROM points"))
    found.turns = [(*counted(ends, free), *counted(ends, held)) for free, held in pairs]
    return found


def turn(processes: Iterable[int], sign: signal.Signals) -> Turn:
    """Let processes go on or hold them for a turn; return when it began and ended."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)
    begun = time.time()
    time.sleep(TURN_SECONDS)
    return begun, time.time()


def counted(ends: Sequence[float], turn: Turn) -> tuple[int, float]:
    """Return how many epochs ended within a turn, and its seconds."""
    begun, over = turn
    return bisect.bisect(ends, over) - bisect.bisect(ends, begun), over - begun


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def row(state: str, runs: Sequence[Measured]) -> str:
    """Return a line of the table."""
    turns = np.array([turn for run in runs for turn in run.turns])
    chance = np.random.default_rng(0)
    drawn = [ratio(turns[chance.integers(len(turns), size=len(turns))]) for _ in range(RESAMPLED)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    share = sum(it.uploader for it in runs) / sum(it.workers for it in runs)
    epochs = int(turns[:, (0, 2)].sum())
    return f"| {state} | {epochs:,} | {ratio(turns):.3f} [{low:.3f}, {high:.3f}] | {100 * share:.1f} % |"


def ratio(turns: np.ndarray) -> float:
    """Return the epochs per second of the free turns to those of the held ones."""
    epochs, seconds, held_epochs, held_seconds = turns.sum(axis=0)
    return float((epochs / seconds) / (held_epochs / held_seconds))


def table(path: Path) -> str:
    """Return the table of all runs in a file."""
    runs = [Measured(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    by_state = {state: [run for run in runs if run.state == state] for state in STATES}
    lines = [row(state, found) for state, found in by_state.items() if found]
    every = [row("all of them", runs)] if runs else []
    return "\n".join(["| MLflow | epochs | ratio | uploader |", "|---|---|---|---|", *lines, *every])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--to", type=Path, default=Path("outage.jsonl"))
    words = parser.parse_args()
    for _ in range(words.rounds):
        for state in random.sample(list(STATES), len(STATES)):
            found = json.dumps(asdict(measure(state)))
            with words.to.open("a", encoding="utf-8") as file:
                file.write(found + "\n")
    print(table(words.to))


if __name__ == "__main__":
    main()
