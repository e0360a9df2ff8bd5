"""A recipe as its source tells it, and the objective that it names."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpo.config import Config, Value
from hpo.signature import Definition

DIRECTIONS: Final = ("minimize", "maximize")
MODULE_PREFIX: Final = "recipe_"


@dataclass(frozen=True)
class Objective:
    """What is searched on validation data: `minimize loss`, `maximize accuracy`."""

    direction: str
    metric: str

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    def cost(self, score: float | None) -> float:
        """Return the score as something to be minimized; what cannot be compared costs infinitely much."""
        if score is None or math.isnan(score):
            return math.inf
        return score if self.direction == "minimize" else -score

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


def module_name(source: str, path: str) -> str:
    """Return the name of the module that a recipe's source becomes."""
    stem = re.sub(r"\W", "_", Path(path).stem)
    return f"{MODULE_PREFIX}{stem}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
