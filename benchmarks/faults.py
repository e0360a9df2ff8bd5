"""Does a search survive? Real searches are struck at random moments, resumed where needed, and judged.

Each run starts `hpo search` on a small network in an empty folder, waits for a random moment, strikes with
one kind of fault (`benchmarks/strikes.py`), calls `hpo resume` if the search has not come to its end by
itself, and then asks `hpo audit` and compares every trial with an undisturbed search of the same words: the
same proposals, the same losses of each epoch to the last bit, the same endings.

    python benchmarks/faults.py [--runs 200] [--seed 0] [--kinds driver,worker] [--words "sampler=tpe …"]
    python benchmarks/faults.py --tune 10    the same kills on Ray Tune + OptunaSearch (`tune_faults.py`)

Kinds are taken in turns, in an order and at moments that follow from the seed: `--first 17 --runs 1` repeats
run 17. Run as root to include a full disk, which needs a disk of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scene import NAME, PATIENCE_SECONDS, RESUMES, ROOT, Found, Scene, judge, scene, until
from strikes import KINDS, Kind

TRIALS, EPOCHS = 8, 6
WORDS = [
    f"recipe={ROOT / 'benchmarks' / 'recipes' / 'small.py'}",
    f"trials={TRIALS}",
    f"epochs={EPOCHS}",
    "workers=2",
    "fuse=off",  # alone or among others, losses differ by rounding
]
EXACT = "sampler=random pruner=none"  # what a trial is follows from its number, not from when others ended
NEED_ROOT = {"disk"}
EARLY_SHARE = 0.15  # so many strikes fall into the start, before the first epoch


def undisturbed(words: list[str]) -> dict[int, Any]:
    """Run a search that nothing happens to; return its trials."""
    with scene(words) as it:
        assert it.start("search", *it.words).wait(PATIENCE_SECONDS) == 0, output(it)
        ended = it.ended()
        assert len(ended) == TRIALS
        return ended


def await_moment(it: Scene, chance: random.Random) -> None:
    """Wait for a moment at random: in the start, or after so many epochs and a bit."""
    until(lambda: it.count("SELECT count(*) FROM searches") or not it.alive)
    early, share, bit = chance.random() < EARLY_SHARE, chance.random(), chance.uniform(0, 0.3)
    if early:
        time.sleep(share * 5)
    else:
        until(lambda: it.epochs >= share * TRIALS * EPOCHS or not it.alive)
        time.sleep(bit)


def run(name: str, seed: int, words: list[str], reference: dict[int, Any]) -> Found:
    """Strike one search; return what came of it."""
    kind, chance, found = KINDS[name], random.Random(seed), Found(name)
    with scene(words) as it:
        try:
            kind.stage(it)
            it.start("search", *it.words)
            if not kind.at_start:
                await_moment(it, chance)
            before = it.ended()
            endure(it, kind, chance, found)
            judge(it, found, reference, before)
        except Exception as error:  # noqa: BLE001 - it counts against hpo, and the other runs go on
            found.trouble = f"{type(error).__name__}: {error}"
        if not found.sound:
            keep(it, name, seed)
    return found


def endure(it: Scene, kind: Kind, chance: random.Random, found: Found) -> None:
    """Strike, and see the search to its end; note how long nothing was trained."""
    retries, epochs = it.retries, it.epochs
    kind.strike(it, chance)
    if not kind.at_start:
        found.seconds = recovery(it, lambda: it.retries > retries if kind.worker else it.epochs > epochs)
    while wait(it) != 0:
        assert found.resumes < RESUMES, f"exit {it.process and it.process.returncode}: {output(it)}"
        found.resumes, sessions = found.resumes + 1, it.sessions()
        it.start("resume", NAME)
        found.seconds = recovery(it, lambda: it.sessions() > sessions and it.epochs_of_this_session())  # noqa: B023


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


def table(found: list[Found]) -> str:
    """Return a Markdown table: a row for each kind, and one for all."""
    lines = [
        "| fault | runs | not ended | lost | double | unequal | audit | resumed | seconds to recover |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = [kind for kind in KINDS if any(it.kind == kind for it in found)]
    lines += [row(KINDS[kind].told, [it for it in found if it.kind == kind]) for kind in kinds]
    return "\n".join([*lines, row("**all**", found)])


def row(told: str, found: list[Found]) -> str:
    seconds = [it.seconds for it in found if it.seconds is not None]
    span = f"{statistics.median(seconds):.1f}, at most {max(seconds):.1f}" if seconds else "-"
    counts = (
        len(found),
        sum(bool(it.trouble) for it in found),
        *(sum(getattr(it, name) for it in found) for name in ("lost", "double", "unequal")),
        sum(bool(it.audit) for it in found),
        sum(it.resumes > 0 for it in found),
    )
    return f"| {told} | {' | '.join(map(str, counts))} | {span} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--words", default=EXACT, help=f"words for the search, default: {EXACT}")
    parser.add_argument("--minutes", type=float, default=10**6, help="start no run after this")
    parser.add_argument("--tune", type=int, default=0, help="kill Ray Tune + OptunaSearch so often instead")
    parser.add_argument("--to", type=Path, default=Path("faults.md"), help="where the table goes")
    words = parser.parse_args()
    if words.tune:
        from tune_faults import measure

        print(measure(words.tune, words.seed))
        return
    kinds = [kind for kind in words.kinds.split(",") if os.geteuid() == 0 or kind not in NEED_ROOT]
    over = time.monotonic() + 60 * words.minutes
    search = [*WORDS, *words.words.split()]
    reference, found = undisturbed(search), list[Found]()
    for number, name in zip(range(words.first + words.runs), order(kinds, words.seed), strict=False):
        if number >= words.first and time.monotonic() < over:
            found.append(run(name, 1000 * words.seed + number, search, reference))
            print(number, json.dumps(vars(found[-1])), file=sys.stderr, flush=True)
            words.to.write_text(table(found) + "\n", encoding="utf-8")
    print(table(found))
    sys.exit(not all(it.sound for it in found))


if __name__ == "__main__":
    main()
