"""How soon a search on real trainings has found what is good: hpo beside other libraries.

    optuna, tune, hydra  a hand-written search each: `benchmarks/rivals.py`
    hpo                  `hpo search` as it is unless told otherwise: it measures how many to train at once
    hpo alone            the same with fuse=off: each trial alone in its process
    hpo default          the same with space=default, which has priors, five optimizers and a warm-up

All but the last search the space of `benchmarks/peers.yaml`, which has no priors. All begin with the recipe's
baseline, train two trials at a time with one thread each (`hpo`: two cohorts), with the same epochs, weights
and data order, and are stopped at a limit. The clock runs from the start of the program, so imports, Ray and
databases count. A target is reached when any trial has this validation loss after any epoch. What was
measured when is written down by the rivals, and read from hpo's ledger. The ways take turns, in an order of
its own each round; a round has a seed of its own.

    python benchmarks/peers.py --to FILE [--recipes cnn,mlp] [--rounds 3] [--limit 60]
                               [--ways "optuna,tune,hydra,hpo,hpo alone,hpo default"]
    python benchmarks/peers.py --reach 50 [--recipes cnn,mlp] [--rounds 3]

Each search appends a line of JSON to FILE, and what is there is not run again; `--rounds 0` prints the table.
`--reach N` prints what random search comes to with N full trainings, for a seed each round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from races import RACES, SCORES, TRIALS, WORKERS

HERE = Path(__file__).resolve().parent
SPACE = HERE / "peers.yaml"
RIVALS = ("optuna", "tune", "hydra")
OURS = {
    "hpo": [f"space={SPACE}"],
    "hpo alone": [f"space={SPACE}", "fuse=off"],
    "hpo default": ["space=default"],
}
GRACE_SECONDS = 20
HEAD = (
    "recipe",
    "",
    "target",
    "reached",
    "seconds, median",
    "mean, none above the limit",
    "best loss at the limit",
    "first epoch",
    "epochs",
)
Scores = list[tuple[float, float]]


class Searched(NamedTuple):
    """One search: when its first epoch had been trained, how many by the limit, and when it got better."""

    recipe: str
    way: str
    round: int
    limit: float
    first: float
    epochs: int
    steps: Scores
    at: str
    versions: dict[str, str]

    def reached(self, target: float) -> float:
        """Return the second at which a trial was as good as this."""
        return min((second for second, score in self.steps if score <= target), default=math.inf)

    @property
    def best(self) -> float:
        """The best score by the limit."""
        return min((score for _, score in self.steps), default=math.inf)


def words_of(recipe: str, seed: int, way: str = "hpo") -> list[str]:
    """Return the words of an `hpo search`."""
    race = RACES[recipe]
    options = [f"recipe.{name}={value}" for name, value in race.options.items()]
    return [
        f"recipe={HERE.parent / 'recipes' / recipe}.py",
        *options,
        *OURS[way],
        f"space.batch_size={race.batch_size}",
        f"epochs={race.epochs}",
        f"trials={TRIALS}",
        f"workers={WORKERS}",
        "warm_start=off",
        f"seed={seed}",
    ]


def command(recipe: str, way: str, seed: int) -> list[str]:
    if way in RIVALS:
        return [sys.executable, str(HERE / "rivals.py"), way, recipe, str(seed)]
    return [sys.executable, "-m", "hpo", "search", *words_of(recipe, seed, way)]


def search(recipe: str, way: str, number: int, limit: float) -> Searched:
    """Search in an empty folder, and stop at the limit."""
    paths = os.pathsep.join(map(str, (HERE, HERE.parent)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment.pop("HPO_STORE", None)
    with tempfile.TemporaryDirectory(prefix="hpo-peers-", ignore_cleanup_errors=True) as folder:
        with open(Path(folder, "output.txt"), "w+", encoding="utf-8") as output:
            at, start = datetime.now(UTC), time.time()
            asked = command(recipe, way, number)
            with subprocess.Popen(
                asked, cwd=folder, env=environment, stdout=output, stderr=output
            ) as process:
                code = _stop_after(process, limit)
            output.seek(0)
            assert code is None, f"{way} ended by itself with {code}: {output.read()[-3000:]}"
        scores = sorted((moment - start, score) for moment, score in _scores(Path(folder), way))
    seen = [(second, score) for second, score in scores if second <= limit]
    first = seen[0][0] if seen else math.inf
    named = {name: version(name) for name in ("torch", "optuna", "ray")}
    return Searched(recipe, way, number, limit, first, len(seen), list(better(seen)), f"{at:%F %H:%M}", named)


def _stop_after(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """End a process and all that it has started after a time; return its exit status if it ended before."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        _, left = psutil.wait_procs([psutil.Process(process.pid), *family], GRACE_SECONDS)
        for each in left:
            each.kill()
        return None


