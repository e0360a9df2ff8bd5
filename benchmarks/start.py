"""How long a person waits: from Enter to the first trained epoch, to the help, and to a refusal.

`hpo search recipe=cnn` is run in an empty folder, n times with warm file caches, and what is waited for is
read from its ledger: from the start of the process to the `at` of the first Point. The same ledger cuts the
time into pieces, with no probe in the product:

    read    process start        → search written down    imports of the driver; recipe, space, words checked
    ray     search written down  → first trial proposed   Ray and its processes; referee and workers import
    data    first trial proposed → its first epoch        scikit-learn, the recipe's data, the model
    epoch   the first epoch itself

`hpo --help` and `hpo search recipe=cn` (refused) are timed from process start to process end, beside a bare
`python -c pass`. Two checkouts are compared when a second one is named: the rounds alternate between them.

    python benchmarks/start.py [--rounds 7] [--against ANOTHER_CHECKOUT] [--json FILE]

Aims: first epoch in ≤ 5 s, help in ≤ 0.3 s, refusal in ≤ 1 s, on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
PIECES = ("read", "ray", "data", "epoch")
WORDS = ["recipe=cnn", "trials=2", "epochs=1"]  # nothing of the start depends on how many trials there are
AIMS = {"first epoch": 5.0, "help": 0.3, "refusal": 1.0}


def hpo(checkout: Path, folder: str, *words: str) -> tuple[float, float, int]:
    """Run a command line of hpo; return when it started, how long it took, and its exit status."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    for name in ("HPO_STORE", "PYTHONDONTWRITEBYTECODE"):  # modules are compiled where pip has installed them
        environment.pop(name, None)
    command = [sys.executable, "-m", "hpo", *words]
    start = time.time()
    with open(os.path.join(folder, "output.txt"), "w", encoding="utf-8") as output:
        code = subprocess.call(command, cwd=folder, env=environment, stdout=output, stderr=output)
    return start, time.time() - start, code


def first_epoch(checkout: Path) -> dict[str, float]:
    """Search once; return the seconds until the first epoch was trained, and the pieces of them."""
    with tempfile.TemporaryDirectory(prefix="hpo-start-") as folder:
        start, whole, code = hpo(checkout, folder, "search", *WORDS)
        output = Path(folder, "output.txt").read_text(encoding="utf-8")
        assert code == 0, output[-2000:]
        with sqlite3.connect(Path(folder, "hpo.db")) as ledger:
            marks = _marks(ledger)
    ends = dict(zip(PIECES, marks, strict=True))
    begins = (start, *marks[:-1])
    pieces = {name: end - begin for (name, end), begin in zip(ends.items(), begins, strict=True)}
    return {"first epoch": marks[-1] - start, **pieces, "after": start + whole - marks[-1]}


def _marks(ledger: sqlite3.Connection) -> list[float]:
    """Return the ends of the pieces, on the clock."""

    def one(query: str) -> float:
        return float(ledger.execute(query).fetchone()[0])

    point = "from points order by at limit 1"
    return [
        one("select created from searches"),
        one("select min(at) from proposals"),
        one(f"select at - seconds {point}"),
        one(f"select at {point}"),
    ]


def word(checkout: Path, code: int, *words: str) -> float:
    """Return the seconds that a command line takes which starts nothing."""
    with tempfile.TemporaryDirectory(prefix="hpo-start-") as folder:
        _, seconds, found = hpo(checkout, folder, *words)
    assert found == code, (words, found)
    return seconds


def bare() -> float:
    """Return the seconds that Python itself takes."""
    start = time.perf_counter()
    subprocess.check_call([sys.executable, "-c", "pass"])
    return time.perf_counter() - start


def round_of(checkout: Path) -> dict[str, float]:
    return {
        **first_epoch(checkout),
        "help": word(checkout, 0, "--help"),
        "refusal": word(checkout, 2, "search", "recipe=cn"),
        "python": bare(),
    }


def measure(checkouts: list[Path], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Warm up once, then take the checkouts in turns."""
    for checkout in checkouts:
        round_of(checkout)
    found: dict[str, list[dict[str, float]]] = {str(checkout): [] for checkout in checkouts}
    for number in range(rounds):
        order = checkouts if number % 2 == 0 else checkouts[::-1]
        for checkout in order:
            found[str(checkout)].append(round_of(checkout))
            print(f"round {number + 1}: {found[str(checkout)][-1]['first epoch']:.2f} s", file=sys.stderr)
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Return medians and ranges as text; with two checkouts, the median of the paired ratios."""
    first, *others = found.values()
    head = f"{'seconds':<14}{'median':>8}{'min':>8}{'max':>8}{'aim':>6}"
    lines = [head + "".join(f"{'other':>8}{'ratio':>7}" for _ in others)]
    for name in first[0]:
        values = [sample[name] for sample in first]
        indent = "  " if name in PIECES else ""
        aim = f"{AIMS[name]:.1f}" if name in AIMS else ""
        figures = (statistics.median(values), min(values), max(values))
        line = f"{indent + name:<14}" + "".join(f"{it:>8.2f}" for it in figures) + f"{aim:>6}"
        for other in others:
            theirs = [sample[name] for sample in other]
            ratio = statistics.median(a / b for a, b in zip(values, theirs, strict=True))
            line += f"{statistics.median(theirs):>8.2f}{ratio:>7.2f}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--checkout", type=Path, default=HERE, help="what is measured")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="another one, in turns with it"
    )
    parser.add_argument("--json", type=Path, help="write every sample here")
    words = parser.parse_args()
    found = measure([words.checkout.resolve(), *(it.resolve() for it in words.against)], words.rounds)
    print(table(found))
    if words.json:
        record: dict[str, Any] = {
            "words": WORDS,
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "rounds": found,
        }
        words.json.write_text(json.dumps(record, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
