"""What becomes of a trial after an epoch: the pruner of a search, and against whom it holds a trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from hpo.config import Config
from hpo.planning.plan import Plan
from hpo.study.ladder import Ladder
from hpo.study.methods import PRUNERS
from hpo.study.rivals import Rivals
from hpo.study.storage import Storage
from hpo.training.words.decay import left_to_fall
from hpo.trial import Judgment


class Pruning:
    """The verdicts on trials; the baseline, and what trains its last epoch, go on whatever the pruner says.

    Args:
        plan: the search's.
        study: Optuna's, which gets the pruner.
        storage: the memory of that study.
        configs: of the trials under way, by their numbers, as they come and go.
        beside: says of a trial's number what it costs, as numbers to be minimized.
    """

    def __init__(
        self,
        plan: Plan,
        study: optuna.Study,
        storage: Storage,
        configs: Mapping[int, Config],
        beside: Callable[[int], tuple[float, ...]],
    ) -> None:
        self._plan, self._space, self._objective = plan, plan.space, plan.search.objective
        self._lag, self._patient = plan.search.lag, plan.patient
        self._study, self._storage, self._configs, self._beside = study, storage, configs, beside
        self._rivals = Rivals()
        study.pruner = PRUNERS[plan.setting("pruner")](plan.epochs, self)

    def report(self, trial: int, epoch: int, score: float) -> tuple[Judgment, dict[str, Any]]:
        """Take in a score; return what becomes of the trial, and what the pruner noted."""
        before = self._storage.trial(trial).system_attrs
        self.measured(trial, epoch, score)
        judgment = self._judged(trial, epoch)
        after = self._storage.trial(trial).system_attrs
        if after is before:  # Optuna replaces what it changes
            return judgment, {}
        return judgment, {key: it for key, it in self._storage.notes(trial).items() if before.get(key) != it}

    def judge(self, trial: int) -> Judgment:
        """Return what becomes of a trial after its last epoch, by what is known of its rivals now."""
        return self._judged(trial, self._storage.last_epoch(trial))

    def measured(self, trial: int, epoch: int, score: float) -> None:
        """Take in a score."""
        self._storage.measured(trial, epoch, score)
        self._rivals.measured(trial, epoch, score if self._objective.direction == "minimize" else -score)

    def diverged(self, trial: int) -> None:
        """Take in that a trial has diverged."""
        last = self._storage.last_epoch(trial)
        told = math.isnan(self._storage.curve(trial).get(last, 0.0))
        self._rivals.diverged(trial, last if told else None)

    def _judged(self, trial: int, epoch: int) -> Judgment:
        # The pruner is asked in any case: it notes the trial's rungs while it judges.
        judgment = self._judgment(trial, epoch)
        return Judgment.GOES_ON if trial == 0 or epoch == self._plan.epochs else judgment

    def _judgment(self, trial: int, epoch: int) -> Judgment:
        pruner = self._study.pruner
        if self._patient and isinstance(pruner, Ladder):  # which looks up only whom it needs
            judgment = pruner.judge(trial, epoch)
            need_not_wait = judgment is Judgment.UNDECIDED and self._beats_the_expert(trial)
            return Judgment.GOES_ON if need_not_wait else judgment
        with self._storage.showing(lambda: self._rivals_of(trial, epoch)):
            stops = pruner.prune(self._study, self._storage.trial(trial))
        return Judgment.STOPS if stops else Judgment.GOES_ON

    def _beats_the_expert(self, trial: int) -> bool:
        """Whether it is better than the baseline was then, which is good if an expert says what is."""
        baseline, own = self._storage.curve(0), self._storage.curve(trial)
        epoch = self._storage.last_epoch(trial)
        if not self._space.expected or epoch not in baseline:
            return False
        return self._objective.cost(own[epoch]) < self._objective.cost(baseline[epoch])

    def to_fall(self, trial: int, epoch: int) -> float:
        """Return how far the learning rate of a trial is still to fall."""
        return left_to_fall(self._configs[trial], epoch, self._plan.epochs)

    def place(self, trial: int, epoch: int, below: int) -> tuple[int, int]:
        """Return how many of a trial's rivals did better by this rung, and how many there are with it."""
        fits = (lambda it: self._no_larger(it, trial)) if self._objective.beside else None
        return self._rivals.place(trial, epoch, below, self._known(trial), fits)

    def agreement(self, trial: int, epoch: int, later: int) -> tuple[float, int]:
        """Return how far trials that passed an epoch kept their order until a later one, and how many did."""
        return self._rivals.agreement(epoch, later, self._known(trial))

    def _rivals_of(self, trial: int, epoch: int) -> set[int]:
        """Return against whom a trial is judged, and itself."""
        rivals = self._rivals.of(trial, epoch, self._known(trial))
        return {it for it in rivals if self._no_larger(it, trial)} if self._objective.beside else rivals

    def _known(self, trial: int) -> int:
        """Return below which number a verdict on a trial knows the others."""
        return trial - self._lag + 1 if self._lag else self._storage.size

    def _no_larger(self, rival: int, trial: int) -> bool:
        """Whether a rival costs no more than a trial: one that costs more does not make it needless."""
        return all(a <= b for a, b in zip(self._beside(rival), self._beside(trial), strict=True))
