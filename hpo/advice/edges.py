"""The best trials sit at an edge of the space: what lies beyond was never tried, so widen it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from hpo.advice.advice import Advice, Change, Topic
from hpo.advice.ends import end_of
from hpo.advice.facts import Facts, numbers, path_of
from hpo.space import Parameter

_ENOUGH: Final = 20  # trials in which the parameter was searched
_BEST: Final = 5
_CHANCE: Final = 0.02  # of so many of the best at one end, if the value did not matter


def edges(facts: Facts) -> Iterator[Advice]:
    """Yield an advice for each parameter whose best values are the last ones that could be drawn."""
    for parameter in facts.plan.space.parameters:
        if len(facts.active(parameter)) >= _ENOUGH:
            for upper in (False, True):
                yield from _at_edge(facts, parameter, upper=upper)


def _at_edge(facts: Facts, parameter: Parameter, *, upper: bool) -> Iterator[Advice]:
    trials, end = facts.active(parameter), end_of(parameter, upper=upper)
    if end is None or end.beyond is None:
        return
    best, (wider, last) = trials[:_BEST], end.beyond
    there = [trial for trial in best if end.holds(trial.proposal.params[parameter.name])]
    chance = _tail(_BEST, end.share, len(there))
    hyperparameter = facts.hyperparameter(parameter)
    if best[0] not in there or chance > _CHANCE or (hyperparameter and hyperparameter.complaint(last)):
        return
    path = path_of(parameter)
    change = Change(path, wider.form)
    yield Advice(
        Topic.EDGE,
        f"The best trials sit at the {'upper' if upper else 'lower'} edge of {path}",
        f"{len(there)} of the best {_BEST} (of {len(trials)} trials with it) {end.words}; "
        f"by chance they would in {100 * chance:.1g} of 100 searches",
        f"Widen it: {change.word}",
        numbers(there),
        (change,),
    )


def _tail(tries: int, share: float, hits: int) -> float:
    """Return the chance of at least so many hits."""
    return sum(
        math.comb(tries, count) * share**count * (1 - share) ** (tries - count)
        for count in range(hits, tries + 1)
    )
