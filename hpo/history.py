"""A search as its records tell it: the one computation behind show, progress, tracking and resume."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from statistics import median
from typing import Final

from hpo.config import Config, Value
from hpo.front import front, knee
from hpo.recipe import Objective
from hpo.trial import (
    ALONE,
    AT_MOST,
    AT_ONCE,
    COSTS,
    GIVEN,
    SPENT,
    TEST,
    UNDECIDED,
    WARNING,
    Attempt,
    Ending,
    Forecast,
    Outcome,
    Point,
    Proposal,
    Record,
)
from hpo.wish import Wish

FAILURES: Final = 3
"""So many equal failures in a row, and a search gives up."""


FORKED_FROM: Final = "forked_from"
"""The setting that names the search which this one was begun in place of, after something had changed."""


class State(StrEnum):
    """Where a search stands."""

    RUNNING = "running"  # its driver is alive
    FINISHED = "finished"  # it came to its end
    INTERRUPTED = "interrupted"  # its driver stopped or died before the end; `hpo resume` goes on
    FAILED = "failed"  # it gave up, for example because trial after trial failed


@dataclass(frozen=True)
class Search:
    """What a search was started with, word for word, and where it stands.

    `source` is the recipe's text, `space` the space as YAML with every override in it, `settings` the
    other words (`trials`, `epochs`, `seed`, `sampler`, `pruner` …), `versions` the libraries' versions.
    `created` is in seconds since 1970, UTC; `session` is the number of its latest session; `uploaded` is the
    number of the last record that is known to be in MLflow, None for searches that are older than this note;
    `wish` is what people ask of that session.
    """

    name: str
    recipe: str
    path: str
    source: str
    space: str
    objective: Objective
    settings: Mapping[str, Value]
    versions: Mapping[str, str]
    created: float = 0.0
    state: State = State.RUNNING
    reason: str = ""
    id: int = 0
    uploaded: int | None = None
    session: int = 0
    wish: Wish = field(default_factory=Wish)

    @property
    def lag(self) -> int:
        """How many trials back a deterministic search looks: proposal k knows those up to k - lag; else 0."""
        return int(str(self.settings.get("lag", 0)))

    @property
    def given(self) -> bool:
        """Whether its one configuration was given (`hpo train`), so that nothing is searched."""
        return self.settings.get("sampler") == GIVEN


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
    def settled(self) -> bool:
        """Whether it ended by itself, and not because time or budget were over."""
        return self.ending is not None and self.ending.reason not in SPENT


@dataclass(frozen=True)
class Standing:
    """How one of the best, the search's `trial`, did with fresh seeds: its trainings `again`, by seed."""

    trial: Trial
    again: Mapping[int, Trial]

    @property
    def number(self) -> int:
        """The number of the search's trial."""
        return self.trial.number

    @property
    def scores(self) -> dict[int, float]:
        """The score with each seed; NaN where it did not come to its end."""
        return {
            seed: it.score if it.outcome is Outcome.FINISHED and it.score is not None else math.nan
            for seed, it in self.again.items()
        }

    @property
    def sound(self) -> bool:
        """Whether it came to its end with every seed, and to a finite score."""
        return all(map(math.isfinite, self.scores.values()))

    @property
    def median(self) -> float:
        """The median of the scores it has; NaN if it has none."""
        return median([it for it in self.scores.values() if math.isfinite(it)] or [math.nan])


@dataclass(frozen=True)
class Outline:
    """What a list says of a search.

    `counts` are trials of the search itself by how they ended, and as `running` whatever is under way; `best`
    is the winner, and `seq` the number of the last record.
    """

    counts: Mapping[str, int]
    best: Trial | None
    seq: int


