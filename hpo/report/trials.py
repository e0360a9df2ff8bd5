"""Every trial as one mark: in the order they came, and by two hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from hpo.advice import Facts
from hpo.advice.facts import is_number
from hpo.history import Trial
from hpo.report.chart import Chart
from hpo.report.curves import about, best_of
from hpo.report.figures import Figure
from hpo.report.scale import Scale, wide
from hpo.trial import Outcome

_SHAPES: Final = {Outcome.FINISHED: "circle", Outcome.PRUNED: "square", Outcome.DIVERGED: "cross"}
_SHADES: Final = 5


def history(facts: Facts) -> Figure:
    """Return every trial's last score in the order of their numbers, and the best finished one so far."""
    trials = [it for it in facts.ranking if math.isfinite(_score(it)) and it.outcome is not Outcome.DIVERGED]
    if not trials:
        return Figure("History", "", reason="no trial has a score yet")
    metric, scores = facts.history.objective.metric, list(map(_score, trials))
    usual = _without_outliers(scores)
    y = Scale.of(usual, log=wide(usual))
    x = Scale(-0.5, max(trial.number for trial in trials) + 0.5)
    chart = Chart("Scores in the order of trials", (x, "trial"), (y, metric))
    for trial in reversed(trials):
        chart.mark(
            (trial.number, _score(trial)), _shape(trial), _shade(facts, trial), trial.number, about(trial)
        )
    chart.line(_best_so_far(facts), "so-far", -1)
    caption = (
        "The last score of each trial: circles finished, squares were pruned. The line is the best so far."
    )
    return Figure("History", caption, chart.svg)


def _score(trial: Trial) -> float:
    return math.nan if trial.score is None else trial.score


def _without_outliers(values: Sequence[float]) -> list[float]:
    """Return the values without the worst and the best twentieth, which would squeeze all others."""
    ordered = sorted(values)
    cut = len(ordered) // 20
    return ordered[: len(ordered) - cut] if cut else ordered


def _best_so_far(facts: Facts) -> list[tuple[float, float]]:
    places: list[tuple[float, float]] = []
    for trial in sorted(facts.finished, key=lambda it: it.number):
        score, cost = _score(trial), facts.history.objective.cost
        if not places or cost(score) < cost(places[-1][1]):
            places += [(float(trial.number), places[-1][1])] if places else []
            places.append((float(trial.number), score))
    last = max(trial.number for trial in facts.ranking)
    return [*places, (float(last), places[-1][1])] if places else []


def _shape(trial: Trial) -> str:
    return _SHAPES.get(trial.outcome or Outcome.LOST, "triangle")


def _shade(facts: Facts, trial: Trial) -> str:
    """Return how a trial is coloured: by the fifth of the ranking in which it is."""
    return f"s{min(_SHADES - 1, _SHADES * facts.ranks[trial.number] // len(facts.ranking))}"


def slices(facts: Facts) -> list[Figure]:
    """Return the learning rate against momentum and against weight decay, where they are searched."""
    return [
        _slice(facts, "optimizer.momentum", "1 - momentum", lambda value: 1 - value),
        _slice(facts, "optimizer.weight_decay", "weight decay"),
    ]


def _slice(
    facts: Facts, key: str, name: str, place: Callable[[float], float] = lambda value: value
) -> Figure:
    title = f"Learning rate and {name}"
    trials = [
        it for it in facts.ranking if _is_searched(it, facts, key) and _is_searched(it, facts, "optimizer.lr")
    ]
    points = {it.number: (_number(it, "optimizer.lr"), place(_number(it, key))) for it in trials}
    if len(points) < 2:
        return Figure(title, "", reason=f"no two trials differ in both learning rate and {name}")
    rates, others = zip(*points.values(), strict=True)
    chart = Chart(
        title, (Scale.of(rates, log=True), "learning rate"), (Scale.of(others, log=wide(others)), name)
    )
    for trial in reversed(trials):
        chart.mark(points[trial.number], _shape(trial), _shade(facts, trial), trial.number, about(trial))
    best = next((it for it in best_of(facts)[:1] if it.number in points), None)
    if best:
        chart.mark(points[best.number], "ring", "winner", best.number, about(best))
    words = sorted({str(it.proposal.config.get("optimizer")) for it in trials})
    caption = (
        f"{', '.join(words)}. The stronger a colour, the better; crosses diverged, the ring is the winner."
    )
    return Figure(title, caption, chart.svg)


def _is_searched(trial: Trial, facts: Facts, key: str) -> bool:
    drawn = (it for it in facts.plan.space.parameters if it.key == key)
    value = trial.proposal.config.get(key)
    return is_number(value) and any(it.name in trial.proposal.params for it in drawn)


def _number(trial: Trial, key: str) -> float:
    return float(str(trial.proposal.config[key]))
