"""A fair comparison of optimizers: the best of each, had all been given the same number of trials.

The best of many trials beats the best of few by luck alone. So the best of m trials of each optimizer is
compared, m being the fewest that any of them has: the bootstrap's distribution of the best of m drawn with
replacement, of which P(best is worse than the k-th) = (1 - k/n)^m is known, so that nothing is drawn.
(Dodge et al. 2019, arXiv:1909.03004.) A pruned or diverged trial counts as worse than any finished one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hpo.advice.advice import Advice, Change, Topic
from hpo.advice.facts import Facts
from hpo.history import Trial
from hpo.recipe import Objective
from hpo.results.phrasing import brief
from hpo.space import OneOf
from hpo.trial import Outcome

_KEY: Final = "optimizer"
_ENOUGH: Final = 8  # trials of an optimizer
_FINISHED: Final = 3
_SURE: Final = 0.95


@dataclass(frozen=True)
class Standing:
    """The best of `budget` trials of an optimizer: its median and 90 % interval, by the bootstrap.

    An end is None where that many trials may well bring none to its end. `best` is its best trial.
    """

    word: str
    trials: int
    finished: int
    best: Trial
    budget: int
    middle: float | None
    better: float | None
    worse: float | None


def standings(facts: Facts) -> list[Standing]:
    """Return how each optimizer with enough trials stands, the best first."""
    groups = _groups(facts)
    if not groups:
        return []
    budget = min(len(trials) for trials in groups.values())
    found = [_standing(facts, word, trials, budget) for word, trials in groups.items()]
    return sorted(found, key=lambda it: facts.ranks[it.best.number])


def optimizers(facts: Facts) -> Iterator[Advice]:
    """Yield an advice that says whether the two best optimizers can be told apart."""
    first, second, *_ = [*standings(facts), None, None]
    if first is None or second is None:
        return
    groups, objective = _groups(facts), facts.history.objective
    sure = _better(
        _costs(groups[first.word], objective), _costs(groups[second.word], objective), first.budget
    )
    told_apart = sure >= _SURE
    verdict = "is better than" if told_apart else "cannot be told apart from"
    node = facts.plan.space.nodes.get(_KEY)
    offered = isinstance(node, OneOf) and first.word in node.branches
    changes = (Change(_KEY, first.word),) if told_apart and offered else ()
    remedy = (
        f"Search on with it alone: {changes[0].word}"
        if changes
        else "Do not choose between them by this search"
    )
    yield Advice(
        Topic.OPTIMIZER,
        f"{first.word} {verdict} {second.word} at equal budget",
        f"{objective.metric} of the best of {first.budget} trials: {_said(first)}, {_said(second)}; "
        f"{first.word} comes out ahead {sure:.0%} of the time",
        remedy,
        (first.best.number, second.best.number),
        changes,
    )


def _groups(facts: Facts) -> dict[str, list[Trial]]:
    """Return the trials of each optimizer that has enough of them, best first."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in facts.ranking:
        groups[str(trial.proposal.config.get(_KEY))].append(trial)
    return {
        word: trials
        for word, trials in groups.items()
        if len(trials) >= _ENOUGH and _done(trials) >= _FINISHED
    }


def _done(trials: Sequence[Trial]) -> int:
    return sum(trial.outcome is Outcome.FINISHED for trial in trials)


def _standing(facts: Facts, word: str, trials: list[Trial], budget: int) -> Standing:
    costs = _costs(trials, facts.history.objective)
    better, middle, worse = (_quantile(trials, costs, budget, share) for share in (0.05, 0.5, 0.95))
    return Standing(word, len(trials), _done(trials), trials[0], budget, middle, better, worse)


def _costs(trials: Sequence[Trial], objective: Objective) -> list[float]:
    """Return what each trial costs, lowest first; infinity if it did not finish."""
    done = (objective.cost(it.score) if it.outcome is Outcome.FINISHED else math.inf for it in trials)
    return sorted(done)


def _chances(count: int, budget: int) -> list[float]:
    """Return for each of so many trials, best first, the chance that it is the best of `budget` draws."""
    worse = [(1 - rank / count) ** budget for rank in range(count + 1)]
    return [before - after for before, after in pairwise(worse)]


def _quantile(trials: Sequence[Trial], costs: Sequence[float], budget: int, share: float) -> float | None:
    reached = 0.0
    for trial, cost, chance in zip(trials, costs, _chances(len(costs), budget), strict=True):
        reached += chance
        if reached >= share - 1e-12:
            return trial.score if math.isfinite(cost) else None
    return None


def _better(one: Sequence[float], other: Sequence[float], budget: int) -> float:
    """Return how often the best of one is lower than the best of the other; a tie counts half."""
    mine, theirs = _chances(len(one), budget), _chances(len(other), budget)
    return sum(
        p * q * (0.5 if a == b else float(a < b))
        for a, p in zip(one, mine, strict=True)
        for b, q in zip(other, theirs, strict=True)
    )


def _said(standing: Standing) -> str:
    middle, better, worse = (
        "none finished" if it is None else brief(float(it))
        for it in (standing.middle, standing.better, standing.worse)
    )
    return f"{standing.word} {middle} (90 %: {better} to {worse})"
