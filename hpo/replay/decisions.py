"""Recomputing each proposal and each verdict of a search from what its ledger held at that moment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from hpo.history import History
from hpo.ledger import Ledger
from hpo.planning.changes import changed_versions
from hpo.planning.plan import Plan
from hpo.progress.clock import Clock
from hpo.progress.spending import Spending
from hpo.referee import proposer
from hpo.settings import ReplaySettings
from hpo.trial import SPENT, UNDECIDED, Attempt, Ending, Forecast, Judgment, Outcome, Point, Proposal, Record

_COMPARED: Final = ("number", "origin", "config", "params", "distributions", "notes")


@dataclass(frozen=True)
class Difference:
    """A decision that comes out otherwise now; a verdict is that after the epoch, a proposal has none."""

    trial: int
    epoch: int | None
    what: str
    recorded: Any
    recomputed: Any


@dataclass(frozen=True)
class Decisions:
    """What was recomputed, what differs, and how many endings only a clock or a death decided.

    `versions` are those that have changed since, which may be why.
    """

    search: str
    proposals: int
    verdicts: int
    differences: tuple[Difference, ...]
    beyond: Mapping[str, int]
    versions: tuple[str, ...]

    @property
    def expected(self) -> bool:
        """Whether all came out as recorded."""
        return not self.differences

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


def replay(settings: ReplaySettings) -> Decisions:
    """Decide anew what a search decided, in the order of its records.

    Raises:
        InputError: there is no such search.
    """
    ledger = Ledger(settings.store)
    search = ledger.search(settings.name)
    records = ledger.records(search)
    walk = _Walk(Plan.of(search), records)
    differences = tuple(walk.differences())
    counts = walk.counted["proposals"], walk.counted["verdicts"]
    return Decisions(
        search.name, *counts, differences, _beyond(records), tuple(changed_versions(search.versions))
    )


def _beyond(records: Iterable[Record]) -> dict[str, int]:
    """Count the endings that do not follow from records."""
    endings = [record for record in records if isinstance(record, Ending)]
    late = Counter(it.reason for it in endings if it.outcome is Outcome.PRUNED and it.reason in SPENT)
    lost = sum(ending.outcome is Outcome.LOST for ending in endings)
    return {**late, **({"lost": lost} if lost else {})}


class _Walk:
    """Goes through a search's records with a study of its own, and starts it anew after a difference."""

    def __init__(self, plan: Plan, records: Sequence[Record]) -> None:
        self._plan, self._records = plan, records
        self._study = proposer(plan)
        self._history = History(plan.search.objective, lag=plan.search.lag)
        self._clock = Clock(pace=0)
        self._spending = Spending(plan, self._history, self._clock)
        self._stopped = {
            record.trial for record in records if isinstance(record, Ending) and _by_verdict(record)
        }
        confirmations = [it for it in records if isinstance(it, Proposal) and it.confirms]
        self._confirmed = len({it.config for it in confirmations})
        self._last = {record.trial: record.epoch for record in records if isinstance(record, Point)}
        self.counted: Counter[str] = Counter()

    def differences(self) -> Iterator[Difference]:
        """Decide anew, and yield what comes out otherwise."""
        for place, record in enumerate(self._records, start=1):
            found = list(self._repeat(record))
            self._history.add(record)
            if found:
                self._restore(self._records[:place])
            yield from found

    def _restore(self, past: Sequence[Record]) -> None:
        self._study = proposer(self._plan)
        for record in past:
            self._study.restore(record)

    def _repeat(self, record: Record) -> Iterator[Difference]:
        match record:
            case Proposal():
                self.counted["proposals"] += 1
                yield from self._propose(record) if record.searched else self._follow(record)
            case Point() if self._history.trials[record.trial].proposal.searched:
                self.counted["verdicts"] += 1
                yield from self._judge(record)
            case Ending() if self._waited(record) and _by_verdict(record):
                self.counted["verdicts"] += 1
                yield from self._judge_again(record)
                self._study.restore(record)
            case Attempt() | Ending():
                self._study.restore(record)
            case Forecast() if record.terms == self._plan.terms:
                yield from self._plan_again(record)

    def _follow(self, recorded: Proposal) -> Iterator[Difference]:
        """Choose anew what is trained after the search: its best, or its winner."""
        self._study.restore(recorded)
        best = self._history.best
        chosen = self._history.candidates(self._confirmed) if recorded.confirms else [best] if best else []
        configs = [trial.proposal.config for trial in chosen]
        if recorded.config not in configs:
            what = "one of the best" if recorded.confirms else "winner"
            yield Difference(recorded.number, None, what, dict(recorded.config), [*map(dict, configs)])

    def _propose(self, recorded: Proposal) -> Iterator[Difference]:
        if not self._study.ready:
            yield Difference(recorded.number, None, "moment", "now", "when earlier trials have ended")
            return
        again = self._study.propose()
        for name in _COMPARED:
            before, now = _plain(getattr(recorded, name)), _plain(getattr(again, name))
            if before != now:
                yield Difference(recorded.number, None, name, before, now)

    def _plan_again(self, recorded: Forecast) -> Iterator[Difference]:
        """Plan the rest of a budget anew, at the reading of the clock that was recorded."""
        self._clock.put(recorded.used)
        self._spending.learn()
        ended = self._spending.ended if recorded.over else ""
        again = replace(self._spending.forecast(ended), at=recorded.at, seq=recorded.seq)
        if again != recorded:
            yield Difference(len(self._history.trials) - 1, None, "plan", asdict(recorded), asdict(again))

    def _waited(self, ending: Ending) -> bool:
        return self._history.trials[ending.trial].undecided is not None

    def _judge(self, point: Point) -> Iterator[Difference]:
        before = self._recorded(point)
        now, notes = self._study.report(point.trial, point.epoch, point.score)
        stopped = Judgment.STOPS in (before, now)  # or else it waited, or not: for rivals, or for a stack
        if before is not now and stopped:
            yield Difference(point.trial, point.epoch, "verdict", before.value, now.value)
        noted = {name: it for name, it in point.notes.items() if name != UNDECIDED}
        if _plain(noted) != _plain(notes):
            yield Difference(point.trial, point.epoch, "notes", _plain(noted), _plain(notes))

    def _recorded(self, point: Point) -> Judgment:
        """Return what became of a trial after this epoch."""
        if UNDECIDED in point.notes:
            return Judgment.UNDECIDED
        stopped = point.trial in self._stopped and point.epoch == self._last[point.trial]
        return Judgment.STOPS if stopped else Judgment.GOES_ON

    def _judge_again(self, recorded: Ending) -> Iterator[Difference]:
        """Decide anew what was undecided at first, and was then stopped."""
        now, epoch = self._study.judge(recorded.trial), self._last[recorded.trial]
        if now is not Judgment.STOPS:
            yield Difference(recorded.trial, epoch, "verdict", Judgment.STOPS.value, now.value)


def _by_verdict(ending: Ending) -> bool:
    return ending.outcome is Outcome.PRUNED and ending.reason not in SPENT


def _plain(value: Any) -> Any:
    """Return a value as it is after a way through the ledger."""
    return json.loads(json.dumps(dict(value) if isinstance(value, Mapping) else value))
