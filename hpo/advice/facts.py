"""What advice is drawn from: a search's trials in their order of merit, and its space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeGuard, TypeVar

from hpo.advice.contest import contest
from hpo.config import Value
from hpo.history import History, Trial
from hpo.planning.plan import Plan
from hpo.space import Parameter
from hpo.trial import SPENT, Outcome
from hpo.vocabulary import Hyperparameter

T = TypeVar("T")

_JUDGED: Final = (Outcome.FINISHED, Outcome.PRUNED, Outcome.DIVERGED)


@dataclass(frozen=True)
class Facts:
    """A search as it stands."""

    plan: Plan
    history: History

    @cached_property
    def judged(self) -> list[Trial]:
        """Every trial that was judged on its merits: none that failed or that a clock stopped."""
        return [trial for trial in self.history.searched if _judged(trial)]

    @cached_property
    def wins(self) -> dict[int, float]:
        """By trial, the share of the others that it beats after the last epoch that both have trained.

        So a trial that was stopped early counts for what it was worth by then. A tie is half a win; what
        diverged loses.
        """
        won = contest({it.number: self._costs(it) for it in self.judged})
        return {number: total / max(1, len(won) - 1) for number, total in won.items()}

    def _costs(self, trial: Trial) -> list[float]:
        if trial.outcome is Outcome.DIVERGED:
            return []
        return [self.history.objective.cost(point.score) for point in trial.points]

    @cached_property
    def ranking(self) -> list[Trial]:
        """The judged trials, best first: finished ones by score, then pruned and diverged ones by wins."""
        return sorted(self.judged, key=self._place)

    @cached_property
    def ranks(self) -> dict[int, int]:
        """The place of each judged trial, 0 for the best, by its number."""
        return {trial.number: place for place, trial in enumerate(self.ranking)}

    def _place(self, trial: Trial) -> tuple[int, float, int]:
        cost = self.history.objective.cost(trial.score)
        if trial.outcome is Outcome.FINISHED and math.isfinite(cost):
            return 0, cost, trial.number
        return 1 + (trial.outcome is Outcome.DIVERGED), -self.wins[trial.number], trial.number

    @property
    def finished(self) -> list[Trial]:
        """Those that trained all epochs to a finite score, best first."""
        return [trial for trial in self.ranking if self._place(trial)[0] == 0]

    def active(self, parameter: Parameter) -> list[Trial]:
        """Return the ranked trials in which a parameter had a value of its own."""
        return [trial for trial in self.ranking if parameter.name in trial.proposal.params]

    def hyperparameter(self, parameter: Parameter) -> Hyperparameter | None:
        """Return what may be said at a place of the space; None for a branch or a list of points."""
        vocabulary, (head, *below) = self.plan.vocabulary, path_of(parameter).split(".")
        if head in vocabulary.options:
            return vocabulary.options[head][below[0]]
        if below:
            word = vocabulary.branches[head][below[0]]
            return next(item for item in word.hyperparameters if item.name == below[1])
        return vocabulary.values.get(head)


def _judged(trial: Trial) -> bool:
    ending = trial.ending
    return bool(ending and ending.outcome in _JUDGED and ending.reason not in SPENT)


def path_of(parameter: Parameter) -> str:
    """Return a parameter's path in the space's YAML: `optimizer.sgd.momentum`, not `…one_minus_momentum`."""
    head, dot, _ = parameter.name.rpartition(".")
    return f"{head}{dot}{parameter.key.rpartition('.')[2]}"


def numbers(trials: Sequence[Trial], most: int = 5) -> tuple[int, ...]:
    """Return the numbers of the first few trials."""
    return tuple(trial.number for trial in trials[:most])


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most so many of these, evenly: what takes long looks at a part of a large search.

    >>> spread([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    return items[:: max(1, math.ceil(len(items) / most))]


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether a value is a number; Python's True is none here."""
    return isinstance(value, int | float) and not isinstance(value, bool)
