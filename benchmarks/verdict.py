"""What came of a search that was struck, as `benchmarks/faults.py` judges it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from scene import NAME, Scene, epoch_of

AGAIN = """SELECT count(DISTINCT a.trial) FROM attempts a JOIN endings e
    ON e.search_id = a.search_id AND e.trial = a.trial WHERE a.seq > e.seq"""

TAKEN_UP = "SELECT seq, trial, cohort, notes FROM attempts ORDER BY seq"


@dataclass(frozen=True)
class Blow:
    """What a search had when a fault came: none of it may be lost.

    Args:
        since: the last attempt in the ledger.
        ended: the trials that had ended.
        saved: the epochs of trials that lay in checkpoints; a fault that damages them takes from it.
    """

    since: int
    ended: dict[int, tuple[Any, ...]]
    saved: dict[int, int]

    @classmethod
    def on(cls, it: Scene) -> Blow:
        """Look at a search that is about to be struck."""
        it.saved = {trial: epoch_of(paths[-1]) for trial, paths in it.shelf().items()}
        return cls(it.count("SELECT coalesce(max(seq), 0) FROM attempts"), it.ended(), it.saved)


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
    strikes: int = 0
    resumes: int = 0
    seconds: list[float] = field(default_factory=list)  # from a fault or resuming to training
    synced: bool = False  # whether MLflow had to be brought level with `hpo sync`
    trouble: str = ""  # it did not come to its end

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.double or self.unequal or self.audit or self.trouble)


def judge(it: Scene, found: Found, reference: dict[int, Any], blows: list[Blow]) -> None:
    """Compare a search that has ended with what it had before each fault and with the undisturbed one.

    Args:
        it: the search.
        found: takes the verdict.
        reference: the trials of the undisturbed search.
        blows: what it had when it was struck.
    """
    after = it.ended()
    before = {number: what for blow in reversed(blows) for number, what in blow.ended.items()}
    found.lost = sum(after.get(number) != what for number, what in before.items())
    found.lost += len(reference.keys() - after.keys())
    found.unequal = sum(after[number] != what for number, what in reference.items() if number in after)
    found.repeated, forgotten = repetitions(it, blows)
    found.double = it.count(AGAIN) + forgotten
    found.audit = failing(it)
    if found.audit and all(name.startswith("MLflow") for name in found.audit):
        it.call("sync", NAME)
        found.synced, found.audit = True, failing(it)


def repetitions(it: Scene, blows: list[Blow]) -> tuple[int, int]:
    """Return how many epochs were trained twice since the first blow, and how many of them had been saved."""
    repeated, forgotten = 0, 0
    for seq, trial, begun in taken_up(it):
        if seq <= blows[0].since:
            continue
        saved = max(blow.saved.get(trial, 0) for blow in blows if blow.since < seq)
        known = it.count(f"SELECT count(*) FROM points WHERE trial = {trial} AND seq < {seq}")
        repeated += max(0, known - begun)
        forgotten += max(0, saved - begun)
    return repeated, forgotten


def taken_up(it: Scene) -> list[tuple[int, int, int]]:
    """Return when each trial was taken up by a cohort, and the epoch after which it went on."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for seq, trial, cohort, notes in it.ask(TAKEN_UP):
        first, begun = found.get((trial, cohort), (seq, 0))
        found[trial, cohort] = first, json.loads(notes).get("from", {}).get(str(trial), begun)
    return [(seq, trial, begun) for (trial, _), (seq, begun) in found.items()]


def failing(it: Scene) -> list[str]:
    """Return the checks that `hpo audit` says fail."""
    _, told = it.call("audit", NAME, "--json")
    try:
        return [
            f"{check['check']}: {check['examples'][:1]}" for check in json.loads(told) if not check["passed"]
        ]
    except ValueError:
        return [f"audit: {told.strip()[-200:]}"]
