"""The rounds in which the best of a search train again with fresh seeds, and the time kept for them."""

from __future__ import annotations

import math
from statistics import median

from hpo.config import Config
from hpo.history import History
from hpo.plan import Plan
from hpo.trial import CONFIRMATION, SEED, Proposal


class Rounds:
    """What is left to confirm of a search, whose trials have all ended; a pure function of its history.

    A round is one seed for all candidates, so that they can be compared seed by seed.
    """

    def __init__(self, plan: Plan, history: History) -> None:
        self._plan, self._history = plan, history

    @property
    def next(self) -> list[Proposal]:
        """The proposals of the next round; none if there is nothing left to confirm."""
        candidates = [it.proposal.config for it in self._history.candidates(self._plan.confirm)]
        known = self._known
        for seed in self._plan.fresh_seeds:
            missing = [config for config in candidates if (config, seed) not in known]
            if missing:
                return self._proposals(missing, seed)
        return []

    @property
    def _known(self) -> set[tuple[Config, int | None]]:
        """What is under way, or has ended and not because the time was over."""
        trials = (it for it in self._history.confirmations if it.ending is None or it.settled)
        return {(it.proposal.config, it.proposal.seed) for it in trials}

    def _proposals(self, configs: list[Config], seed: int) -> list[Proposal]:
        first = len(self._history.trials)
        return [
            Proposal(number, config, CONFIRMATION, notes={SEED: seed})
            for number, config in enumerate(configs, start=first)
        ]

    @property
    def seconds(self) -> float:
        """What all rounds and the proof after them will take, by what full trainings took so far."""
        taken = [sum(point.seconds for point in trial.points) for trial in self._history.ranking]
        if not taken or not self._plan.confirmations:
            return 0.0
        return median(taken) * (math.ceil(self._plan.confirmations / self._plan.at_work) + 1)
