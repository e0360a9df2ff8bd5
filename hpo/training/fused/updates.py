"""Different optimizers side by side: a rule for each family, on the rows that are its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor

from hpo.config import Config
from hpo.training.fused.rules import RULES, Layout, Rule, Slowed, slows
from hpo.training.words.values import EMA


def family(config: Config) -> str:
    """Return the name of the rule that steps a configuration; rows of a family must lie together."""
    name = RULES[str(config["optimizer"])].__name__
    return f"Slowed{name}" if slows(config) else name


class Updates:
    """The optimizers' steps of all rows.

    Args:
        configs: complete ones, those of one family next to each other.
        layout: where each parameter lies in a row.
        weights: shape [K, entries].
        filled: the names of the parameters that a checkpoint has filled.
    """

    def __init__(
        self, configs: Sequence[Config], layout: Layout, weights: Tensor, filled: Collection[str] = ()
    ) -> None:
        self._parts: list[tuple[slice, Rule | Slowed]] = []
        for _, alike in groupby(enumerate(configs), key=lambda item: family(item[1])):
            places, own = zip(*alike, strict=True)
            rows = slice(places[0], places[-1] + 1)
            self._parts.append((rows, _rule(own, layout, weights[rows], filled)))

    def plan(self, factors: Tensor) -> None:
        """Take in the schedules' factors of the coming steps, shape [steps, K], float64."""
        for rows, rule in self._parts:
            rule.plan(factors[:, rows])

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """Take the next step, in place; the gradients are used up."""
        for rows, rule in self._parts:
            rule.step(weights[rows], gradients[rows])

    def row(self, row: int) -> dict[str, Any]:
        """Return what the optimizer of one row keeps between steps."""
        part, rule = self._of(row)
        return rule.row(row - part.start)

    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Give one row what another's `row` was."""
        part, rule = self._of(row)
        rule.load(row - part.start, kept)

    def _of(self, row: int) -> tuple[slice, Rule | Slowed]:
        return next((part, rule) for part, rule in self._parts if row < part.stop)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows, in ascending order, only."""
        parts, start = [], 0
        for before, rule in self._parts:
            own = rows[(rows >= before.start) & (rows < before.stop)] - before.start
            if len(own):
                rule.keep(own)
                parts.append((slice(start, start + len(own)), rule))
                start += len(own)
        self._parts = parts


def _rule(
    configs: Sequence[Config], layout: Layout, weights: Tensor, filled: Collection[str]
) -> Rule | Slowed:
    rule = RULES[str(configs[0]["optimizer"])]
    if slows(configs[0]):
        return Slowed(rule, configs, layout, weights, filled)
    return rule(configs, layout, weights)


class Average:
    """The averages of the weights of those rows that want one: the twin of `hpo.training.loop.averaging`."""

    def __init__(self, configs: Sequence[Config], weights: Tensor) -> None:
        decays = [[cast("float", config[EMA.name] or 0.0)] for config in configs]
        self._wanted = any(config[EMA.name] is not None for config in configs)
        self._share = 1 - torch.tensor(decays, dtype=torch.float64, device=weights.device).to(weights.dtype)
        self.weights: Tensor | None = None

    def follow(self, weights: Tensor) -> None:
        """Move towards the weights after a step; a row without an average is at them."""
        if not self._wanted:
            return
        if self.weights is None:
            self.weights = weights.clone()
        else:
            self.weights.lerp_(weights, self._share)

    def row(self, row: int) -> Tensor | None:
        """Return the average of one row; None if no row wants one."""
        return None if self.weights is None else self.weights[row]

    def load(self, row: int, kept: Tensor | None, weights: Tensor) -> None:
        """Give one row what another's `row` was; one without an average is at its weights."""
        if self._wanted:
            if self.weights is None:
                self.weights = weights.clone()
            self.weights[row].copy_(weights[row] if kept is None else kept)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self._share = self._share[rows]
        if self.weights is not None:
            self.weights = self.weights[rows]
