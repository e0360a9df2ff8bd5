"""What each goal costs in another: every finished trial's score against what it takes."""

from __future__ import annotations

import math

from hpo.advice import Facts
from hpo.history import Trial
from hpo.report.chart import Chart
from hpo.report.curves import about
from hpo.report.figures import Figure
from hpo.report.scale import Scale, wide
from hpo.results import pareto


def trades(facts: Facts) -> list[Figure]:
    """Return a chart for each cost that is a goal; none for a search with one goal."""
    return [_trade(facts, name) for name in facts.history.objective.beside]


def _trade(facts: Facts, name: str) -> Figure:
    title, metric = f"Score and {name}", facts.history.objective.metric
    front = facts.history.front
    if not front:
        return Figure(title, "", reason="no trial has finished yet")
    along, unit = pareto.axis(name)
    trials = [it for it in facts.history.ranking if math.isfinite(sum(facts.history.goals(it)))]
    places = {it.number: (unit * it.costs[name], float(it.score or 0.0)) for it in trials}
    costs, scores = zip(*places.values(), strict=True)
    x, y = Scale.of(costs, log=wide(costs)), Scale.of(scores, log=wide(scores))
    chart = Chart(title, (x, along), (y, metric))
    for trial in reversed(trials):
        chart.mark(places[trial.number], "circle", _look(trial, front), trial.number, about(trial))
    knee = facts.history.knee
    if knee:
        chart.mark(places[knee.number], "ring", "winner", knee.number, about(knee))
    caption = "Finished trials. No other one beats the strong ones in every goal; the ring is their knee."
    return Figure(title, caption, chart.svg)


def _look(trial: Trial, front: list[Trial]) -> str:
    return "s0" if any(it is trial for it in front) else "s4"
