"""What all update rules share: rows with hyperparameters of their own, and steps that are planned ahead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from hpo.config import Config
from hpo.training.fused.rules.decay import ADDED, KEPT, VECTORS, Decay
from hpo.training.fused.rules.layout import Layout

Coefficients = Mapping[str, Tensor]
"""The numbers of one step by name, each of shape [k, 1], of the type and on the device of the weights."""

SCRATCH: Final = "scratch"
"""What a rule calls a place that it only computes in."""

NO_EFFECT: Final = {
    KEPT: 1.0,
    KEPT + VECTORS: 1.0,
    ADDED: 0.0,
    ADDED + VECTORS: 0.0,
    "momentum": 0.0,
    "nesterov": 0.0,
    "centered": 0.0,
    "slope": 1.0,
}
"""A coefficient that has this value in all rows and steps needs no operation, and is left out."""


class Rule(ABC):
    """How one family of optimizers moves the weights of k trials at once, as torch.optim moves one trial's.

    A row is a trial. Nothing passes from one row to another, not even a NaN. What the schedule and the
    number of the step make of the hyperparameters is computed ahead, in float64.
    """

    def __init__(self, configs: Sequence[Config], layout: Layout, weights: Tensor) -> None:
        """Start at `weights`, of shape [k, layout.size], with one complete configuration for each row."""
        self.configs, self.layout, self.like = list(configs), layout, weights.new_empty(0)
        self.decay = Decay(self.configs, layout.matrices)
        self.state = self.start(weights.detach())
        self.planned = 0
        self._coming: Iterator[Coefficients] = iter(())

    def plan(self, factors: Tensor) -> None:
        """Prepare the coming steps, all of which are taken before the next plan.

        `factors`, float64 of shape [steps, k] on the CPU, are what the schedules multiply the learning
        rates by.
        """
        steps = torch.arange(1, len(factors) + 1, dtype=torch.float64)[:, None] + self.planned
        lr = self.of("lr") * factors
        numbers = self.decay.coefficients(lr) | self.coefficients(lr, steps)
        self.planned += len(factors)
        self._coming = self._tabulate(numbers, lr.shape)

    @torch.no_grad()
    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """Take the next planned step, on `weights` in place; `gradients` may be overwritten.

        Both are of shape [k, layout.size].
        """
        self.update(next(self._coming), weights, gradients)

    def keep(self, rows: Tensor) -> None:
        """Go on with the rows of these numbers, in this order; what was planned is dropped."""
        self.configs = [self.configs[row] for row in rows.tolist()]
        self.decay = Decay(self.configs, self.layout.matrices)
        self.state = {name: tensor[rows] for name, tensor in self.state.items()}
        self._coming = iter(())

    def row(self, row: int) -> dict[str, Any]:
        """Return what a row keeps between steps."""
        kept = {name: tensor[row] for name, tensor in self.state.items() if name != SCRATCH}
        return {"steps": self.planned, "state": kept}

    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Give a row what another's `row` was.

        Its company decides what is kept for all. What this row did not need and so did not keep has no
        effect on it, and stays as it is at the start.
        """
        self.planned = kept["steps"]
        for name in self.state.keys() & kept["state"].keys():
            self.state[name][row].copy_(kept["state"][name])

    def start(self, weights: Tensor) -> dict[str, Tensor]:
        """Return what is kept between steps, as it is before the first: tensors of shape [k, ...]."""
        return {name: torch.zeros_like(weights) for name in self.buffers()}

    def buffers(self) -> Sequence[str]:
        """Name what is kept between steps, if it is of the shape of the weights and starts at 0."""
        return ()

    @abstractmethod
    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Return the numbers that the steps need beside those of weight decay.

        `lr` is of shape [steps, k], `steps`, which counts from 1, of shape [steps, 1]; what is returned
        is float64 that can be expanded to [steps, k].
        """

    @abstractmethod
    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Move the weights by one step."""

    def of(self, name: str) -> Tensor:
        """Return a hyperparameter of the optimizer, float64 of shape [k]."""
        return self.each(lambda values: values[name])

    def each(self, number: Callable[[dict[str, Any]], float]) -> Tensor:
        """Return a number that follows from a row's hyperparameters, float64 of shape [k]."""
        numbers = [float(number(config.below("optimizer"))) for config in self.configs]
        return torch.tensor(numbers, dtype=torch.float64)

    def _tabulate(self, numbers: dict[str, Tensor], shape: torch.Size) -> Iterator[Coefficients]:
        """Turn the numbers of all steps into one mapping for each step."""
        needed = {name: value for name, value in numbers.items() if _has_effect(name, value)}
        tables = torch.stack([value.expand(shape) for value in needed.values()]).to(self.like)
        steps = tables[..., None].unbind(1)
        return (dict(zip(needed, step.unbind(), strict=True)) for step in steps)


def _has_effect(name: str, value: Tensor) -> bool:
    return name not in NO_EFFECT or bool((value != NO_EFFECT[name]).any())
