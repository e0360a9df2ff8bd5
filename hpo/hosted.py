"""What a host asks of the referee (`hpo.referee.Referee`): an actor of Ray, or the process that trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from hpo.trial import Answer, Divergence, Ending, Hand, Point
from hpo.wish import Wish


class Hosted(Protocol):
    """The part of the referee that whoever hosts it asks of it."""

    def take_up(self, cohort: str, size: int, worker: str, because: str) -> Hand:
        """Return trials for a cohort, which this worker takes up."""

    def attempt(self, cohort: str, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and in what way."""

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Return which trials go on, and which are undecided."""

    def saved(self, trials: Collection[int]) -> None:
        """Take in that undecided ones are saved, so that others can take them up."""

    def tell(self, endings: Sequence[Ending], reports: Sequence[Point | Divergence]) -> None:
        """Take in the last reports, and how trials ended."""

    def requeue(self) -> None:
        """Hand out again what was under way."""

    def flush(self) -> None:
        """Make everything answered so far durable."""

    @property
    def paused(self) -> bool:
        """Whether nobody is to train for now."""

    def wished(self) -> Wish:
        """Return what people ask of the search, which is read from the ledger."""

    def heed(self, wish: Wish) -> None:
        """Do what people ask."""
