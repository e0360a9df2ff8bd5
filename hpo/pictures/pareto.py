"""What each goal costs in another: every finished trial, the front, and its knee."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.history import History
from hpo.pictures.style import BLACK, COLORS, FAINT, NotDrawnError, legend, panels
from hpo.results.pareto import axis

_SPREAD: Final = 10.0  # times, from which on an axis is logarithmic


def pareto(name: str, history: History) -> Figure:
    """Draw the score against each cost, a panel for each: the front as a line, all other trials faint.

    Raises:
        NotDrawnError: there is one goal, or no trial has finished.
    """
    if not history.objective.beside:
        raise NotDrawnError("the search has one goal")
    if not history.front:
        raise NotDrawnError("no trial has finished")
    about = f"{name}: finished trials; no other one beats the blue ones in every goal"
    costs = history.objective.beside
    figure, axes = panels("What each goal costs in another", about, columns=len(costs))
    for panel, cost in zip(axes, costs, strict=True):
        _draw(panel, history, cost)
    axes[0].set_ylabel(history.objective.metric)
    legend(figure, axes[0])
    return figure


def _draw(panel: Axes, history: History, cost: str) -> None:
    label, unit = axis(cost)
    knee, front = history.knee, {it.number for it in history.front}
    places = {
        it.number: (unit * it.costs[cost], it.score or 0.0) for it in history.ranking if cost in it.costs
    }
    _mark(panel, [it for number, it in places.items() if number not in front], color=FAINT, markersize=4)
    _mark(panel, [places[number] for number in front], color=COLORS[0], label="the front")
    if knee:
        ring = {"fillstyle": "none", "markersize": 11, "label": f"its knee, trial {knee.number}"}
        _mark(panel, [places[knee.number]], color=BLACK, **ring)
    values = [x for x, _ in places.values()]
    panel.set_xscale("log" if max(values) > _SPREAD * min(values) else "linear")
    panel.set_xlabel(label)


def _mark(panel: Axes, places: list[tuple[float, float]], **style: object) -> None:
    panel.plot([x for x, _ in places], [y for _, y in places], "o", **style)  # type: ignore[arg-type]
