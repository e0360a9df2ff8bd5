"""Who has which trials: the cohorts that train them, and those that wait for a worker.

A trial whose worker died is handed out again, up to `ATTEMPTS` times if it does not get further; the last
time alone, so that no others are lost with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from hpo.history import Trial

ATTEMPTS: Final = 3
"""A trial whose worker died is tried this often in all."""


class Custody:
    """The trials under way, each in one place.

    Args:
        under_way: those of a referee that is made again; who has had a cohort has it yet, as far as is known.
    """

    def __init__(self, under_way: Iterable[Trial]) -> None:
        self._held: dict[str, list[Trial]] = {}
        self._waiting: deque[Trial] = deque()
        for trial in under_way:
            (self._held.setdefault(trial.cohort, []) if trial.cohort else self._waiting).append(trial)
        self._forgiven: dict[int, int] = {}  # tries that ended with an earlier driver, by no fault of theirs
        self._reasons: dict[int, str] = {}  # of what its worker died

    def __contains__(self, cohort: str) -> bool:
        return cohort in self._held

    @property
    def cohorts(self) -> list[str]:
        """The names of those that have been handed trials and were not lost."""
        return list(self._held)

    def held(self, cohort: str) -> list[Trial]:
        """Return what a cohort has."""
        return self._held.get(cohort, [])

    def hand(self, cohort: str, trials: Iterable[Trial]) -> None:
        """Give trials to a cohort."""
        self._held[cohort] = list(trials)

    def part(self, trial: Trial) -> None:
        """Take a trial from its cohort, which may then lose its worker without losing the trial."""
        held = self.held(trial.cohort)
        if trial in held:
            held.remove(trial)

    def let_go(self, cohort: str) -> list[Trial]:
        """Forget a cohort, and return what it had."""
        return self._held.pop(cohort, [])

    @property
    def next(self) -> Trial | None:
        """Who has waited longest for a worker."""
        return self._waiting[0] if self._waiting else None

    def take(self) -> Trial:
        """Take who has waited longest for a worker; there must be one."""
        return self._waiting.popleft()

    def suspect(self) -> list[Trial]:
        """Take a trial that has its last try, if one is waiting."""
        last = [it for it in self._waiting if it.number in self._reasons and self._tries(it) == ATTEMPTS - 1]
        for trial in last[:1]:
            self._waiting.remove(trial)
        return last[:1]

    def await_worker(self, trials: Iterable[Trial]) -> None:
        """Let trials wait for a worker."""
        self._waiting.extend(trials)

    def lose(self, trial: Trial, reason: str) -> bool:
        """Take in of what a trial's worker died; return whether it waits for another one."""
        self._reasons[trial.number] = reason
        again = self._tries(trial) < ATTEMPTS
        if again:
            self._waiting.append(trial)
        return again

    def reason(self, trial: Trial) -> str:
        """Return of what a trial's last worker died; nothing if none has."""
        return self._reasons.get(trial.number, "")

    def requeue(self, under_way: Iterable[Trial]) -> None:
        """Let all of these wait for a worker: those of the last driver are gone with it."""
        self._waiting = deque(under_way)
        self._forgiven = {trial.number: trial.tries for trial in self._waiting}
        self._held.clear()

    def _tries(self, trial: Trial) -> int:
        """Return how often a trial was tried by this driver."""
        return trial.tries - self._forgiven.get(trial.number, 0)
