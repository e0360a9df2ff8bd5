"""What a search has cost, what the rest of it would, and with that who may still begin and who must end.

What is counted are epochs where the budget is in trainings, else seconds, or seconds of each device at work.
A part is kept for the trainings with fresh seeds, half of it at most. What an epoch costs is measured; how
long a trial trains is expected from the pruner's rungs, and corrected by how long those known so far did.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

from hpo.history import History, Trial
from hpo.planning.plan import FEWEST_SEEDS, Plan
from hpo.progress.clock import Clock
from hpo.progress.prospect import Prospect
from hpo.trial import Forecast

GAIN: Final = "gain"
MONEY: Final = "budget"
ALL: Final = "trials"
"""Why no more trials are proposed: they are not worth it, not paid for, or as many as were asked for."""

_KEPT: Final = 0.5
_NOTABLE: Final = 0.2
"""Of the trials: plans that differ by less are the same to a person."""
_PRIOR: Final = 5  # trials that what the rungs say counts for


class Spending:
    """The budget of a search: a pure function of its history and, where a clock counts, of the clock.

    Call `learn` when the history has grown. There are `trials` at most, if that is not None.
    """

    def __init__(self, plan: Plan, history: History, clock: Clock | None = None) -> None:
        self._plan, self._history, self._clock = plan, history, clock or Clock(pace=0)
        self._budget = plan.budget
        self.trials = plan.trials
        self.limit = self._budget.limit(plan.epochs) if self._budget else math.inf
        self._prospect = Prospect(history.objective)
        self._taken, self._epochs = 0, 0  # the trials that are known, and their epochs without the baseline's
        self._reading = 0.0  # of the clock, when the history was looked at last
        self._price: float | None = 1.0  # of an epoch; None as long as that is unknown
        self._full = float(plan.epochs)  # what a full training costs, with those beside it
        self.kept = 0.0
        self.learn()

    @property
    def used(self) -> float:
        """What the search has cost so far."""
        return self._clock.now if self._timed else float(self._history.epochs)

    @property
    def _timed(self) -> bool:
        return self._budget is not None and self._budget.timed

    @property
    def _looked_at(self) -> float:
        """What it had cost when the history was looked at: a plan is made of what was known at one moment."""
        return self._reading if self._timed else float(self._history.epochs)

    def learn(self) -> None:
        """Take in what the history knows by now."""
        if self._budget is None:
            return
        for trial in self._history.known[self._taken :]:
            if trial.ending is None:
                break
            self._prospect.take(trial)
            self._taken += 1
            self._epochs += trial.epochs if trial.number else 0
        if self._timed:
            self._reading = self._clock.now
            self._measure()
        *_, self.kept = self._fitting(_KEPT * self.limit)

    def _measure(self) -> None:
        """Learn what an epoch costs while all workers train, and what a full training takes.

        A plan that is the first record is made when a worker takes up the first trial: until then nobody
        trained. Where a limit was set later, there is none.
        """
        waited = next((it.used for it in self._history.forecasts if it.seq == 1), 0.0)
        epochs, spent = self._history.epochs, self._reading - waited
        self._price = max(spent, 0.0) / epochs if epochs else None
        taken = [sum(point.seconds for point in trial.points) for trial in self._history.ranking]
        self._full = self._plan.pace * median(taken) if taken else 0.0

    def _fitting(self, money: float) -> tuple[int, int, float]:
        """Return how many of the best can train with how many fresh seeds for so much, and what it costs."""
        most = len(self._plan.fresh_seeds)
        for confirm in range(self._plan.confirm, 0, -1):
            for seeds in range(most, min(FEWEST_SEEDS, most) - 1, -1):
                cost = self._confirming(confirm, seeds)
                if seeds and cost <= money:
                    return confirm, seeds, cost
        alone = self._full if self._plan.at_once != 1 else 0.0
        return 0, 0, alone if alone <= money else 0.0

    def _confirming(self, confirm: int, seeds: int) -> float:
        """Return what trainings with fresh seeds and the proof after them cost."""
        if not self._timed:
            return self._full * (self._plan.candidates(confirm) * seeds + 1)
        cohorts = seeds * math.ceil(self._plan.candidates(confirm) / self._history.at_once)
        return self._full * (math.ceil(cohorts / self._plan.at_work) + 1)

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.limit

    def ends(self, trial: Trial) -> bool:
        """Whether a trial must end after its epoch, since the budget pays for no other.

        Where epochs are counted, each of the others will have trained one more before it can be told.
        """
        if self._budget is None or not (self._timed or self._stoppable(trial)):
            return False
        others = 0 if self._timed else sum(it.proposal.searched for it in self._history.running) - 1
        return self.used + others >= self._limit_of(trial)

    def outlasts(self, trial: Trial) -> float:
        """Return for how many epochs more it is sure that a trial need not end for what it costs.

        Where a clock counts, each is taken to last twice as long as the last.
        """
        if self._budget is None:
            return math.inf
        if not self._timed:
            return 0.0 if self._stoppable(trial) else math.inf
        seconds = trial.points[-1].seconds if trial.points else 0.0
        left = self._limit_of(trial) - self.used
        return max(left // (2 * self._plan.pace * seconds), 0.0) if seconds else 0.0

    def _limit_of(self, trial: Trial) -> float:
        """Return what the search may have cost when a trial must end."""
        return self.limit - (self.kept if trial.proposal.searched else 0.0)

    def _stoppable(self, trial: Trial) -> bool:
        """Whether an epoch more or less matters; what is paid for in full comes to its end."""
        return self._budget is not None and trial.proposal.searched and not self._plan.search.lag

    def pays(self, confirmations: int) -> bool:
        """Whether so many trainings with a fresh seed, and the proof after them, can be paid for."""
        if self._timed:
            rounds = math.ceil(confirmations / (self._history.at_once * self._plan.at_work)) + 1
            return self.used + self._full * rounds <= self.limit
        under_way = sum(self._plan.epochs - it.epochs for it in self._history.running)
        return self.used + under_way + self._full * (confirmations + 1) <= self.limit

    @property
    def ended(self) -> str:
        """Why no more trials are proposed now; nothing as long as they are."""
        if self.trials is not None and len(self._history.searched) >= self.trials:
            return ALL
        if self._budget is None:
            return ""
        if self._next > self._left or len(self._history.searched) >= self._most:
            return MONEY
        return "" if self._worth else GAIN

    @property
    def _most(self) -> float:
        """As many trials as there are epochs: one that ends before its first is not for nothing."""
        return math.inf if self._timed else self.limit

    @property
    def _worth(self) -> bool:
        """Whether more trials are."""
        return not self._plan.frugal or self.forecast().worth

    @property
    def _left(self) -> float:
        """What can still be used for trials that have not begun."""
        return self.limit - self.kept - self._committed

    @property
    def _committed(self) -> float:
        """What the trials that have begun will have cost, as far as the next proposal may know."""
        if self._plan.search.lag:
            return self._committed_by_rule
        further = sum(self._further(trial) for trial in self._history.running)
        return self._looked_at + (self._price or 0.0) * further

    @property
    def _committed_by_rule(self) -> float:
        """A deterministic search counts the trials that it must not know yet as full ones."""
        history, unknown = self._history, len(self._history.searched) - self._taken
        afterwards = len(history.trials) - len(history.searched)
        known = sum(trial.epochs for trial in history.searched[:1] if self._taken) + self._epochs
        return float(known + self._plan.epochs * (unknown + afterwards))

    def _further(self, trial: Trial) -> float:
        """Return the epochs that a trial under way is expected to train yet, if rungs are gentle to it."""
        rest = self._plan.epochs - trial.epochs
        if trial.number == 0 or not trial.proposal.searched:
            return float(rest)
        further = self._plan.rungs.gentlest.further(self._plan.epochs, trial.epochs)
        return min(self._stretch * further, float(rest))

    @property
    def _stretch(self) -> float:
        """How much longer than by the rungs alone trials have trained."""
        usual, known = self._plan.rungs.further(self._plan.epochs), max(self._taken - 1, 0)
        return (self._epochs + _PRIOR * usual) / ((known + _PRIOR) * usual)

    @property
    def _usual(self) -> float:
        """What a trial is expected to cost."""
        epochs = self._stretch * self._plan.rungs.further(self._plan.epochs)
        return (self._price or 0.0) * min(epochs, self._plan.epochs)

    @property
    def _next(self) -> float:
        """What must be left for the next trial: it may be the one that goes to its end."""
        return (self._price or 0.0) * self._plan.epochs

    def forecast(self, ended: str = "") -> Forecast:
        """Return how the rest is planned, or what comes after the search has `ended` for this reason."""
        used, more = self._looked_at, self._more
        confirm, seeds, _ = self._fitting(self.limit - used if ended else _KEPT * self.limit)
        further = 0 if ended else more
        return Forecast(
            trials=None if further is None else len(self._history.searched) + further,
            confirm=confirm,
            seeds=seeds,
            used=used,
            gain=self._prospect.gain(more) if more else None,
            noise=self._prospect.noise,
            over=ended,
            terms=self._plan.terms,
        )

    @property
    def _more(self) -> int | None:
        """How many trials more are paid for and asked for; None if nobody knows what they cost."""
        usual, begun = self._usual, len(self._history.searched)
        known = usual and math.isfinite(self._left)
        paid = max(int((self._left - self._next) / usual) + 1, 0) if known else None
        asked = None if self.trials is None else max(self.trials - begun, 0)
        return min((it for it in (paid, asked) if it is not None), default=None)


def differs(before: Forecast | None, now: Forecast) -> bool:
    """Whether a plan has changed by so much that a person should know."""
    if before is None or before.terms != now.terms:
        return True
    same = (before.confirm, before.seeds, before.over) == (now.confirm, now.seeds, now.over)
    if not same or before.trials is None or now.trials is None:
        return not same or before.trials != now.trials
    return abs(now.trials - before.trials) > max(3, _NOTABLE * before.trials)
