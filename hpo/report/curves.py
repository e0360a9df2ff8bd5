"""What was measured epoch by epoch: scores and losses of all trials, schedules and gradients of the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from hpo.advice import Facts
from hpo.config import Config
from hpo.history import Trial
from hpo.report.chart import Chart, legend
from hpo.report.figures import Figure
from hpo.report.scale import Scale, epochs, wide
from hpo.results.phrasing import brief, short
from hpo.trial import Outcome, Point

BEST: Final = 5

Measure = Callable[[Point], float]


def learning_curves(facts: Facts) -> list[Figure]:
    """Return the objective and the training loss of every trial; the best stand out, others are faint."""
    metric = facts.history.objective.metric
    shown = [
        (f"{metric} on validation data", metric, lambda point: point.score),
        ("training loss", "training loss", lambda point: point.train_loss),
    ]
    counts = facts.history.counts
    faint = ", ".join(
        f"{counts[it.value]} {it}" for it in Outcome if counts[it.value] and it is not Outcome.FINISHED
    )
    caption = f"Each line is a trial; the best {BEST} in colour, others faint" + (
        f" ({faint})." if faint else "."
    )
    return [_curves(facts, title, name, measure, caption) for title, name, measure in shown]


def _curves(facts: Facts, title: str, name: str, measure: Measure, caption: str) -> Figure:
    best = best_of(facts)
    if not best:
        return Figure(title, "", reason="no trial has trained an epoch")
    values = [measure(point) for trial in best for point in trial.points]
    chart = Chart(title, (epochs(facts.plan.epochs), "epoch"), (Scale.of(values, log=wide(values)), name))
    standing_out = {trial.number for trial in best}
    for trial in reversed([it for it in facts.history.searched if it.number not in standing_out]):
        chart.line(_line(trial, measure), _faint(trial), trial.number, about(trial))
    for rank, trial in reversed(list(enumerate(best))):
        chart.line(_line(trial, measure), f"best c{rank}", trial.number, about(trial))
    return Figure(title, caption, chart.svg + names_of(best, facts))


def schedules_and_gradients(facts: Facts) -> list[Figure]:
    """Return the learning rate and the gradient's norm of the best trials, as they were measured."""
    return [
        _of_the_best(facts, "Learning rate", "of the last step of each epoch", lambda point: point.lr),
        _of_the_best(
            facts,
            "Gradient norm",
            "before clipping, mean over each epoch; dotted: clip_norm",
            lambda point: point.grad_norm,
            limits=True,
        ),
    ]


def _of_the_best(facts: Facts, title: str, caption: str, measure: Measure, *, limits: bool = False) -> Figure:
    best = best_of(facts)
    if not best:
        return Figure(title, "", reason="no trial has trained an epoch")
    values = [value for trial in best for value in map(measure, trial.points) if value > 0]
    chart = Chart(title, (epochs(facts.plan.epochs), "epoch"), (Scale.of(values, log=True), title.lower()))
    for rank, trial in reversed(list(enumerate(best))):
        chart.line(_line(trial, measure), f"best c{rank}", trial.number, about(trial))
        limit = trial.proposal.config.get("clip_norm")
        if limits and isinstance(limit, int | float):
            chart.level(limit, f"limit c{rank}")
    return Figure(title, f"The best {len(best)}: {caption}.", chart.svg + names_of(best, facts))


def best_of(facts: Facts) -> list[Trial]:
    """Return the best finished trials; while there is none, the best of those that trained."""
    return (facts.finished or [trial for trial in facts.ranking if trial.points])[:BEST]


def names_of(best: Sequence[Trial], facts: Facts) -> str:
    """Return the legend of the best trials."""
    metric = facts.history.objective.metric
    return legend(
        [(f"best c{rank}", f"{it.number}: {metric} {brief(it.score)}") for rank, it in enumerate(best)]
    )


def about(trial: Trial) -> str:
    """Return a trial in a line."""
    score = "" if trial.score is None else f" {brief(trial.score)}"
    outcome = trial.outcome.value if trial.outcome else "running"
    return f"trial {trial.number}, {outcome}{score}: {_short(trial.proposal.config)}"


@lru_cache(maxsize=4096)
def _short(config: Config) -> str:
    """Return a config in short; every chart says it once more."""
    return short(config)


def _faint(trial: Trial) -> str:
    return "other" if trial.outcome is Outcome.FINISHED else "pruned"


def _line(trial: Trial, measure: Measure) -> list[tuple[float, float]]:
    """Return a curve up to where it is no longer a number."""
    places = [(float(point.epoch), measure(point)) for point in trial.points]
    return [place for place in places if math.isfinite(place[1])]
