"""Hyperparameters that made no difference: freeze them, and the search has fewer to learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hpo.advice.advice import Advice, Change, Topic
from hpo.advice.facts import Facts, numbers, path_of
from hpo.advice.importance import Weight, importance
from hpo.results.phrasing import brief
from hpo.space import Parameter

_BETTER: Final = 0.5  # of the trials: a rate that is far off makes everything else look idle
_ACTIVE: Final = 40  # of these with it, to call a hyperparameter idle
_EXPLAINED: Final = 0.25  # of the wins: a forest that foretells nothing finds everything idle
_NOTHING: Final = 0.03  # of the spread of wins, at most, with 95 % confidence


def effects(facts: Facts) -> Iterator[Advice]:
    """Yield one advice for all hyperparameters without effect among the better half of the trials."""
    found = importance(facts, _BETTER)
    if found is None or found.explained < _EXPLAINED:
        return
    idle = {it.path: it for it in found.told if it.trials >= _ACTIVE and it.high < _NOTHING}
    changes = [
        change
        for parameter in facts.plan.space.parameters
        if path_of(parameter) in idle and (change := _frozen(facts, parameter))
    ]
    if changes:
        shares = ", ".join(_said(idle[change.path]) for change in changes)
        yield Advice(
            Topic.EFFECT,
            f"No effect is seen of {' and '.join(change.path for change in changes)}",
            f"in the better half of the trials, of who beats whom {shares} hangs on it; on all together "
            f"{found.explained:.0%}",
            f"Freeze: {' '.join(change.word for change in changes)}",
            numbers(facts.ranking, 1),
            tuple(changes),
        )


def _said(weight: Weight) -> str:
    return f"at most {max(weight.high, 0.0):.1%} ({weight.path}, {weight.trials} trials)"


def _frozen(facts: Facts, parameter: Parameter) -> Change | None:
    """Return a hyperparameter at its best trial's value, to three digits."""
    if parameter.words:
        return None
    value = facts.active(parameter)[0].proposal.config[parameter.key]
    return Change(path_of(parameter), float(brief(value)) if isinstance(value, float) else value)
