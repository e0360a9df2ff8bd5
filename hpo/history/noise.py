"""How much a curve moves by itself, apart from its course."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Final

from hpo.history import Trial
from hpo.trial import Point

FEWEST: Final = 5
"""Epochs of a curve that says anything of it."""


def wobble(trial: Trial) -> float:
    """Return how much the score moves from epoch to epoch, apart from its course."""
    return median(steps(trial, lambda point: point.score))


def steps(trial: Trial, measure: Callable[[Point], float]) -> list[float]:
    """Return by how much a curve moves against its bend, epoch by epoch, in its last half.

    Of independent errors around a parabola, a third difference is sqrt(20) times as large.
    """
    values = [measure(point) for point in trial.points[-max(FEWEST, trial.epochs // 2) :]]
    fours = zip(values, values[1:], values[2:], values[3:], strict=False)
    return [abs(d - 3 * c + 3 * b - a) / math.sqrt(20) for a, b, c, d in fours]
