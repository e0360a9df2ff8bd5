"""The study of a single training: it proposes the one configuration that was given, and lets it go on."""

from __future__ import annotations

from typing import Any

from hpo.planning.plan import Plan
from hpo.trial import GIVEN, Judgment, Outcome, Proposal, Record


class Single:
    """What `hpo.study.Study` is to a search."""

    def __init__(self, plan: Plan) -> None:
        self._config = plan.baseline
        self.ready = True

    def propose(self) -> Proposal:
        """Return the one trial."""
        return Proposal(number=0, config=self._config, origin=GIVEN)

    def report(self, trial: int, epoch: int, score: float) -> tuple[Judgment, dict[str, Any]]:
        """Let it go on, whatever it scores."""
        del trial, epoch, score
        return Judgment.GOES_ON, {}

    def judge(self, trial: int) -> Judgment:
        """Let it go on."""
        del trial
        return Judgment.GOES_ON

    def end(self, trial: int, outcome: Outcome, score: float | None) -> None:
        """Nothing is learned from how it ends."""

    def restore(self, record: Record) -> None:
        """Nothing of the past decides what comes."""
