"""All trials of a search, built up record by record."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from hpo.config import Config
from hpo.history.front import front, knee
from hpo.history.standing import Standing, standings
from hpo.history.trial import Trial
from hpo.recipe import Objective
from hpo.trial import WARNING, Attempt, Ending, Forecast, Outcome, Point, Proposal, Record

FAILURES: Final = 3
"""So many equal failures in a row, and a search gives up."""


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
        """What decides whether to go on: the trials that ended or, in a deterministic search, by its rule.

        The rule is about numbers, of which trainings with fresh seeds have some, too.
        """
        if not self._lag:
            return self._over
        latest = len(self.trials) - self._lag
        return self.searched[: bisect.bisect(self.searched, latest, key=attrgetter("number"))]

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
        """The configurations that were trained with fresh seeds, best first."""
        return standings(self.confirmations, self.ranking, self.objective)

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
