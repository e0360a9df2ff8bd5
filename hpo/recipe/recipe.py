"""A recipe as its source tells it, and the objective that it names."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hpo.config import Config, Value
from hpo.recipe.signature import Definition

DIRECTIONS: Final = ("minimize", "maximize")
SPLITS: Final = ("train", "validation")
"""What a search trains and measures on; the third, test, is for whoever uses the winner."""
MODULE_PREFIX: Final = "recipe_"
MEMORY: Final = "memory"
SECONDS: Final = "seconds"
PARAMETERS: Final = "parameters"
COSTS: Final = (MEMORY, SECONDS, PARAMETERS)
"""What a trial costs: the bytes of its training at their peak, the seconds of a step, the model's numbers."""

COLUMNS: Final = {MEMORY: "memory", SECONDS: "seconds_per_step", PARAMETERS: "parameters"}
"""What these are called in tables and in MLflow, beside how long a trial took."""
_STEPS: Final = {MEMORY: 1.01, SECONDS: 1.1, PARAMETERS: 1.01}
"""How many times one cost must be another to count as more: less is not worth a choice, or is noise."""


@dataclass(frozen=True)
class Objective:
    """What is searched on validation data: `minimize loss`, `maximize accuracy`.

    `beside` are the costs (`COSTS`) that are to be small as well, if a search has more than one goal.
    """

    direction: str
    metric: str
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join((f"{self.direction} {self.metric}", *self.beside))

    @property
    def first(self) -> Objective:
        """The goal of the score, without those beside it."""
        return replace(self, beside=())

    def cost(self, score: float | None) -> float:
        """Return the score as something to be minimized; what cannot be compared costs infinitely much."""
        if score is None or math.isnan(score):
            return math.inf
        return score if self.direction == "minimize" else -score

    def goals(self, score: float | None, costs: Mapping[str, float]) -> tuple[float, ...]:
        """Return all goals as numbers to be minimized, the score's first; an unknown cost is infinite."""
        return (self.cost(score), *(_comparable(name, costs.get(name, math.inf)) for name in self.beside))

    @classmethod
    def recall(cls, text: str) -> Objective:
        """Read what `str` wrote, with what is beside."""
        first, *beside = text.split(", ")
        return replace(cls.parse(first), beside=tuple(beside))

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read `minimize loss`.

        Raises:
            ValueError: the text has another form.
        """
        direction, _, metric = text.partition(" ")
        if direction not in DIRECTIONS or not metric.isidentifier():
            raise ValueError(text)
        return cls(direction, metric)


def _comparable(name: str, cost: float) -> float:
    """Return a cost as it counts: how many steps it is above 1, by its logarithm."""
    return float(round(math.log(cost, _STEPS[name]))) if 0 < cost < math.inf else cost


@dataclass(frozen=True)
class Recipe:
    """A recipe as its source tells it; `model`, `data` and `loss` map each option to its default."""

    name: str
    path: str
    source: str
    summary: str
    model: Mapping[str, Value]
    data: Mapping[str, Value]
    loss: Mapping[str, Value]
    metrics: tuple[str, ...]
    objective: Objective
    epochs: int
    baseline: Config
    optimizers: tuple[Definition, ...] = ()
    schedules: tuple[Definition, ...] = ()
    checkpoints: tuple[Definition, ...] = ()

    @property
    def digest(self) -> str:
        """The hash of the source text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def module(self) -> str:
        """The name under which it is run: an identifier that tells versions of a recipe apart."""
        return module_name(self.source, self.path)

    @property
    def options(self) -> Mapping[str, Mapping[str, Value]]:
        """What a space may search of the recipe, by the function whose argument it is."""
        return {"model": self.model, "loss": self.loss}

    @property
    def arguments(self) -> Mapping[str, Value]:
        """What `recipe.NAME=` may set, with its defaults."""
        return {**self.data, **self.loss, **self.model}


def module_name(source: str, path: str) -> str:
    """Return the name of the module that a recipe's source becomes."""
    stem = re.sub(r"\W", "_", Path(path).stem)
    return f"{MODULE_PREFIX}{stem}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
