"""What is left to do of a search: to search on, to train the best with fresh seeds, to prove the winner."""

from __future__ import annotations

from hpo.history import History, Trial
from hpo.planning.plan import Plan
from hpo.progress.rounds import Rounds
from hpo.progress.spending import Spending, differs
from hpo.trial import Forecast, Proposal


class Agenda:
    """What comes next: a pure function of a search's history, and of the clock where that counts."""

    def __init__(self, plan: Plan, history: History, spending: Spending) -> None:
        self._plan, self._history, self._spending = plan, history, spending
        self._rounds = Rounds(plan, history, spending)

    @property
    def proposes(self) -> bool:
        """Whether trials of the search itself are still proposed."""
        return not (self._over or self._concluded or self._spending.ended)

    @property
    def unconfirmed(self) -> list[Proposal]:
        """The next round of trainings with fresh seeds, if all that was searched has ended."""
        if self._over or self.proposes or self._searching:
            return []
        return self._rounds.next

    @property
    def unproved(self) -> Trial | None:
        """The winner, if it is chosen, and was only ever trained among others, or not seen on test data.

        What an export promises to repeat is the curve of a trial that was trained alone.
        """
        best = self._history.best
        if best is None or self._over or self._history.running or self._history.proof:
            return None
        if not self._spending.pays(0):
            return None
        return best if best.at_once > 1 or self._history.standings else None

    def look_ahead(self) -> Forecast | None:
        """Plan the rest of the budget anew; return that plan, if it is another one than the last."""
        if self._plan.budget is None or self._concluded:
            return None
        self._spending.learn()
        idle = bool(self._history.searched) and not self._searching
        forecast = self._spending.forecast(self._spending.ended if idle else "")
        return forecast if differs(self._history.forecast, forecast) else None

    @property
    def _searching(self) -> bool:
        """Whether a trial of the search itself is under way."""
        return any(trial.proposal.searched for trial in self._history.running)

    @property
    def _concluded(self) -> bool:
        """Whether it was written down that the search itself is over, which holds as long as its terms do."""
        planned = self._history.forecast
        return planned is not None and bool(planned.over) and planned.terms == self._plan.terms

    @property
    def _over(self) -> bool:
        return self._spending.over or self._history.hopeless is not None
