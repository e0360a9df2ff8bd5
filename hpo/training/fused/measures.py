"""Losses and metrics of K models at once, on outputs of shape [K, batch, ...] and shared targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from hpo.config import Config
from hpo.training.loop.gradients import Loss
from hpo.training.words.values import loss_calls
from hpo.vocabulary import LOSS


class Losses:
    """Each row's training loss; rows may differ in the loss's options, such as label smoothing."""

    def __init__(self, loss: Loss, configs: Sequence[Config], device: str) -> None:
        alike: dict[str, list[int]] = {}
        for row, config in enumerate(configs):
            alike.setdefault(repr(config.below(LOSS)), []).append(row)
        self._parts = [
            (_with_options(loss, configs[rows[0]]), torch.tensor(rows, device=device))
            for rows in alike.values()
        ]
        order = [row for rows in alike.values() for row in rows]
        self._back = torch.tensor(order, device=device).argsort()

    def __call__(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the losses, shape [K]."""
        if len(self._parts) == 1:
            return _rowwise(self._parts[0][0], outputs, targets)
        losses = [_rowwise(loss, _rows(outputs, rows), targets) for loss, rows in self._parts]
        return torch.cat(losses)[self._back]


class Measure:
    """A loss or metric of validation data, row by row if it cannot be batched."""

    def __init__(self, measure: Callable[[Any, Tensor], Tensor]) -> None:
        self._measure, self._batched = measure, True

    def __call__(self, outputs: Any, targets: Tensor, rows: int) -> Tensor:
        """Return the values, shape [K], float64, where the targets are."""
        if self._batched:
            try:
                return _rowwise(self._measure, outputs, targets).to(targets.device, torch.float64)
            except Exception:  # noqa: BLE001 - whatever it is, if it is the measure's own it comes again below
                self._batched = False
        single = (float(self._measure(_row(outputs, row), targets)) for row in range(rows))
        return torch.tensor(list(single), dtype=torch.float64, device=targets.device)


def _with_options(loss: Loss, config: Config) -> Loss:
    for call in loss_calls(config):
        loss = call.build(loss)
    return loss


def _rowwise(measure: Callable[[Any, Tensor], Tensor], outputs: Any, targets: Tensor) -> Tensor:
    values: Tensor = torch.vmap(measure, (0, None), randomness="same")(outputs, targets)
    return values


def _rows(outputs: Any, rows: Tensor) -> Any:
    return tree_map_only(Tensor, lambda tensor: tensor[rows], outputs)


def _row(outputs: Any, row: int) -> Any:
    return tree_map_only(Tensor, lambda tensor: tensor[row], outputs)
