"""A worker's line to the referee, on which nothing is lost when the referee dies.

A report is answered before it is durable, so a referee that dies just then never knew of it. The next one
notices that an epoch is missing, and the line says again what it has said since the cohort began: what
the referee knows already changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from hpo.trial import Answer, Divergence, Ending, MissingEpochError, Point, Proposal

T = TypeVar("T")

_TRIES: Final = 5


class Line:
    """What a worker asks of the referee (`hpo.cohort.Referee`); each question waits for its answer.

    Args:
        call: calls the referee's method of a name with these arguments and returns its answer.
        here: what its host is to know of this process, said with the first word of a cohort.
    """

    def __init__(self, call: Callable[..., Any], *here: object) -> None:
        self._call, self._here, self._cohort = call, here, ""
        self._said: list[list[Point | Divergence]] = []

    def begin(self, cohort: str) -> None:
        """Say that a cohort will be taken up, by who has something to do before."""
        self._call("begin", cohort, *self._here)

    def take_up(self, cohort: str, size: int, worker: str, because: str) -> list[Proposal]:
        """Return the trials of a cohort, which begins with that; who trains so many, and why, is noted."""
        self._cohort = cohort
        self._said.clear()
        trials: list[Proposal] = self._call("take_up", cohort, size, worker, because, *self._here)
        return trials

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials of the cohort, and what else is known of the way by now."""
        self._call("attempt", self._cohort, list(trials), worker, notes)

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Return which trials go on, and which are undecided."""
        self._said.append(list(reports))
        return self._understood(lambda: self._report(self._said[-1]))

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable; where there are none, nobody is asked."""
        if endings:
            self._understood(lambda: self._call("tell", list(endings)))

    def lost(self, cohort: str, reason: str) -> bool:
        """Say that a cohort has lost a worker; return whether it had trials."""
        had_trials: bool = self._call("lost", cohort, reason)
        return had_trials

    def _report(self, reports: list[Point | Divergence]) -> Answer:
        answer: Answer = self._call("report", reports)
        return answer

    def _understood(self, say: Callable[[], T]) -> T:
        for _ in range(_TRIES):
            with suppress(MissingEpochError):
                return say()
            self._repeat()
        return say()

    def _repeat(self) -> None:
        with suppress(MissingEpochError):  # it died once more, so all is said once more
            for reports in self._said:
                self._report(reports)
