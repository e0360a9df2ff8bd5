"""The rounds in which the best of a search train again with fresh seeds."""

from __future__ import annotations

from hpo.config import Config
from hpo.history import History
from hpo.planning.plan import Plan
from hpo.progress.spending import Spending
from hpo.trial import CONFIRMATION, SEED, Proposal


class Rounds:
    """What is left to confirm of a search, whose trials have all ended; a pure function of its history.

    A round is one seed for all candidates, so that they can be compared seed by seed. With a budget there are
    as many candidates as were planned when the search ended, and a round that is not paid for does not begin.
    """

    def __init__(self, plan: Plan, history: History, spending: Spending) -> None:
        self._plan, self._history, self._spending = plan, history, spending

    @property
    def next(self) -> list[Proposal]:
        """The proposals of the next round; none if there is nothing left to confirm."""
        if not self._confirm:
            return []
        candidates = [it.proposal.config for it in self._history.candidates(self._confirm)]
        known = self._known
        for seed in self._plan.fresh_seeds:
            missing = [config for config in candidates if (config, seed) not in known]
            if missing:
                return self._proposals(missing, seed) if self._spending.pays(len(missing)) else []
        return []

    @property
    def _confirm(self) -> int:
        planned = self._history.forecast
        return planned.confirm if planned and planned.terms == self._plan.terms else self._plan.confirm

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
