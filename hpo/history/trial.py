"""A trial as its records tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hpo.trial import (
    ALONE,
    AT_MOST,
    AT_ONCE,
    COSTS,
    LOADERS,
    SPENT,
    TEST,
    UNDECIDED,
    Attempt,
    Ending,
    Outcome,
    Point,
    Proposal,
    Record,
)


@dataclass
class Trial:
    """All that is known of one trial."""

    proposal: Proposal
    attempts: list[Attempt] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    ending: Ending | None = None

    @property
    def number(self) -> int:
        """The trial's number; 0 is the recipe's baseline."""
        return self.proposal.number

    @property
    def records(self) -> list[Record]:
        """All that was written of it."""
        return [self.proposal, *self.attempts, *self.points, *([self.ending] if self.ending else [])]

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None while it is under way."""
        return self.ending.outcome if self.ending else None

    @property
    def cohort(self) -> str:
        """The cohort that took it up last or, if none has yet, that it was proposed to."""
        return self.attempts[-1].cohort if self.attempts else self.proposal.cohort

    @property
    def tries(self) -> int:
        """How many cohorts have taken it up since it last got further, with the one that got it there."""
        last = self.points[-1].seq if self.points else 0
        before = [attempt for attempt in self.attempts if attempt.seq < last]
        after = [attempt for attempt in self.attempts if attempt.seq > last]
        return len({attempt.cohort for attempt in (*before[-1:], *after)})

    @property
    def at_once(self) -> int:
        """How many trials its workers trained at once, at most."""
        return max((int(it.notes.get(AT_ONCE, 1)) for it in self.attempts if not self.alone), default=1)

    @property
    def at_most(self) -> int:
        """How many trials its worker would train at once."""
        return int(self.attempts[-1].notes.get(AT_MOST, 1)) if self.attempts else 1

    @property
    def alone(self) -> str:
        """Why it trained plainly and not in its cohort's stack; nothing until it has ended."""
        return str(self.ending.notes.get(ALONE, "")) if self.ending else ""

    @property
    def undecided(self) -> int | None:
        """How many epochs the search had trained when it began to wait for rivals; None if it does not."""
        last = self.points[-1] if self.points and not self.ending else None
        if last is None or UNDECIDED not in last.notes:
            return None
        taken_up = self.attempts and self.attempts[-1].seq > last.seq
        return None if taken_up else int(last.notes[UNDECIDED])

    @property
    def score(self) -> float | None:
        """The objective on validation data after the last epoch that was trained."""
        return self.points[-1].score if self.points else None

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.points)

    @property
    def memory(self) -> Mapping[str, Mapping[str, int]]:
        """The bytes that it took, `predicted` and `measured`, each by part; nothing until it has ended."""
        notes: Mapping[str, Mapping[str, int]] = self.ending.notes.get("memory", {}) if self.ending else {}
        return notes

    @property
    def costs(self) -> Mapping[str, float]:
        """What it takes, of `hpo.recipe.COSTS`, as measured at its start; nothing if that is no goal."""
        found: Iterable[Mapping[str, float]] = (it.notes[COSTS] for it in self.attempts if COSTS in it.notes)
        return next(iter(found), {})

    @property
    def test(self) -> Mapping[str, float]:
        """What was measured on test data after the last epoch; nothing, unless it is a proof."""
        notes: Mapping[str, float] = self.ending.notes.get(TEST, {}) if self.ending else {}
        return notes

    @property
    def loaders(self) -> bool | None:
        """Whether the recipe gave some of its data as DataLoaders; None if that is not known."""
        splits = self.ending.notes.get(LOADERS) if self.ending else None
        return None if splits is None else bool(splits)

    @property
    def settled(self) -> bool:
        """Whether it ended by itself, and not because time or budget were over."""
        return self.ending is not None and self.ending.reason not in SPENT
