"""The referee: the only writer of a search. It proposes trials, says who goes on, and takes in endings.

Its state is a pure function of the ledger. Killed and made again, it reads the records and goes on
as it would have. All three questions may be asked twice: a cohort that asks again gets the same
trials, an epoch that is reported again changes nothing, a trial ends once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hpo.agenda import Agenda
from hpo.custody import Custody
from hpo.equals import Agreed
from hpo.history import History, Trial
from hpo.ledger import Ledger, Meter, Writer
from hpo.plan import Plan
from hpo.protocol import Answer, Hand, MissingEpochError
from hpo.single import Single
from hpo.spending import Spending
from hpo.trial import (
    AFTER,
    AT_MOST,
    AT_ONCE,
    BUDGET,
    COSTS,
    PROOF,
    TIMEOUT,
    UNDECIDED,
    Attempt,
    Divergence,
    Ending,
    Judgment,
    Outcome,
    Point,
    Proposal,
    R,
)
from hpo.undecided import Undecided
from hpo.wish import Wish

if TYPE_CHECKING:
    from hpo.study import Study


def proposer(plan: Plan) -> Study | Single:
    """Return who proposes; Optuna is imported only where there is something to search."""
    if plan.search.given:
        return Single(plan)
    from hpo.study import Study

    return Study(plan)


class _Verdict(NamedTuple):
    """What becomes of a trial after an epoch, what the pruner notes of it, and whether the epoch is `new`."""

    judgment: Judgment
    notes: Mapping[str, Any] = MappingProxyType({})
    new: bool = False


class Referee:
    """Answers three questions: `ask` → trials, `report` → who goes on, `tell` → taken in.

    Everything that it answers is appended to the ledger; `flush` makes it durable. Its host flushes
    before it passes on the answer of `ask` or `tell`, and now and then after `report`.
    """

    def __init__(self, store: str, name: str, session: int) -> None:
        ledger = Ledger(store)
        self._ledger, self._session = ledger, session
        self._plan = Plan.of(ledger.search(name))
        self._study = proposer(self._plan)
        self._history = History(self._plan.search.objective, lag=self._plan.search.lag)
        for record in ledger.records(self._plan.search):
            self._history.add(record)
            self._study.restore(record)
        self._costs = Agreed(self._history)
        self._meter = Meter(ledger, session, self._plan.pace)
        self._set_out()
        self._writer = Writer(ledger, self._plan.search, session)
        self._noted: dict[int, Mapping[str, Any]] = {}  # what the engine said last of each trial
        self._rungs = self._plan.rungs
        self._undecided = Undecided(self._rungs, self._plan.epochs, self._study.judge)
        for trial in self._history.running:
            if trial.undecided is not None:
                self._undecided.add(trial, trial.undecided, saved=True)
        self._custody = Custody(self._history.under_way)
        self.paused = False

    def _set_out(self) -> None:
        """Set out what is left to do and what may be spent on it, by the plan as it is now."""
        self._spending = Spending(self._plan, self._history, self._meter.clock)
        self._agenda = Agenda(self._plan, self._history, self._spending)

    def flush(self) -> None:
        """Make everything answered so far durable."""
        self._writer.flush()

    def requeue(self) -> None:
        """Hand out again what was under way when the last driver stopped; its workers are gone with it."""
        self._custody.requeue(self._history.under_way)

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return up to `size` trials for a cohort; none if there is nothing to hand out now."""
        if cohort not in self._custody:
            self._custody.hand(cohort, self._custody.suspect() or self._several(cohort, size))
        return [self._plan.whole(trial.proposal) for trial in self._custody.held(cohort)]

    def take_up(self, cohort: str, size: int, worker: str, because: str) -> Hand:
        """Return trials for a cohort as `ask` does, and note that a worker takes up so many, and why."""
        fresh = cohort not in self._custody
        with self._writer.together():
            trials = self.ask(cohort, size)
            if fresh:
                notes = {AT_ONCE: len(trials), AT_MOST: size, "because": because}
                self.attempt(cohort, [trial.number for trial in trials], worker, notes)
        return Hand(trials, self._due(trial.number for trial in trials))

    def _several(self, cohort: str, size: int) -> list[Trial]:
        trials = [] if self._custody.next else self._together(size)
        if trials:
            return trials
        while len(trials) < size and self._fits(trials):
            trial = self._take(cohort)
            if trial is None:
                break
            trials.append(trial)
        return trials

    def _fits(self, trials: Sequence[Trial]) -> bool:
        """Whether what is handed out next may train with these: they share weights, so they share a seed."""
        if not trials:
            return True
        first, following = trials[0].proposal, self._custody.next
        return following.proposal.seed == first.seed if following else first.searched

    def _take(self, cohort: str) -> Trial | None:
        if self._custody.next:
            return self._custody.take()
        self._look_ahead()
        return self._begin(cohort)

    def _begin(self, cohort: str) -> Trial | None:
        """Begin what comes next of the search, of its rounds with fresh seeds, or the proof."""
        if self._agenda.proposes:
            if not self._study.ready:
                return None
            proposal = self._record(replace(self._study.propose(), cohort=cohort))
            return self._history.trials[proposal.number]
        if confirmations := self._agenda.unconfirmed:
            self._custody.await_worker(self._open_round(confirmations))
            return self._custody.take()
        if winner := self._agenda.unproved:
            proof = Proposal(len(self._history.trials), winner.proposal.config, PROOF, cohort=cohort)
            return self._propose(proof)
        return None

    def _together(self, size: int) -> list[Trial]:
        """Take those of the undecided that go on; end who is beaten, or for whom nothing is left."""
        self._look_ahead()
        trained: float = self._history.epochs
        if not self._agenda.proposes:  # nobody will come with whom to share a stack
            left = sum(trial.proposal.searched for trial in self._history.running)
            trained, size = math.inf, min(size, math.ceil(left / self._plan.at_work))
        stops, on = self._undecided.decide(trained, size)
        for trial in stops:
            self._end(trial, Outcome.PRUNED)
        spent = [trial for trial in on if self._spending.ends(trial)]
        for trial in spent:
            self._end(trial, Outcome.PRUNED, self._limited_by)
        return self._together(size) if on and on == spent else [it for it in on if it not in spent]

    def _open_round(self, confirmations: Iterable[Proposal]) -> list[Trial]:
        with self._writer.together():  # half a round would compare some of the best with none of the others
            return [self._propose(proposal) for proposal in confirmations]

    def _propose(self, proposal: Proposal) -> Trial:
        """Write down what the study did not propose, and let it count that."""
        self._study.restore(self._record(proposal))
        return self._history.trials[proposal.number]

    @property
    def ready(self) -> bool:
        """Whether there is a trial to hand out now."""
        if self._custody.next or self._undecided or (self._agenda.proposes and self._study.ready):
            return True
        return bool(self._agenda.unconfirmed) or self._agenda.unproved is not None

    @property
    def exhausted(self) -> bool:
        """Whether no trial is under way and none will be handed out."""
        return not self._history.running and not self.ready

    def _look_ahead(self) -> None:
        """Plan the rest of the budget anew, and write that down if it has changed."""
        forecast = self._agenda.look_ahead()
        if forecast:
            self._record(forecast)

    def wished(self) -> Wish:
        """Return what people ask of this session."""
        return self._ledger.wish(self._session)

    def heed(self, wish: Wish) -> None:
        """Do what people ask: note how many trials there shall be, and whether training is `paused`.

        From then on it is as if so many had been ordered: with few trials, few are confirmed. The clock of a
        search stands still while it is paused; call this about once a second.
        """
        self.paused = wish.paused
        self._meter.clock.hear(paused=wish.paused)
        self._meter.note()  # also without a limit: one that is set later counts what was used before
        asked = self._plan.setting("trials")
        trials = asked if wish.trials is None else max(wish.trials, len(self._history.searched))
        if trials != asked:
            name = self._plan.search.name
            self._ledger.note_settings(self._ledger.search(name), {"trials": trials})
            self._plan = replace(self._plan, search=self._ledger.search(name))
            self._set_out()

    def attempt(self, cohort: str, trials: Iterable[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note that a worker took up these trials for a cohort, in what way, and why the last one died."""
        costs = notes.get(COSTS, {})
        for trial in map(self._history.trials.__getitem__, trials):
            if trial.number in self._undecided and trial.cohort == cohort:
                continue  # who has left it is not taken up by it
            self._undecided.discard(trial.number)
            own: dict[str, Any] = {name: it for name, it in notes.items() if name != COSTS}
            if str(trial.number) in costs:
                own[COSTS] = self._costs.on(trial.proposal.config, costs[str(trial.number)])
            if self._custody.reason(trial):
                own[AFTER] = self._custody.reason(trial)
            self._study.restore(self._record(Attempt(trial.number, worker, cohort, own)))

    def report(self, reports: Sequence[Point | Divergence]) -> Answer:
        """Take in what a cohort's last epochs measured; return which trials go on, and which are undecided.

        Raises:
            MissingEpochError: an earlier epoch of theirs is not known; nothing was taken in.
        """
        self._check_known(reports)
        latest, judged = {report.trial: report.epoch for report in reports}, dict[int, Judgment]()
        of = attrgetter("epoch")
        for epoch, alike in groupby(sorted(reports, key=of), of):
            own = {report.trial: report for report in alike}
            judged |= self._take_in([*own.values()], {it for it, last in latest.items() if last > epoch})
        on = [trial for trial, judgment in judged.items() if judgment is Judgment.GOES_ON]
        undecided = [trial for trial, judgment in judged.items() if judgment is Judgment.UNDECIDED]
        return Answer(on, undecided, self._due(on))

    def _due(self, trials: Iterable[int]) -> dict[int, int]:
        """Return after which epoch something may be decided of each of these trials; beyond all, if none."""
        return {trial.number: self._due_of(trial) for trial in map(self._history.trials.__getitem__, trials)}

    def _due_of(self, trial: Trial) -> int:
        rung = self._rungs.next(trial.epochs) if trial.proposal.searched else math.inf
        spent = trial.epochs + 1 + self._spending.outlasts(trial)
        last = self._plan.epochs  # after which there is nothing to decide
        due = min(rung, spent)
        return int(due) if due < last else last + 1

    def _check_known(self, reports: Iterable[Point | Divergence], finished: Iterable[int] = ()) -> None:
        """Refuse reports, and the ends of these trials, that follow on epochs which are not known."""
        known: dict[int, int] = {}
        ends = ((number, self._plan.epochs + 1) for number in finished)
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
                judgment = Judgment.UNDECIDED if waits and self._agenda.proposes else Judgment.GOES_ON
            judged[point.trial] = self._note(point, judgment, notes)
        return judged

    def _judge(self, report: Point | Divergence) -> _Verdict:
        trial = self._history.trials[report.trial]
        if trial.ending:
            return _Verdict(Judgment.STOPS)
        if isinstance(report, Divergence):
            self._end(trial, Outcome.DIVERGED, report.reason, report.notes)
            return _Verdict(Judgment.STOPS)
        self._noted[trial.number] = report.notes
        if report.epoch <= trial.epochs:  # trained again after an interruption; the first measurement stands
            waits = report.epoch == trial.epochs and trial.number in self._undecided
            return _Verdict(Judgment.UNDECIDED if waits else Judgment.GOES_ON)
        if not trial.proposal.searched:
            return _Verdict(Judgment.GOES_ON, new=True)
        return _Verdict(*self._study.report(trial.number, report.epoch, report.score), new=True)

    def _thinned(self, going: Sequence[Point], of: int) -> bool:
        """Whether a rung leaves so few of a stack that they wait for others to train on with."""
        trials = [self._history.trials[it.trial] for it in going]
        if not trials or not self._plan.patient or not all(it.proposal.searched for it in trials):
            return False
        return self._undecided.want_company(trials, of, going[0])

    def _note(self, point: Point, judgment: Judgment, notes: Mapping[str, Any]) -> Judgment:
        """Write down an epoch and what follows from it; return what becomes of the trial."""
        trial, waits = self._history.trials[point.trial], judgment is Judgment.UNDECIDED
        notes = {**notes, UNDECIDED: self._history.epochs + 1} if waits else notes
        with self._writer.together():  # a verdict that is durable without what follows from it would be lost
            self._record(point if point.notes == notes else replace(point, notes=notes))
            if judgment is Judgment.STOPS or self._out_of_budget(trial):
                self._end(trial, Outcome.PRUNED, "" if judgment is Judgment.STOPS else self._limited_by)
                return Judgment.STOPS
        if waits:
            self._undecided.add(trial, self._history.epochs, saved=False)
            self._custody.part(trial)
        return judgment

    def _out_of_budget(self, trial: Trial) -> bool:
        return trial.epochs < self._plan.epochs and self._spending.ends(trial)

    @property
    def _limited_by(self) -> str:
        return BUDGET if self._plan.frugal else TIMEOUT

    def saved(self, trials: Collection[int]) -> None:
        """Take in that undecided ones are saved, so that others can take them up."""
        self._undecided.saved(trials)

    def tell(self, endings: Collection[Ending], reports: Sequence[Point | Divergence] = ()) -> None:
        """Take in the last reports and how trials ended; one that has ended already stays as it is.

        Raises:
            MissingEpochError: an epoch of a finished trial is not known; nothing was taken in.
        """
        finished = (ending.trial for ending in endings if ending.outcome is Outcome.FINISHED)
        self._check_known(reports, finished)
        self.report(reports)
        for ending in endings:
            trial = self._history.trials[ending.trial]
            if not trial.ending:
                self._end(trial, ending.outcome, ending.reason, ending.notes)

    @property
    def cohorts(self) -> list[str]:
        """Those that were handed trials and were not lost, also before this referee was made."""
        return self._custody.cohorts

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a cohort's worker died: its trials are handed out again, if that is worth it.

        Returns whether the cohort had any trials.
        """
        trials = self._custody.let_go(cohort)
        self._undecided.saved(self._undecided.left_by(cohort))  # as far as they ever will be
        for trial in trials:
            if not trial.ending:
                self._lose(trial, reason)
        return bool(trials)

    def _lose(self, trial: Trial, reason: str) -> None:
        if trial.epochs == self._plan.epochs:
            self._end(trial, Outcome.FINISHED)  # only its worker's last word is missing
        elif not self._custody.lose(trial, reason):
            self._end(trial, Outcome.LOST, reason)

    def _end(
        self, trial: Trial, outcome: Outcome, reason: str = "", notes: Mapping[str, Any] | None = None
    ) -> None:
        if trial.proposal.searched:
            self._study.end(trial.number, outcome, trial.score)
        known = {**self._noted.pop(trial.number, {}), **(notes or {})}
        with self._writer.together():
            self._record(Ending(trial.number, outcome, reason, trial.score, known))
            if trial.proposal.searched:
                self._look_ahead()

    def _record(self, record: R) -> R:
        written = self._writer.append(record)
        self._history.add(written)
        return written
