"""What a point costs the referee, by kind: on a rung or not, and what a trial adds to its points.

Real referee, real ledger on SQLite, in one thread: cohorts side by side, round after round, each with so
many trials, whose training is made up as in benchmarks/scale.py. After each round all that was answered goes
to the disk. Told is processor time: for a point between the rungs and for one on a rung, the endings that
follow from it included; for a trial's proposal, its attempt and its finish; for a record on its way to the
disk; and for a point of this search with its share of all that. The digest is of all records but their times:
the same decisions have the same digest, whatever they cost.

    python benchmarks/points.py [--epochs 9,18,100] [--cohorts 60] [--at-once 10] [--rounds 100]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections import Counter
from dataclasses import asdict
from typing import Any

from scale import NAME, Clock, measured

STORE = "sqlite:///points.db"


class Cohorts:
    """Cohorts that train side by side, each for its next epoch in every round."""

    def __init__(self, judge: Any, cohorts: int, at_once: int, epochs: int, rungs: tuple[int, ...]) -> None:
        self._judge, self._at_once, self._epochs, self._rungs = judge, at_once, epochs, rungs
        self._names = Counter[int]()
        self._live: dict[int, tuple[int, dict[int, Any]]] = {cohort: (0, {}) for cohort in range(cohorts)}
        self.clocks = {kind: Clock() for kind in ("ask", "attempt", "between", "rung", "tell", "commit")}
        self.counts = Counter[str]()

    def round(self) -> None:
        """Let each train an epoch."""
        for cohort, (epoch, live) in self._live.items():
            self._live[cohort] = self._train(epoch + 1, live) if live else (0, self._begin(cohort))
        self.clocks["commit"](self._judge.flush)

    def _begin(self, cohort: int) -> dict[int, Any]:
        self._names[cohort] += 1
        name = f"w{cohort}-{self._names[cohort]}"
        trials = self.clocks["ask"](lambda: self._judge.ask(name, self._at_once))
        self.clocks["attempt"](lambda: self._judge.attempt(name, [it.number for it in trials], name, {}))
        self.counts["trials"] += len(trials)
        return {it.number: it.config for it in trials}

    def _train(self, epoch: int, live: dict[int, Any]) -> tuple[int, dict[int, Any]]:
        from hpo.trial import Ending, Outcome

        kind = "rung" if epoch in self._rungs else "between"
        reports = [measured(number, config, epoch) for number, config in live.items()]
        kept, undecided, *_ = self.clocks[kind](lambda: self._judge.report(reports))
        self._judge.saved(undecided)
        self.counts[kind] += len(reports)
        if epoch == self._epochs and kept:
            self.counts["tell"] += len(kept)
            self.clocks["tell"](lambda: self._judge.tell([Ending(it, Outcome.FINISHED) for it in kept]))
            kept = []
        return epoch, {number: live[number] for number in kept}


def measure(epochs: int, given: argparse.Namespace) -> str:
    """Return a row of the table."""
    from hpo.ledger import Ledger
    from hpo.planning.ordering import order
    from hpo.planning.plan import Plan
    from hpo.referee import Referee
    from hpo.settings import SearchSettings

    name, ledger = f"{NAME}-{epochs}", Ledger(STORE)
    words = ["recipe=cnn", "trials=1000000", f"epochs={epochs}", f"pruner={given.pruner}", f"name={name}"]
    search = ledger.create_search(order(SearchSettings.from_words([*words, f"store={STORE}"])))
    judge = Referee(STORE, name, ledger.open_session(search))
    cohorts = Cohorts(judge, given.cohorts, given.at_once, epochs, Plan.of(search).rungs.at)
    for _ in range(given.rounds):
        cohorts.round()
    records = ledger.records(search)
    ledger.close()
    return row(epochs, cohorts, len(records), digest(records))


def row(epochs: int, cohorts: Cohorts, records: int, told: str) -> str:
    counts, spent = cohorts.counts, {kind: 1e6 * it.spent for kind, it in cohorts.clocks.items()}
    counts |= {"ask": counts["trials"], "attempt": counts["trials"], "commit": records}
    each = [f"{spent[kind] / max(counts[kind], 1):,.0f}" for kind in spent]
    points = counts["between"] + counts["rung"]
    mean, of_trial = sum(spent.values()) / points, points / counts["trials"]
    shares = f"{of_trial:.1f} | {counts['rung'] / points:.0%}"
    return f"| {epochs} | {shares} | {' | '.join(each)} | {mean:,.0f} | {1e6 / mean:,.0f} | {told} |"


def digest(records: list[Any]) -> str:
    told = hashlib.sha256()
    for record in records:
        told.update(repr((type(record).__name__, {**asdict(record), "at": 0.0})).encode())
    return told.hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", default="9,18,100")
    parser.add_argument("--cohorts", type=int, default=60)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pruner", default="ladder")
    given = parser.parse_args()
    print(
        "µs of processor for: a trial's proposal, attempt; a point between rungs, on one; a finish; a record"
    )
    print("| epochs | points a trial | on a rung | ask | attempt | between | rung | finish | to disk "
          "| a point in all | points/s | digest |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for epochs in given.epochs.split(","):
            print(measure(int(epochs), given), flush=True)


if __name__ == "__main__":
    main()