def _scores(folder: Path, way: str) -> Iterator[tuple[float, float]]:
    """Yield when epochs ended, on the clock, and their scores, as far as there are any."""
    if way in RIVALS:
        file = folder / SCORES
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        found = [(float(moment), float(score)) for moment, score in map(str.split, lines)]
    else:
        with closing(sqlite3.connect(folder / "hpo.db")) as ledger:
            found = ledger.execute("select at, score from points where score is not null").fetchall()
    yield from ((moment, score) for moment, score in found if math.isfinite(score))


def better(scores: Scores) -> Iterator[tuple[float, float]]:
    """Yield the scores that are better than all before them."""
    best = math.inf
    for second, score in scores:
        if score < best:
            best = score
            yield round(second, 2), score


def measure(words: argparse.Namespace) -> None:
    """Run what is not there yet."""
    there = {(it.recipe, it.way, it.round, it.limit) for it in read(words.to)}
    for number in range(words.rounds):
        for recipe in words.recipes:
            ways = random.Random(f"{recipe} {number}").sample(words.ways, len(words.ways))
            for way in ways:
                if (recipe, way, number, words.limit) not in there:
                    found = search(recipe, way, number, words.limit)
                    with open(words.to, "a", encoding="utf-8") as file:
                        file.write(json.dumps(found._asdict()) + "\n")
                    print(f"{recipe} {number} {way}: {found.best:.5f} by {found.epochs} epochs", flush=True)


def read(file: Path) -> list[Searched]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Searched(**json.loads(line)) for line in lines]


def table(found: Sequence[Searched]) -> str:
    """Return for each recipe and way how soon the target was reached, and what was best at the limit."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for recipe in dict.fromkeys(it.recipe for it in found):
        for way in (*RIVALS, *OURS):
            own = [it for it in found if (it.recipe, it.way) == (recipe, way)]
            lines += [_row(recipe, way, own)] if own else []
    return "\n".join(lines)


def _row(recipe: str, way: str, own: Sequence[Searched]) -> str:
    cells = (
        way,
        *_soon(own, RACES[recipe].target),
        f"{statistics.median(it.best for it in own):.4f}",
        f"{statistics.median(it.first for it in own):.1f}",
        f"{statistics.median(it.epochs for it in own):,.0f}",
    )
    return f"| {recipe} | {' | '.join(cells)} |"


def _soon(own: Sequence[Searched], target: float | None) -> tuple[str, ...]:
    """Return the target, how often it was reached, and how soon; nothing where there is none."""
    if target is None:
        return ("",) * 4
    limit, seconds = own[0].limit, [it.reached(target) for it in own]
    median = statistics.median(seconds)
    return (
        f"{target:.4f}",
        f"{sum(map(math.isfinite, seconds))} of {len(own)}",
        f"{median:.1f}" if math.isfinite(median) else f"not within {limit:.0f}",
        f"{statistics.mean(min(it, limit) for it in seconds):.1f}",
    )


def reach(recipe: str, trainings: int, seed: int) -> float:
    """Return the best loss that so many uniform configurations come to at any of their epochs."""
    from five import Drawn
    from record import curves

    from hpo.planning.ordering import order
    from hpo.planning.plan import Plan
    from hpo.settings import SearchSettings
    from hpo.training.engine import Member, Task
    from hpo.training.execution import execute, load_splits

    plan = Plan.of(order(SearchSettings.from_words(words_of(recipe, seed))))
    module, dice = execute(plan.search.source, plan.search.path), random.Random(seed)
    drawn = [plan.space.sample(Drawn(plan.space.draw(dice))) for _ in range(trainings)]
    members = [Member(number, plan.vocabulary.defaults(it)) for number, it in enumerate(drawn)]
    task = Task(
        module, load_splits(module, plan.data_options), plan.search.objective, plan.epochs, seed, "cpu"
    )
    return min(_finite(curves(task, members)))


def _finite(curves: Iterable[Iterable[float | None]]) -> Iterator[float]:
    return (score for curve in curves for score in curve if score is not None)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--to", type=Path, default=Path("peers.jsonl"))
    parser.add_argument("--recipes", type=lambda it: it.split(","), default=["cnn", "mlp"])
    parser.add_argument("--ways", type=lambda it: it.split(","), default=[*RIVALS, *OURS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a search")
    parser.add_argument("--reach", type=int, help="full trainings of a random search")
    words: Any = parser.parse_args()
    if words.reach:
        for recipe in words.recipes:
            for seed in range(words.rounds):
                print(f"{recipe}, seed {seed}: {reach(recipe, words.reach, seed):.4f}", flush=True)
        return
    measure(words)
    print(f"{platform.machine()}, {os.cpu_count()} cores\n{table(read(words.to))}")


if __name__ == "__main__":
    main()