class History:
    """The trials of one search, built up record by record, in the order they were written.

    `lag` is the search's (`Search.lag`).
    """

    def __init__(self, objective: Objective, records: Iterable[Record] = (), lag: int = 0) -> None:
        self.objective, self._lag = objective, lag
        self.seq = 0
        self.trials: dict[int, Trial] = {}
        self.searched: list[Trial] = []  # the trials of the search itself
        self.ended: list[Trial] = []  # in the order in which they ended
        self.ranking: list[Trial] = []  # finished ones, best first: only these trained for all epochs
        self.confirmations: list[Trial] = []  # trainings of the best with fresh seeds
        self.counts: Counter[str] = Counter()  # of trials of the search itself that have ended, by outcome
        self.epochs = 0  # trained in all
        self.because = ""  # how many trials are trained at once and why, in words
        self.forecasts: list[Forecast] = []  # how the rest of the budget was planned, as it became known
        self.warnings: list[str] = []  # what a person should know of, as it was found, each once
        self._running: dict[int, Trial] = {}
        self._over: list[Trial] = []  # those of the search itself that have ended
        self._proofs: list[Trial] = []
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take in one more record; a record that is already in is passed over."""
        if record.seq and record.seq <= self.seq:
            return
        match record:
            case Proposal():
                self._begin(Trial(record))
            case Attempt():
                self._attempt(record)
            case Point():
                self.trials[record.trial].points.append(record)
                self.epochs += 1
            case Ending():
                self._end(self._running.pop(record.trial), record)
            case Forecast():
                self.forecasts.append(record)
        self.seq = max(self.seq, record.seq)

    @property
    def records(self) -> list[Record]:
        """All that was written, in order."""
        of_trials = (it for trial in self.trials.values() for it in trial.records)
        return sorted([*self.forecasts, *of_trials], key=attrgetter("seq"))

    def _begin(self, trial: Trial) -> None:
        self.trials[trial.number] = self._running[trial.number] = trial
        if trial.proposal.confirms:
            self.confirmations.append(trial)
        else:
            (self._proofs if trial.proposal.proves else self.searched).append(trial)

    def _attempt(self, attempt: Attempt) -> None:
        self.trials[attempt.trial].attempts.append(attempt)
        self.because = self.because or str(attempt.notes.get("because", ""))
        warning = attempt.notes.get(WARNING)
        if warning and warning not in self.warnings:
            self.warnings.append(warning)

    def _end(self, trial: Trial, ending: Ending) -> None:
        trial.ending = ending
        self.ended.append(trial)
        if not trial.proposal.searched:
            return
        self._over.append(trial)
        self.counts[ending.outcome.value] += 1
        if ending.outcome is Outcome.FINISHED:
            bisect.insort(self.ranking, trial, key=self._place)

    def _place(self, trial: Trial) -> tuple[float, int]:
        return self.objective.cost(trial.score), trial.number

    @property
    def outline(self) -> Outline:
        """What a list says of it."""
        running = {"running": len(self._running)} if self._running else {}
        return Outline(running | self.counts, self.best, self.seq)

    def part(self, trials: Iterable[Trial]) -> History:
        """Return the history of some of its trials."""
        records = sorted((it for trial in trials for it in trial.records), key=lambda it: it.seq)
        return History(self.objective, records, self._lag)

    @property
    def running(self) -> list[Trial]:
        """Trials that are proposed and not ended."""
        return list(self._running.values())

    @property
    def under_way(self) -> list[Trial]:
        """Those of them that a worker has, or is to have."""
        return [trial for trial in self.running if trial.undecided is None]

    @property
    def hopeless(self) -> str | None:
        """The reason that each of the last few trials failed for, if it is one and the same."""
        last = [trial.ending for trial in self.known[-FAILURES:] if trial.ending]
        failed = all(ending.outcome in (Outcome.FAILED, Outcome.LOST) for ending in last)
        same = len({ending.reason for ending in last}) == 1
        return last[0].reason if len(last) == FAILURES and failed and same else None

    @property
    def known(self) -> list[Trial]:
        """What decides whether to go on: the trials that ended or, in a deterministic search, by its rule."""
        if not self._lag:
            return self._over
        return self.searched[: max(len(self.trials) - self._lag + 1, 0)]

    @property
    def forecast(self) -> Forecast | None:
        """How the rest of the budget is planned; None where there is no budget, or no plan yet."""
        return self.forecasts[-1] if self.forecasts else None

    @property
    def best(self) -> Trial | None:
        """The winner: by fresh seeds where there are some, else the finished trial with the best score."""
        first = next(iter(self.standings), None)
        return first.trial if first else next(iter(self.ranking), None)

    def candidates(self, count: int) -> list[Trial]:
        """Return the best few configurations of the search, the baseline if it finished, and any knee.

        Each is there once.
        """
        first: dict[Config, Trial] = {}
        for trial in self.ranking:
            if math.isfinite(self.objective.cost(trial.score)):
                first.setdefault(trial.proposal.config, trial)
        sound = list(first.values())
        also = {it.proposal.config for it in (self.trials.get(0), self.knee) if it}
        return [*sound[:count], *(it for it in sound[count:] if it.proposal.config in also)]

    @property
    def front(self) -> list[Trial]:
        """The finished trials that no other one beats in every goal, best score first; none of one goal."""
        if not self.objective.beside:
            return []
        sound = [it for it in self.ranking if all(map(math.isfinite, self.goals(it)))]
        return [sound[place] for place in front([self.goals(it) for it in sound])]

    @property
    def knee(self) -> Trial | None:
        """The one of the front that is nearest to having the best of every goal at once."""
        found = self.front
        place = knee([self.goals(it) for it in found])
        return None if place is None else found[place]

    def goals(self, trial: Trial) -> tuple[float, ...]:
        """Return what a trial came to in every goal, as numbers to be minimized."""
        return self.objective.goals(trial.score, trial.costs)

    @property
    def standings(self) -> list[Standing]:
        """The configurations that were trained with fresh seeds, best first.

        A seed counts once all of them have trained with it, and no clock has stopped one. Who did not come
        to its end with every seed stands behind those that did; then the median decides.
        """
        if not self.confirmations:
            return []
        again: dict[Config, dict[int, Trial]] = {}
        for trial in self.confirmations:
            again.setdefault(trial.proposal.config, {})[trial.proposal.seed or 0] = trial
        common = set.intersection(
            *({seed for seed, it in own.items() if it.settled} for own in again.values())
        )
        found = {trial.proposal.config: trial for trial in reversed(self.ranking)}
        standings = [
            Standing(found[config], {seed: own[seed] for seed in sorted(common)})
            for config, own in again.items()
            if common and config in found
        ]
        return sorted(standings, key=self._merit)

    def _merit(self, standing: Standing) -> tuple[bool, float, int]:
        return not standing.sound, self.objective.cost(standing.median), standing.number

    @property
    def at_once(self) -> int:
        """The most trials that a worker has trained at once."""
        return max((trial.at_once for trial in self.searched), default=1)

    @property
    def occupancy(self) -> float:
        """The share of trained epochs that were of use; a row that diverges is idle to its epoch's end."""
        diverged = self.counts[Outcome.DIVERGED.value]
        return self.epochs / (self.epochs + diverged) if self.epochs else 1.0

    @property
    def proof(self) -> Trial | None:
        """The winner trained once more, alone: what an export of it repeats digit for digit."""
        best = self.best
        return next((it for it in self._proofs if best and it.proposal.config == best.proposal.config), None)

    @property
    def lasting(self) -> Trial | None:
        """The trial whose last checkpoint stays when all is over: the proof, or the one that was given."""
        return self.proof or next((it for it in self.ranking[:1] if it.proposal.lasts), None)

    @property
    def test(self) -> dict[str, float]:
        """What the winner came to on the test data, which were used for nothing else; empty if unknown."""
        return dict(self.proof.test) if self.proof else {}
