"""How much each hyperparameter mattered: permutation importance, within the trials in which it is active.

A random forest learns from a trial's hyperparameters how many of the others it beats (`Facts.wins`). A
trial's error is measured by forests that have not seen it, once as it is, and with one hyperparameter
replaced by that of another trial *in which it is active too*. So in a conditional space what a branch has
for itself is judged within the branch, its rarity is not taken for irrelevance, and no combination is
asked for that cannot be drawn. (Breiman 2001, doi:10.1023/A:1010933404324.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hpo.advice.facts import Facts, path_of, spread
from hpo.history import Trial
from hpo.space import Choice, OneOf, Parameter, Points, Range

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

ENOUGH: Final = 30
"""Ranked trials below which nothing is said at all, and of one hyperparameter below ACTIVE."""
ACTIVE: Final = 15
MOST: Final = 1000
"""So many trials are looked at, of more an even part of the ranking."""

_FOLDS: Final = 4
_DRAWS: Final = 10
_TREES: Final = 50
_ABSENT: Final = -1.0  # in place of a hyperparameter that a trial does not have; others lie in [0, 1]


@dataclass(frozen=True)
class Weight:
    """How much one hyperparameter mattered in the trials that had it.

    `share` is the part of the spread of their wins that is lost without it, with a 95 % interval; None if
    there are too few such trials, or all of them did equally well.
    """

    path: str
    trials: int
    share: float | None = None
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Importance:
    """All hyperparameters, the weightiest first, and what part of the wins the forest foretold.

    `explained` is 1 for wins that are foretold exactly, 0 or less for a forest that knows nothing; then its
    weights mean nothing either.
    """

    weights: tuple[Weight, ...]
    trials: int
    explained: float = 0.0

    @property
    def told(self) -> list[Weight]:
        """Those with enough trials."""
        return [weight for weight in self.weights if weight.share is not None]


def importance(facts: Facts, better: float = 1.0) -> Importance | None:
    """Return how much each searched hyperparameter mattered; None if trials are too few or all equal.

    Only this share of the trials is looked at, the best ones: what a learning rate far off makes worse hides
    what matters at a good one.
    """
    trials = spread(facts.ranking[: int(better * len(facts.ranking))], MOST)
    parameters = [it for it in facts.plan.space.parameters if not isinstance(it.node, Points)]
    equal = len({facts.wins[trial.number] for trial in trials}) == 1
    if len(trials) < ENOUGH or equal or not parameters:
        return None
    table = _Table(trials, parameters, facts.wins)
    errors = table.errors()
    weights = [table.weight(number, errors) for number in range(len(parameters))]
    ordered = sorted(weights, key=lambda it: (it.share is None, -(it.share or 0.0), it.path))
    return Importance(tuple(ordered), len(trials), table.explained(errors))


class _Table:
    """Trials as rows of numbers, a few columns for each hyperparameter."""

    def __init__(
        self, trials: Sequence[Trial], parameters: Sequence[Parameter], wins: Mapping[int, float]
    ) -> None:
        import numpy as np

        self.trials, self.parameters = trials, parameters
        self.wins = np.array([wins[trial.number] for trial in trials])
        blocks = [[_cells(it, trial.proposal.params) for trial in trials] for it in parameters]
        self.columns, start = [], 0
        for block in blocks:
            self.columns.append(slice(start, start + len(block[0])))
            start += len(block[0])
        self.values = np.concatenate([np.array(block, dtype=float) for block in blocks], axis=1)
        self.active = [np.array([it.name in trial.proposal.params for trial in trials]) for it in parameters]

    def errors(self) -> Array:
        """Return squared errors, of shape [1 + hyperparameters, trials]; row 0 is with nothing replaced."""
        import numpy as np
        from sklearn.ensemble import RandomForestRegressor

        rng = np.random.default_rng(0)
        order = rng.permutation(len(self.trials))
        replaced = self._replaced(rng)
        found = np.zeros(replaced.shape[:2])
        for fold in range(_FOLDS):
            held = order[fold::_FOLDS]
            seen = np.setdiff1d(order, held)
            forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.5, random_state=fold)
            forest.fit(self.values[seen], self.wins[seen])
            rows = replaced[:, held].reshape(-1, self.values.shape[1])
            found[:, held] = forest.predict(rows).reshape(len(replaced), len(held))
        squared = (found - self.wins) ** 2
        draws = squared[1:].reshape(len(self.parameters), _DRAWS, -1).mean(axis=1)
        return np.concatenate([squared[:1], draws])

    def _replaced(self, rng: np.random.Generator) -> Array:
        """Return the table and its variants, of shape [1 + hyperparameters · draws, trials, columns]."""
        import numpy as np

        variants = [self.values]
        for columns, active in zip(self.columns, self.active, strict=True):
            rows = np.flatnonzero(active)
            for _ in range(_DRAWS):
                variant = self.values.copy()
                variant[rows, columns] = variant[rng.permutation(rows), columns]
                variants.append(variant)
        return np.stack(variants)

    def weight(self, number: int, errors: Array) -> Weight:
        """Return what the errors say of one hyperparameter."""
        active = self.active[number]
        count, path, wins = int(active.sum()), path_of(self.parameters[number]), self.wins[active]
        if count < ACTIVE or len(set(wins)) == 1:
            return Weight(path, count)
        lost = (errors[number + 1] - errors[0])[active] / wins.var()
        share, spread = float(lost.mean()), 1.96 * float(lost.std(ddof=1)) / count**0.5
        return Weight(path, count, share, share - spread, share + spread)

    def explained(self, errors: Array) -> float:
        """Return the part of the variance of wins that was foretold."""
        return 1 - float(errors[0].mean() / self.wins.var())


def _cells(parameter: Parameter, drawn: Mapping[str, Any]) -> list[float]:
    """Return a hyperparameter as numbers: a place in its range, or a mark for one of its options."""
    node, there = parameter.node, parameter.name in drawn
    if isinstance(node, Choice | OneOf):
        return [float(there and drawn[parameter.name] == option) for option in node.options]
    if not isinstance(node, Range):
        return []  # fixed values and listed points have no place on a scale
    return [node.share(drawn[parameter.name]) if there else _ABSENT]
