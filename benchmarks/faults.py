"""Does a search survive? Real searches are struck at random moments, resumed where needed, and judged.

Each run starts `hpo search` on a small network in an empty folder, waits for a random moment, strikes with
one kind of fault (`benchmarks/kinds.py`), once or again and again, calls `hpo resume` whenever the search
does not go on by itself, and then asks `hpo audit` and compares every trial with an undisturbed search of the
same words: the same proposals, the same losses of each epoch to the last bit, the same endings.

    python benchmarks/faults.py [--runs 200] [--seed 0] [--kinds driver,worker] [--jobs 2]
    python benchmarks/faults.py --runs 0 --page docs/faults.md    only write the table
    python benchmarks/faults.py --tune 10    the same kills on Ray Tune + OptunaSearch (`tune_faults.py`)

Each run is a line of JSON in the file `--to`, and the table is made of all that are there. Kinds are taken in
turns, in an order and at moments that follow from the seed: `--first 17 --runs 1` repeats run 17. Run as root
to include a full disk, which needs a disk of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from kinds import KINDS, Kind
from scene import NAME, PATIENCE_SECONDS, RESUMES, ROOT, Scene, scene, until
from verdict import Blow, Found, judge

WORDS = [
    f"recipe={ROOT / 'benchmarks' / 'recipes' / 'small.py'}",
    "workers=2",
    "fuse=off",  # alone or among others, losses differ by rounding
]
NEED_ROOT = {"disk"}
FRESH_SHARE = 0.2  # in so many runs MLflow's store is made by the search
EARLY_SHARE = 0.15  # so many strikes fall into the start, before the first epoch
TABLE = re.compile("(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)

_writing = threading.Lock()


class References:
    """What searches come to that nothing happens to, by their words."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Any]] = {}
        self._one_at_a_time = threading.Lock()

    def of(self, words: str) -> dict[int, Any]:
        """Return the trials of a search of these words; it is run when they are first asked for."""
        with self._one_at_a_time:
            if words not in self._known:
                self._known[words] = undisturbed(words)
            return self._known[words]


def undisturbed(words: str) -> dict[int, Any]:
    with scene([*WORDS, *words.split()]) as it:
        it.put_mlflow()
        assert it.start("search", *it.words).wait(PATIENCE_SECONDS) == 0, output(it)
        assert not it.ask("SELECT trial FROM attempts GROUP BY trial HAVING count(DISTINCT cohort) > 1")
        return it.ended()


def await_moment(it: Scene, kind: Kind, chance: random.Random, epochs: int) -> None:
    """Wait for a moment at random: in the start, or after so many of its epochs and a bit."""
    until(lambda: it.count("SELECT count(*) FROM searches") or not it.alive)
    early, share, bit = chance.random() < EARLY_SHARE, chance.random(), chance.uniform(0, 0.3)
    if early and not kind.checkpoints:
        time.sleep(share * 5)
    else:
        until(lambda: it.epochs >= share / kind.times * epochs or not it.alive)
        until(lambda: not kind.checkpoints or it.shelf() or not it.alive)
        time.sleep(bit)


def run(references: References, number: int, name: str, seed: int) -> Found:
    """Strike one search; return what came of it."""
    kind, chance, found = KINDS[name], random.Random(seed), Found(name, number)
    with scene([*WORDS, *kind.words.split()]) as it:
        try:
            reference = references.of(kind.words)
            kind.stage(it)
            if chance.random() > FRESH_SHARE:
                it.put_mlflow()
            it.start("search", *it.words)
            if not kind.at_start:
                await_moment(it, kind, chance, sum(len(trial[-1]) for trial in reference.values()))
            blows = endure(it, kind, chance, found)
            judge(it, found, reference, blows)
        except Exception as error:  # noqa: BLE001 - it counts against hpo, and the other runs go on
            found.trouble = f"{type(error).__name__}: {error}"
        if not found.sound:
            keep(it, name, seed)
    return found


def endure(it: Scene, kind: Kind, chance: random.Random, found: Found) -> list[Blow]:
    """Strike so often as the kind says, and see the search to its end; return what each blow met."""
    blows: list[Blow] = []
    while len(blows) < kind.times and (it.alive or not blows):
        blows.append(Blow.on(it))
        found.strikes += 1
        go_on(it, kind, chance, found)
        time.sleep(chance.uniform(0, 3) if kind.times > 1 else 0)
    while wait(it) != 0:
        resume(it, found)
    return blows


def go_on(it: Scene, kind: Kind, chance: random.Random, found: Found) -> None:
    """Strike, resume where the driver is gone, and note how long nothing was trained."""
    retries, epochs = it.retries, it.epochs
    kind.strike(it, chance)
    if kind.at_start:
        return
    seconds = recovery(it, lambda: it.retries > retries if kind.worker else it.epochs > epochs)
    found.seconds += [] if seconds is None else [seconds]
    while not it.alive and wait(it) != 0 and kind.times > 1:
        resume(it, found)


