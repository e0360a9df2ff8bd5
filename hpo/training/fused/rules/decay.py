"""Weight decay of all rows at once, coupled or decoupled, on all columns or on those of matrices only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from hpo.config import Config
from hpo.training.words.values import MATRICES, WEIGHT_DECAY_ON

KEPT: Final = "kept"
ADDED: Final = "added"
VECTORS: Final = " of vectors"
"""What follows both names where they are of parameters with one dimension or none."""

_DECOUPLED: Final = ("adamw", "adafactor", "muon")


class Decay:
    """What weight decay does before a step: w <- kept w if it is decoupled, g <- g + added w if coupled.

    A row has the one or the other, and may spare its vectors, the columns from `matrices` on. Only if some
    row does are there two regions of columns, the second with coefficients of its own.
    """

    def __init__(self, configs: Sequence[Config], matrices: int) -> None:
        rates = [config["optimizer.weight_decay"] for config in configs]
        self.rate = torch.tensor(rates, dtype=torch.float64)
        self.decoupled = torch.tensor([_is_decoupled(config) for config in configs])
        self.spares = torch.tensor([config[WEIGHT_DECAY_ON.name] == MATRICES for config in configs])
        self.regions = {"": slice(None)}
        if self.spares.any():
            self.regions = {"": slice(matrices), VECTORS: slice(matrices, None)}

    def coefficients(self, lr: Tensor) -> dict[str, Tensor]:
        """Return `kept` and `added` of each region, at learning rates of shape [steps, k]."""
        found = {}
        for region in self.regions:
            rate = self.rate.where(~self.spares, 0.0) if region == VECTORS else self.rate
            found[KEPT + region] = 1 - lr * rate.where(self.decoupled, 0.0)
            found[ADDED + region] = rate.where(~self.decoupled, 0.0)
        return found

    def __call__(self, now: Mapping[str, Tensor], weights: Tensor, gradients: Tensor) -> None:
        """Change weights or gradients, each of shape [k, columns]; what has no effect is not in `now`."""
        for region, columns in self.regions.items():
            if KEPT + region in now:
                weights[:, columns].mul_(now[KEPT + region])
            if ADDED + region in now:
                gradients[:, columns].addcmul_(weights[:, columns], now[ADDED + region])


def _is_decoupled(config: Config) -> bool:
    own = config.get("optimizer.decoupled_weight_decay", config["optimizer"] in _DECOUPLED)
    return bool(own)
