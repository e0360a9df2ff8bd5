"""Muon for matrices, AdamW for all else, as `hpo.training.loop.muon.MuonAdamW` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim._muon import DEFAULT_A, DEFAULT_B, DEFAULT_C, _adjust_lr, _zeropower_via_newtonschulz

from hpo.config import Config
from hpo.training.fused.rules.decay import KEPT
from hpo.training.fused.rules.layout import Layout
from hpo.training.fused.rules.moments import Adam
from hpo.training.fused.rules.rule import Coefficients, Rule

_NEWTON_SCHULZ: Final = (DEFAULT_A, DEFAULT_B, DEFAULT_C)
_ADAMW: Final = "adamw_"


class Muon(Rule):
    """Steps along the momentum of each matrix, made orthogonal.

    Newton-Schulz iterations run in bfloat16, whose rounding depends on how products are batched. So that a
    row is rounded as a trial by itself, they are run as torch does it, for one matrix of one row at a time.
    """

    def __init__(self, configs: Sequence[Config], layout: Layout, weights: Tensor) -> None:
        named = zip(layout.names, layout.shapes, layout.columns, strict=True)
        self.matrices = [(name, shape, part) for name, shape, part in named if len(shape) == 2]
        super().__init__(configs, layout, weights)
        inner = [_adamw(config) for config in configs]
        names = {name for name, _, _ in self.matrices}
        runs = [(part, run) for turned, part, run in layout.runs(names.__contains__) if not turned]
        self.others = [(part, Adam(inner, run, weights[:, part])) for part, run in runs]

    def start(self, weights: Tensor) -> dict[str, Tensor]:
        """Keep the momentum of each matrix."""
        return {name: torch.zeros_like(weights[:, part]) for name, _, part in self.matrices}

    def plan(self, factors: Tensor) -> None:
        """Prepare AdamW's steps, too."""
        super().plan(factors)
        values = [config.below("optimizer") for config in self.configs]
        self.iterations: list[tuple[Any, Any]] = [(row["ns_steps"], row["eps"]) for row in values]
        for _, adam in self.others:
            adam.plan(factors)

    def keep(self, rows: Tensor) -> None:
        """Keep AdamW's rows, too."""
        super().keep(rows)
        for _, adam in self.others:
            adam.keep(rows)

    def row(self, row: int) -> dict[str, Any]:
        """Keep what AdamW does, too."""
        return {**super().row(row), "others": [adam.row(row) for _, adam in self.others]}

    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Take over what AdamW kept, too."""
        super().load(row, kept)
        for (_, adam), own in zip(self.others, kept["others"], strict=True):
            adam.load(row, own)

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Fit lr to each matrix's shape; without Nesterov the gradient is all momentum."""
        del steps  # they are all alike
        momentum = self.of("momentum")
        found = {"new": 1 - momentum, "ahead": torch.where(self.of("nesterov") > 0, momentum, 1.0)}
        for name, shape, _ in self.matrices:
            found[_lr(name)] = -lr * self._ratio(shape)
        return found

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Step with all matrices, and leave the other columns to AdamW."""
        for name, shape, part in self.matrices:
            self._turn(now, name, shape, gradients[:, part])
            if KEPT in now:
                weights[:, part].mul_(now[KEPT])
            weights[:, part].addcmul_(gradients[:, part], now[_lr(name)])
        for part, adam in self.others:
            adam.step(weights[:, part], gradients[:, part])

    def _turn(self, now: Coefficients, name: str, shape: tuple[int, ...], gradient: Tensor) -> None:
        """Turn a matrix's gradient, of shape [k, columns], into its orthogonal momentum."""
        momentum = self.state[name].lerp_(gradient, now["new"])
        gradient.lerp_(momentum, now["ahead"])
        for row, (steps, eps) in zip(gradient, self.iterations, strict=True):
            matrix = row.view(shape)
            matrix.copy_(_zeropower_via_newtonschulz(matrix, _NEWTON_SCHULZ, steps, eps))

    def _ratio(self, shape: tuple[int, ...]) -> Tensor:
        return self.each(lambda values: _adjust_lr(1.0, values["adjust_lr_fn"], torch.Size(shape)))


def _lr(name: str) -> str:
    return f"lr of {name}"


def _adamw(config: Config) -> Config:
    """Return the configuration of the AdamW beside a Muon."""
    values = config.below("optimizer").items()
    inner = {name.removeprefix(_ADAMW): value for name, value in values if name.startswith(_ADAMW)}
    return config | {"optimizer": "adamw", **{f"optimizer.{name}": value for name, value in inner.items()}}
