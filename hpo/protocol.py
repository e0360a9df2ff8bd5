"""What workers, the referee and whoever hosts it say to each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hpo.trial import Divergence, Ending, Point, Proposal
from hpo.wish import Wish


class Answer(NamedTuple):
    """What a worker is told of the trials that it has reported: all others have ended.

    `undecided` are to be saved and left: another worker takes them up, if they go on. Of a trial something
    may be decided after its epoch `due`, and not before; of one that is not named there, after each. If
    nobody goes on, the `next` cohort's trials may come with that.
    """

    on: list[int]
    undecided: Sequence[int] = ()
    due: Mapping[int, int] = {}
    next: Hand | None = None


class Choice(NamedTuple):
    """How many trials to train at once, from how many on that is worth it, and why."""

    size: int
    least: int
    reason: str


class Sizing(NamedTuple):
    """What was measured on a machine of how many to train at once, if it was; if not, whether you are to."""

    choice: Choice | None
    yours: bool = False


class Hand(NamedTuple):
    """The trials that a cohort is handed, and after which epoch each is `due` (`Answer`)."""

    trials: list[Proposal]
    due: Mapping[int, int]


class Stopped(Exception):  # noqa: N818 - stopping on request is no error
    """The search stops: save what is under way, and train no further. What was reported is taken in."""


class DeviceLostError(Exception):
    """The GPU gives this process nothing but errors any more; another process can train on."""


class MissingEpochError(Exception):
    """An epoch before the one that is spoken of is not known: report it first."""


class Judge(Protocol):
    """The part of the referee that matters while trials are trained."""

    def attempt(self, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and what else is known of the way by now."""

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Return which trials go on, and which are undecided."""

    def saved(self, trials: Collection[int]) -> None:
        """Say that these, which are undecided, are saved."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """Return once the endings are durable."""


class Referee(Judge, Protocol):
    """The part of the referee that a worker speaks to."""

    def size(self, cohort: str, machine: str) -> Sizing:
        """Return what is known of how many to train at once on this machine; who is to measure it, tells."""

    def sized(self, machine: str, choice: Choice) -> None:
        """Take in what was measured."""

    def take_up(self, cohort: str, size: int, worker: str, because: str, *, alike: bool) -> list[Proposal]:
        """Return the trials of a cohort, none if there is nothing to train now; note who takes up so many.

        `alike`: whether the next one is certain to be taken up like this one.
        """

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a worker of a cohort died; return whether it had trials."""


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
        """Return what people ask of the search, and note what it has used: both wait for the ledger."""

    def heed(self, wish: Wish) -> None:
        """Do what people ask."""
