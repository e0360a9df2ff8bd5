"""What an epoch of a stack measured, and each member's part of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from hpo.recipe import Objective
from hpo.training.engine import Member, unsound_metric
from hpo.trial import Divergence, Point

Report = Point | Divergence


@dataclass(frozen=True)
class Steps:
    """An epoch's steps, float64 on the CPU.

    Attributes:
        losses: of each batch before its step, shape [steps, K].
        norms: the gradient's 2-norms before clipping, shape [steps, K].
        clipped: the same after clipping.
        samples: in each batch, shape [steps].
        mean: of the entries of the last gradient, shape [K].
        square: the mean square of these entries.
    """

    losses: Tensor
    norms: Tensor
    clipped: Tensor
    samples: Tensor
    mean: Tensor
    square: Tensor

    def first_bad(self, row: int, limit: float) -> int | None:
        """Return the first step whose loss is no number or above the limit."""
        losses = self.losses[:, row]
        bad = (~losses.isfinite() | (losses > limit)).nonzero()
        return int(bad[0]) if len(bad) else None


@dataclass(frozen=True)
class Record:
    """An epoch, counted from 1: its steps and what validation came to, shape [K] for each measure.

    `factors` are the schedules' of the last step, shape [K]; `seconds` each member's share of the time.
    """

    epoch: int
    steps: Steps
    factors: Tensor
    measured: Mapping[str, Tensor]
    seconds: float

    def report(self, row: int, member: Member, limit: float, objective: Objective) -> Report:
        """Return a row's part, as the plain engine would report it."""
        steps, values = self.steps, {name: float(each[row]) for name, each in self.measured.items()}
        bad = steps.first_bad(row, limit)
        loss, score = values["loss"], values[objective.metric]
        if bad is not None:
            return self._divergence(row, member, bad, float(steps.losses[bad, row]))
        if not (math.isfinite(loss) and math.isfinite(score)):
            unsound = unsound_metric(objective, loss, score)
            return self._divergence(row, member, len(steps.losses) - 1, loss, unsound)
        losses, norms, clipped = steps.losses[:, row], steps.norms[:, row], steps.clipped[:, row]
        mean = float(steps.mean[row])
        return Point(
            trial=member.number,
            epoch=self.epoch,
            score=score,
            loss=values.pop("loss"),
            train_loss=float((losses * steps.samples).sum() / steps.samples.sum()),
            lr=cast("float", member.config["optimizer.lr"]) * float(self.factors[row]),
            grad_norm=float(norms.mean()),
            clipped_norm=float(clipped.mean()),
            seconds=self.seconds,
            metrics=values,
            clipped_share=float((clipped < norms).double().mean()),
            grad_mean=mean,
            grad_std=math.sqrt(max(0.0, float(steps.square[row]) - mean * mean)),
        )

    def _divergence(self, row: int, member: Member, step: int, loss: float, metric: str = "") -> Divergence:
        norm = float(self.steps.norms[step, row])
        return Divergence(member.number, self.epoch, step, loss, norm, metric=metric)
