"""Rows that learn more slowly what a checkpoint has filled: the twin of `hpo.training.transfer.slow`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from torch import Tensor

from hpo.config import Config
from hpo.training.fused.rules.layout import Layout
from hpo.training.fused.rules.rule import Rule
from hpo.training.words.values import BODY_LR, START

_RATES: Final = ("optimizer.lr", "optimizer.adamw_lr")


class Slowed:
    """A rule for each run of columns, those that were filled with rates of their own.

    Args:
        rule: steps each run as if it were a model; no optimizer looks from one parameter to another.
        configs: complete ones, all of which slow what a checkpoint has filled.
        layout: where each parameter lies in a row.
        weights: shape [k, layout.size].
        filled: the names of the filled parameters.
    """

    def __init__(
        self,
        rule: type[Rule],
        configs: Sequence[Config],
        layout: Layout,
        weights: Tensor,
        filled: Collection[str],
    ) -> None:
        slower = [_slower(config) for config in configs]
        self._parts = [
            (columns, rule(slower if known else configs, run, weights[:, columns]))
            for known, columns, run in layout.runs(lambda name: name in filled)
        ]

    def plan(self, factors: Tensor) -> None:
        """Prepare the coming steps; see `Rule`."""
        for _, rule in self._parts:
            rule.plan(factors)

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """Take the next planned step; see `Rule`."""
        for columns, rule in self._parts:
            rule.step(weights[:, columns], gradients[:, columns])

    def keep(self, rows: Tensor) -> None:
        """Go on with the rows of these numbers; see `Rule`."""
        for _, rule in self._parts:
            rule.keep(rows)

    def row(self, row: int) -> dict[str, Any]:
        """Return what a row keeps between steps; see `Rule`."""
        return {"parts": [rule.row(row) for _, rule in self._parts]}

    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Give a row what another's `row` was; see `Rule`."""
        for (_, rule), own in zip(self._parts, kept["parts"], strict=True):
            rule.load(row, own)


def slows(config: Config) -> bool:
    """Whether a configuration has another rate for what a checkpoint has filled."""
    return config[START.name] is not None and config[BODY_LR.name] != 1


def _slower(config: Config) -> Config:
    factor = cast("float", config[BODY_LR.name])
    rates = {name: factor * cast("float", config[name]) for name in _RATES if name in config}
    return config | rates
