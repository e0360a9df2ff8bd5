"""All trials as lines through all that was searched: parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpo.advice import Facts
from hpo.advice.facts import is_number
from hpo.config import Value
from hpo.history import Trial
from hpo.report.chart import legend, picture, polyline, text
from hpo.report.curves import about, best_of
from hpo.report.figures import Figure
from hpo.report.scale import Scale
from hpo.results.phrasing import brief
from hpo.space import Log, Range

_MOST: Final = 10
_WIDE, _TALL, _LEFT, _TOP, _LOW = 900, 330, 60, 46, 300


def parallel(facts: Facts) -> Figure:
    """Return all trials as lines through what was searched; the best in colour.

    A hyperparameter that a trial does not have leads through the gap below its axis.
    """
    keys = _axes(facts)
    if len(keys) < 2 or not facts.ranking:
        return Figure("Parallel coordinates", "", reason="fewer than two hyperparameters were searched")
    best = best_of(facts)
    standing_out = {trial.number for trial in best}
    axes = [_Axis(facts, key, place, len(keys)) for place, key in enumerate(keys)]
    lines = [_path(axes, it, "pruned") for it in reversed(facts.ranking) if it.number not in standing_out]
    lines += [_path(axes, it, f"best c{rank}") for rank, it in reversed(list(enumerate(best)))]
    content = "".join([*lines, *(axis.svg for axis in axes)])
    svg = picture("Parallel coordinates of all trials", (_WIDE, _TALL), content)
    keys_of = legend([(f"best c{rank}", f"trial {it.number}") for rank, it in enumerate(best)])
    caption = (
        "Each line is a trial. Where it has no such hyperparameter, it leads through the mark below the axis."
    )
    return Figure("Parallel coordinates", caption, svg + keys_of, wide=True)


def _axes(facts: Facts) -> list[str]:
    """Return the searched keys, those that most trials have first."""
    counts = {it.key: 0 for it in facts.plan.space.parameters if it.key != "points"}
    for parameter in facts.plan.space.parameters:
        if parameter.key in counts:
            counts[parameter.key] += len(facts.active(parameter))
    shared = [key for key, count in counts.items() if count]
    return sorted(shared, key=lambda key: -counts[key])[:_MOST]


class _Axis:
    """One upright axis: a scale for what is searched in a range, steps for what is chosen."""

    def __init__(self, facts: Facts, key: str, place: int, count: int) -> None:
        self.key, self.x = key, _LEFT + place * (_WIDE - 2 * _LEFT) / (count - 1)
        nodes = [it.node for it in facts.plan.space.parameters if it.key == key]
        values = [it.proposal.config[key] for it in facts.ranking if key in it.proposal.config]
        numbers = [value for value in values if is_number(value)]
        ranged = any(isinstance(node, Range) for node in nodes) and len(numbers) == len(values)
        log = any(isinstance(node, Log) for node in nodes) and min(numbers, default=0) > 0
        self.scale = Scale.of(numbers, log=log, margin=0.0) if ranged else None
        self.words: list[Value] = sorted(dict.fromkeys(values), key=_order)

    def y(self, trial: Trial) -> float:
        """Return where a trial crosses it."""
        if self.key not in trial.proposal.config:
            return _LOW + 14
        value = trial.proposal.config[self.key]
        if self.scale and is_number(value):
            return self._along(self.scale.place(value))
        return self._step(self.words.index(value))

    def _step(self, number: int) -> float:
        return self._along((number + 0.5) / len(self.words))

    @property
    def _texts(self) -> list[tuple[float, str]]:
        if self.scale is None:
            return [(self._step(number), _word(value)) for number, value in enumerate(self.words)]
        return [(self._along(self.scale.place(value)), text) for value, text in self.scale.ticks]

    def _along(self, place: float) -> float:
        return _LOW - place * (_LOW - _TOP)

    @property
    def svg(self) -> str:
        """The line, its name and what is written beside it."""
        owner, _, name = self.key.rpartition(".")
        return "".join(
            [
                f'<line class="axis" x1="{self.x:.1f}" x2="{self.x:.1f}" y1="{_TOP}" y2="{_LOW}"/>',
                text((self.x, 14), owner, "owner"),
                text((self.x, 30), name, "name"),
                *(text((self.x + 5, y + 4), words, "tick", "start") for y, words in self._texts),
            ]
        )


def _order(value: Value) -> tuple[int, float, str]:
    return (1, float(value), "") if is_number(value) else (0, 0.0, str(value))


def _word(value: Value) -> str:
    return "none" if value is None else brief(value)


def _path(axes: Sequence[_Axis], trial: Trial, look: str) -> str:
    places = " ".join(f"{axis.x:.0f},{axis.y(trial):.1f}" for axis in axes)
    return polyline(places, look, trial.number, about(trial))
