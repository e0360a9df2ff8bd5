"""Which region of the space diverges, and how it began there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from hpo.advice.advice import Advice, Change, Topic
from hpo.advice.facts import Facts, numbers, path_of, spread
from hpo.advice.regions import Condition, Region, find
from hpo.config import Value
from hpo.history import Trial
from hpo.results.phrasing import brief
from hpo.space import Choice, Leaf, Log, OneMinusLog, Parameter, Uniform
from hpo.trial import METRIC, Outcome

_ENOUGH: Final = 4  # that diverged
_TRIALS: Final = 15
_CHANCE: Final = 0.01
_PRECISION: Final = 0.7
_RECALL: Final = 0.5
_MANY: Final = 0.2
_MOST: Final = 1000  # trials among which a region is looked for
_EXAMPLES: Final = 3


def divergence(facts: Facts) -> Iterator[Advice]:
    """Yield an advice if several trials diverged: where, against how many elsewhere, and what to change."""
    trials = facts.ranking
    diverged = [trial for trial in trials if _diverged(trial)]
    if len(diverged) < _ENOUGH or len(trials) < _TRIALS:
        return
    region = _region(facts)
    if region is None and len(diverged) < _MANY * len(trials):
        return
    if region is None:
        yield Advice(
            Topic.DIVERGENCE,
            f"{len(diverged)} of {len(trials)} trials diverged, in no simple region",
            _examples(diverged),
            "Search smaller learning rates, add warm-up, and clip: space.clip_norm='{choice: [0.5, 1, 5]}'",
            numbers(diverged),
        )
        return
    there = [trial for trial in diverged if region.holds(trial.proposal.config)]
    good = [trial for trial in facts.finished[:5] if region.holds(trial.proposal.config)]
    changes = () if good else tuple(_changes(facts, region))
    yield Advice(
        Topic.DIVERGENCE,
        f"{region.hits} of {region.inside} trials with {region} diverged; "
        f"elsewhere {region.misses} of {region.outside}",
        _examples(there),
        _remedy(region, good, changes),
        numbers(there),
        changes,
    )


def _diverged(trial: Trial) -> bool:
    """Whether its loss diverged, and not only a metric was no number."""
    return trial.outcome is Outcome.DIVERGED and not (trial.ending and METRIC in trial.ending.notes)


def _region(facts: Facts) -> Region | None:
    """Return the region that diverges, if it is dense, holds most that diverged, and is no accident."""
    cases = [(trial.proposal.config, _diverged(trial)) for trial in facts.ranking]
    found = find(spread(cases, _MOST), dict.fromkeys(it.key for it in facts.plan.space.parameters))
    if found is None or found.chance > _CHANCE:
        return None
    found = found.counted(cases)
    dense = found.hits >= _PRECISION * found.inside
    return found if dense and found.hits >= _RECALL * (found.hits + found.misses) else None


def _examples(trials: Sequence[Trial]) -> str:
    """Say how the first few began to diverge."""
    return "; ".join(f"trial {trial.number}: {_began(trial)}" for trial in trials[:_EXAMPLES])


def _began(trial: Trial) -> str:
    notes = trial.ending.notes if trial.ending else {}
    if "step" not in notes or "grad_norm" not in notes:
        return trial.ending.reason if trial.ending else ""
    where = f"epoch {notes['epoch']}, step {notes['step']}"
    began = f"first bad at {where}, gradient norm {brief(float(notes['grad_norm']))}"
    return f"{began}, {notes['where']}" if "where" in notes else began


def _remedy(region: Region, good: Sequence[Trial], changes: Sequence[Change]) -> str:
    if good:
        return f"Clip there, but keep the region: trial {good[0].number}, one of the best, lies in it"
    if changes:
        return f"Leave it out: {' or '.join(change.word for change in changes)}"
    return f"Leave it out: where {region}"


def _changes(facts: Facts, region: Region) -> Iterator[Change]:
    """Yield what would leave the region out: the learning rate's bound, or else the first that has one."""
    words = {it.key: it.value for it in region.conditions if it.sign == "="}
    bounds = [it for it in region.conditions if it.sign != "="]
    bounds.sort(key=lambda it: not it.key.endswith(".lr"))
    for condition in bounds[:1]:
        for parameter in facts.plan.space.parameters:
            if parameter.key == condition.key and _reached(parameter, words):
                node = _narrowed(parameter, condition)
                yield from [Change(path_of(parameter), node.form)] if node else []
    for parameter in facts.plan.space.parameters:
        if parameter.key in words and words[parameter.key] is None and isinstance(parameter.node, Choice):
            rest = tuple(it for it in parameter.node.options if it is not None)
            if len(rest) > 1:
                prior = dict(parameter.node.prior)
                prior.pop(None, None)
                yield Change(path_of(parameter), Choice(rest, prior).form)


def _reached(parameter: Parameter, words: Mapping[str, Value]) -> bool:
    """Whether a parameter lies in the branches that the region speaks of."""
    head, *below = parameter.name.split(".")
    return len(below) < 2 or head not in words or words[head] == below[0]


def _narrowed(parameter: Parameter, condition: Condition) -> Leaf | None:
    """Return a range without the part where the condition holds."""
    node = parameter.node
    if not isinstance(node, Uniform | Log | OneMinusLog):
        return None
    bound = float(f"{node.place(float(str(condition.value))):.6g}")
    if not node.low < bound < node.high:
        return None
    # What is high as a value is low as a drawn number, if that is 1 - value.
    cut_top = (condition.sign == ">") is not isinstance(node, OneMinusLog)
    changed = replace(node, high=bound) if cut_top else replace(node, low=bound)
    centre = node.centre
    return (
        changed if centre is None or changed.low <= centre <= changed.high else replace(changed, prior=None)
    )
