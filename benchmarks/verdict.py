"""What came of a search that was struck, as `benchmarks/faults.py` judges it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from scene import NAME, Scene

AGAIN = """SELECT count(DISTINCT a.trial) FROM attempts a JOIN endings e
    ON e.search_id = a.search_id AND e.trial = a.trial WHERE a.seq > e.seq"""

TAKEN_UP = "SELECT min(seq), trial, min(notes) FROM attempts GROUP BY trial, cohort, worker"


@dataclass
class Found:
    """What came of one search."""

    kind: str
    number: int
    lost: int = 0  # trials that had ended and changed or vanished, or that were ordered and never trained
    double: int = 0  # trials that were trained again after their end, and epochs after they had been saved
    unequal: int = 0  # trials that differ from those of the undisturbed search
    repeated: int = 0  # epochs in the ledger that were trained again, since nothing newer had been saved
    audit: list[str] = field(default_factory=list)  # checks that `hpo audit` says fail
    resumes: int = 0
    seconds: float | None = None  # from the fault to the next sign of training
    synced: bool = False  # whether MLflow had to be brought level with `hpo sync`
    trouble: str = ""  # it did not come to its end

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.double or self.unequal or self.audit or self.trouble)


def judge(it: Scene, found: Found, reference: dict[int, Any], before: dict[int, Any], since: int) -> None:
    """Compare a search that has ended with what it had before the fault and with the undisturbed one.

    Args:
        it: the search.
        found: takes the verdict.
        reference: the trials of the undisturbed search.
        before: the trials that had ended before the fault.
        since: the last record that was in the ledger when the fault came.
    """
    after = it.ended()
    found.lost = sum(after.get(number) != what for number, what in before.items())
    found.lost += len(reference.keys() - after.keys())
    found.unequal = sum(after[number] != what for number, what in reference.items() if number in after)
    found.repeated, forgotten = repetitions(it, since)
    found.double = it.count(AGAIN) + forgotten
    found.audit = failing(it)
    if found.audit and all(name.startswith("MLflow") for name in found.audit):
        it.call("sync", NAME)
        found.synced, found.audit = True, failing(it)


def repetitions(it: Scene, since: int) -> tuple[int, int]:
    """Return how many epochs were trained twice since a record, and how many of them had been saved."""
    repeated, forgotten = 0, 0
    for seq, trial, notes in it.ask(f"{TAKEN_UP} HAVING min(seq) > {since}"):
        known = it.count(f"SELECT count(*) FROM points WHERE trial = {trial} AND seq < {seq}")
        begun = json.loads(notes).get("from", {}).get(str(trial), 0)
        repeated += max(0, known - begun)
        forgotten += max(0, it.saved.get(trial, 0) - begun)
    return repeated, forgotten


def failing(it: Scene) -> list[str]:
    """Return the checks that `hpo audit` says fail."""
    _, told = it.call("audit", NAME, "--json")
    try:
        return [
            f"{check['check']}: {check['examples'][:1]}" for check in json.loads(told) if not check["passed"]
        ]
    except ValueError:
        return [f"audit: {told.strip()[-200:]}"]
