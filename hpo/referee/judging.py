"""What becomes of trials after what they report."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from hpo.history import Trial
from hpo.protocol import Answer, MissingEpochError
from hpo.referee.custody import Custody
from hpo.referee.records import Records
from hpo.referee.undecided import Undecided
from hpo.trial import UNDECIDED, Divergence, Judgment, Outcome, Point


class _Verdict(NamedTuple):
    """What becomes of a trial after an epoch, what the pruner notes of it, and whether the epoch is `new`."""

    judgment: Judgment
    notes: Mapping[str, Any] = MappingProxyType({})
    new: bool = False


class Judging:
    """Takes in what trials report, and says who goes on."""

    def __init__(self, records: Records, custody: Custody, undecided: Undecided) -> None:
        self._records, self._study, self._history = records, records.study, records.history
        self._custody, self._undecided, self._rungs = custody, undecided, records.plan.rungs

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Take in what a cohort's last epochs measured; return which trials go on, and which are undecided.

        Raises:
            MissingEpochError: an earlier epoch of theirs is not known; nothing was taken in.
        """
        self.check_known(reports)
        latest, judged = {report.trial: report.epoch for report in reports}, dict[int, Judgment]()
        of = attrgetter("epoch")
        for epoch, alike in groupby(sorted(reports, key=of), of):
            own = {report.trial: report for report in alike}
            judged |= self._take_in([*own.values()], {it for it, last in latest.items() if last > epoch})
        on = [trial for trial, judgment in judged.items() if judgment is Judgment.GOES_ON]
        undecided = [trial for trial, judgment in judged.items() if judgment is Judgment.UNDECIDED]
        return Answer(on, undecided, self.due(on))

    def check_known(self, reports: Iterable[Point | Divergence], finished: Iterable[int] = ()) -> None:
        """Refuse reports, and the ends of these trials, that follow on epochs which are not known."""
        known: dict[int, int] = {}
        ends = ((number, self._records.plan.epochs + 1) for number in finished)
        for number, epoch in (*((report.trial, report.epoch) for report in reports), *ends):
            trial = self._history.trials[number]
            epochs = known.get(number, trial.epochs)
            if trial.ending is None and epochs < epoch - 1:
                raise MissingEpochError(f"trial {number} has {epochs} epochs of {epoch - 1}")
            known[number] = max(epochs, epoch)

    def _take_in(
        self, reports: Sequence[Point | Divergence], gone_on: Collection[int]
    ) -> dict[int, Judgment]:
        """Take in what one epoch of some trials measured, of which these have gone on already.

        All are judged before it is written down, since how many go on decides whether they do so now; who has
        diverged comes first, as a rival to the others.
        """
        diverged_first = sorted(reports, key=lambda it: isinstance(it, Point))
        verdicts = {it.trial: self._judge(it) for it in diverged_first}
        new = [it for it in reports if isinstance(it, Point) and verdicts[it.trial].new]
        going = [it for it in new if verdicts[it.trial].judgment is Judgment.GOES_ON]
        thinned = self._thinned(going, len(reports))
        judged = {number: verdict.judgment for number, verdict in verdicts.items()}
        for point in new:
            judgment, notes, _ = verdicts[point.trial]
            if judgment is not Judgment.STOPS:
                waits = (thinned or judgment is Judgment.UNDECIDED) and point.trial not in gone_on
                judgment = Judgment.UNDECIDED if waits and self._records.agenda.proposes else Judgment.GOES_ON
            judged[point.trial] = self._note(point, judgment, notes)
        return judged

    def _judge(self, report: Point | Divergence) -> _Verdict:
        trial = self._history.trials[report.trial]
        if trial.ending:
            return _Verdict(Judgment.STOPS)
        if isinstance(report, Divergence):
            self._records.end(trial, Outcome.DIVERGED, report.reason, report.notes)
            return _Verdict(Judgment.STOPS)
        self._records.note(trial, report.notes)
        if report.epoch <= trial.epochs:  # trained again after an interruption; the first measurement stands
            waits = report.epoch == trial.epochs and trial.number in self._undecided
            return _Verdict(Judgment.UNDECIDED if waits else Judgment.GOES_ON)
        if not trial.proposal.searched:
            return _Verdict(Judgment.GOES_ON, new=True)
        return _Verdict(*self._study.report(trial.number, report.epoch, report.score), new=True)

    def _thinned(self, going: Sequence[Point], of: int) -> bool:
        """Whether a rung leaves so few of a stack that they wait for others to train on with."""
        trials = [self._history.trials[it.trial] for it in going]
        if not trials or not self._records.plan.patient or not all(it.proposal.searched for it in trials):
            return False
        return self._undecided.want_company(trials, of, going[0])

    def _note(self, point: Point, judgment: Judgment, notes: Mapping[str, Any]) -> Judgment:
        """Write down an epoch and what follows from it; return what becomes of the trial."""
        trial, waits = self._history.trials[point.trial], judgment is Judgment.UNDECIDED
        notes = {**notes, UNDECIDED: self._history.epochs + 1} if waits else notes
        with self._records.together():  # a verdict that is durable without what follows from it would be lost
            self._records.add(point if point.notes == notes else replace(point, notes=notes))
            if judgment is Judgment.STOPS:
                self._records.end(trial, Outcome.PRUNED)
                return judgment
            if self._out_of_budget(trial):
                self._records.end_unpaid(trial)
                return Judgment.STOPS
        if waits:
            self._undecided.add(trial, self._history.epochs, saved=False)
            self._custody.part(trial)
        return judgment

    def _out_of_budget(self, trial: Trial) -> bool:
        return trial.epochs < self._records.plan.epochs and self._records.spending.ends(trial)

    def due(self, trials: Iterable[int]) -> dict[int, int]:
        """Return after which epoch something may be decided of each of these trials; beyond all, if none."""
        return {trial.number: self._due_of(trial) for trial in map(self._history.trials.__getitem__, trials)}

    def _due_of(self, trial: Trial) -> int:
        rung = self._rungs.next(trial.epochs) if trial.proposal.searched else math.inf
        spent = trial.epochs + 1 + self._records.spending.outlasts(trial)
        last = self._records.plan.epochs  # after which there is nothing to decide
        due = min(rung, spent)
        return int(due) if due < last else last + 1