def resume(it: Scene, found: Found) -> None:
    """Resume a search whose driver is gone, and note how long it takes to train on."""
    tried_enough = found.resumes >= RESUMES * found.strikes
    assert not tried_enough, f"exit {it.process and it.process.returncode}: {output(it)}"
    found.resumes, sessions = found.resumes + 1, it.sessions()
    it.start("resume", NAME)
    seconds = recovery(it, lambda: it.sessions() > sessions and it.epochs_of_this_session())
    found.seconds += [] if seconds is None else [seconds]


def recovery(it: Scene, recovered: Callable[[], object]) -> float | None:
    """Return how long it takes to train on; None if nothing was left to train."""
    seconds = until(lambda: recovered() or not it.alive)
    return seconds if recovered() else None


def wait(it: Scene) -> int:
    """Return the search's exit status; nothing that was ordered is an end as well."""
    assert it.process is not None
    status = it.process.wait(PATIENCE_SECONDS)
    if status == 2 and it.count("SELECT count(*) FROM sessions WHERE state = 'finished'"):
        return 0  # it had ended just before it was struck, and needed no resuming
    if not it.count("SELECT count(*) FROM searches"):
        it.start("search", *it.words)  # struck before it was written down
        return it.process.wait(PATIENCE_SECONDS)
    return status


def output(it: Scene) -> str:
    return (it.folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip()[-600:]


def keep(it: Scene, name: str, seed: int) -> None:
    """Keep what a search that was not sound has said, to look into it."""
    with open(f"faults-{name.replace(' ', '-')}-{seed}.txt", "w", encoding="utf-8") as file:
        file.write(output(it))


def order(kinds: list[str], seed: int) -> Iterator[str]:
    """Yield all kinds in turns, each round in an order of its own."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(kinds, len(kinds))


def record(found: Found, to: Path) -> None:
    line = json.dumps(vars(found))
    with _writing, to.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
        print(line, file=sys.stderr, flush=True)


def table(to: Path) -> str:
    """Return a Markdown table of all runs in a file: a row for each kind, and one for all."""
    lines = to.read_text(encoding="utf-8").splitlines() if to.exists() else []
    found = [Found(**json.loads(line)) for line in lines]
    rows = [
        "| fault | runs | faults | not ended | lost | double | unequal | audit | epochs repeated | resumed "
        "| seconds to recover |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = [kind for kind in KINDS if any(it.kind == kind for it in found)]
    rows += [row(KINDS[kind].told, [it for it in found if it.kind == kind]) for kind in kinds]
    return "\n".join([*rows, row("**all**", found)])


def row(told: str, found: list[Found]) -> str:
    seconds = [each for it in found for each in it.seconds]
    span = f"{statistics.median(seconds):.1f}, at most {max(seconds):.1f}" if seconds else "-"
    counts = (
        len(found),
        sum(it.strikes for it in found),
        sum(bool(it.trouble) for it in found),
        *(sum(getattr(it, name) for it in found) for name in ("lost", "double", "unequal")),
        sum(bool(it.audit) for it in found),
        sum(it.repeated for it in found),
        sum(it.resumes for it in found),
    )
    return f"| {told} | {' | '.join(map(str, counts))} | {span} |"


def strike_all(words: argparse.Namespace) -> bool:
    """Strike as many searches as were asked for; return whether all of them were sound."""
    kinds = [kind for kind in words.kinds.split(",") if os.geteuid() == 0 or kind not in NEED_ROOT]
    over, references = time.monotonic() + 60 * words.minutes, References()

    def strike(number: int, name: str) -> bool:
        if time.monotonic() > over:
            return True
        found = run(references, number, name, 1000 * words.seed + number)
        record(found, words.to)
        return found.sound

    names = zip(range(words.first + words.runs), order(kinds, words.seed), strict=False)
    with ThreadPoolExecutor(words.jobs) as pool:
        chosen = [partial(strike, number, name) for number, name in names if number >= words.first]
        return all(list(pool.map(lambda call: call(), chosen)))


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--jobs", type=int, default=1, help="so many runs at a time")
    parser.add_argument("--minutes", type=float, default=10**6, help="start no run after this")
    parser.add_argument("--tune", type=int, default=0, help="kill Ray Tune + OptunaSearch so often instead")
    parser.add_argument("--to", type=Path, default=Path("faults.jsonl"), help="where each run is noted")
    parser.add_argument("--page", type=Path, help="a page to put the table into, between its marks")
    words = parser.parse_args()
    if words.tune:
        from tune_faults import measure

        print(measure(words.tune, words.seed))
        return
    sound = strike_all(words)
    print(table(words.to))
    if words.page:
        page = words.page.read_text(encoding="utf-8")
        words.page.write_text(TABLE.sub(lambda _: table(words.to) + "\n", page), encoding="utf-8")
    sys.exit(not sound)


if __name__ == "__main__":
    main()
