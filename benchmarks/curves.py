"""Recorded learning curves as tasks for searchers, and what each searcher has paid for.

A searcher sees only what it has paid for: one epoch of one configuration at a time, each at the same price;
going on with a configuration costs the epochs that are new. Who proposes a point of the space is given the
nearest recorded configuration that was not taken yet, and is not told how far that is, whoever it is.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FLOOR = 1e-3  # of a regret, so that a geometric mean can be taken


@dataclass(frozen=True)
class Axis:
    """One hyperparameter: its range, and the scale on which it is even."""

    name: str
    low: float
    high: float
    scale: str  # linear, log, one_minus_log

    @classmethod
    def of(cls, name: str, values: np.ndarray) -> Axis:
        """Read an axis off the values that were recorded."""
        low, high = float(values.min()), float(values.max())
        if 0.5 < high < 1 and low >= 0 and (1 - low) / (1 - high) > 100:
            return cls(name, low, high, "one_minus_log")
        return cls(name, low, high, "log" if low > 0 and high / low > 100 else "linear")

    def unit(self, values: np.ndarray | float) -> np.ndarray:
        """Return where values lie between the ends of the range, in [0, 1]."""
        low, high = self.flat(self.low), self.flat(self.high)
        return (self.flat(values) - low) / (high - low)

    def flat(self, values: np.ndarray | float) -> np.ndarray:
        """Return values on the scale on which they are even."""
        if self.scale == "log":
            return np.log(np.maximum(values, 1e-300))
        return -np.log1p(-np.asarray(values)) if self.scale == "one_minus_log" else np.asarray(values)


@dataclass(frozen=True)
class Table:
    """A task: recorded configurations, and the validation loss of each after each epoch (inf: diverged)."""

    name: str
    axes: tuple[Axis, ...]
    unit: np.ndarray  # [configurations, axes]
    curves: np.ndarray  # [configurations, epochs]
    fixed: dict[str, Any] | None  # what all configurations share, if hpo knows the names, else None
    final: bool  # whether only the last loss of a full training counts

    @classmethod
    def read(cls, path: Path, *, final: bool) -> Table:
        """Read a task from its file."""
        content = path.read_bytes()
        runs = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        names = sorted(runs[0]["hp"])
        values = np.array([[run["hp"][name] for name in names] for run in runs], dtype=float)
        axes = tuple(Axis.of(name, values[:, place]) for place, name in enumerate(names))
        curves = np.array([_losses(run["valid"]) for run in runs], dtype=float)
        return cls(
            path.name.partition(".")[0],
            axes,
            np.stack([axis.unit(values[:, place]) for place, axis in enumerate(axes)], axis=1),
            np.where(np.isfinite(curves), curves, np.inf),
            runs[0].get("fixed"),
            final,
        )

    @property
    def lowest(self) -> np.ndarray:
        """What a full training of each configuration shows at best, shape [configurations]."""
        return self.curves[:, -1] if self.final else self.curves.min(axis=1)

    @property
    def epochs(self) -> int:
        """The epochs of a full training."""
        return self.curves.shape[1]

    def regret(self, losses: np.ndarray | float) -> np.ndarray:
        """Return how far losses are from the best, where the median last loss is 1 away."""
        best, usual = self.lowest.min(), np.median(self.curves[:, -1])
        return np.clip((np.asarray(losses) - best) / (usual - best), FLOOR, 1)

    def at_random(self, trainings: int, draws: int = 2000) -> float:
        """Return the mean regret of random search after so many trainings, all if there are fewer."""
        chance = np.random.default_rng(0)
        taken = min(trainings, len(self.lowest))
        found = [chance.choice(self.lowest, taken, replace=False).min() for _ in range(draws)]
        return float(self.regret(np.array(found)).mean())


def _losses(recorded: Any) -> list[float]:
    return recorded["loss"] if isinstance(recorded, dict) else recorded


class Spent(Exception):  # noqa: N818 - the end of every search
    """The budget is used up."""


@dataclass
class Account:
    """What a searcher has paid for, and the best that it has seen: [(epochs paid, loss), …]."""

    table: Table
    budget: int
    paid: int = 0
    best: float = math.inf
    seen: dict[int, int] = field(default_factory=dict)  # epochs of each configuration that was taken
    steps: list[tuple[int, float]] = field(default_factory=list)

    def take(self, point: Sequence[float]) -> int:
        """Return the nearest configuration that is free, shape of the point [axes], in the unit cube."""
        distance = ((self.table.unit - np.asarray(point)) ** 2).sum(axis=1)
        distance[list(self.seen)] = math.inf
        nearest = int(distance.argmin())
        self.seen[nearest] = 0
        return nearest

    def train(self, configuration: int, until: int) -> float:
        """Pay for epochs up to this one and return the loss after it."""
        while self.seen[configuration] < until:
            if self.paid >= self.budget:
                raise Spent
            loss = float(self.table.curves[configuration, self.seen[configuration]])
            self.seen[configuration] += 1
            self.paid += 1
            counts = not self.table.final or self.seen[configuration] == self.table.epochs
            if counts and loss < self.best:
                self.best = loss
                self.steps.append((self.paid, loss))
        return float(self.table.curves[configuration, until - 1])
