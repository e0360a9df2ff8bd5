"""The penalty and the limits of K gradients, row by row: the twin of `hpo.training.loop.clipping`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from hpo.config import Config
from hpo.training.fused.rules import Layout
from hpo.training.words.values import L1, MATRICES, WEIGHT_DECAY_ON


class Shaping:
    """Adds each row's L1 penalty to its gradient, then clips it by its own limit.

    What no row asks for is not computed.
    """

    def __init__(self, configs: Sequence[Config], layout: Layout, weights: Tensor) -> None:
        def column(values: Sequence[float], off: float) -> Tensor | None:
            some = any(value != off for value in values)
            return torch.tensor(values, dtype=weights.dtype, device=weights.device)[:, None] if some else None

        self._matrices = layout.matrices
        self._l1 = column([cast("float", config[L1.name]) for config in configs], off=0.0)
        self._l1_of_vectors = column([_l1_of_vectors(config) for config in configs], off=0.0)
        self._norm = column([_limit(config, "clip_norm") for config in configs], off=math.inf)
        self._value = column([_limit(config, "clip_value") for config in configs], off=math.inf)

    def __call__(self, weights: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Change the gradients, shape [K, entries]; return their 2-norms before and after, shape [K]."""
        self._penalize(weights, gradients)
        norms = torch.linalg.vector_norm(gradients, dim=1)
        clipped = norms
        if self._norm is not None:
            kept = (self._norm[:, 0] / (norms + 1e-6)).clamp(max=1.0)
            gradients.mul_(kept[:, None])
            clipped = norms * kept
        if self._value is not None:
            torch.clamp(gradients, -self._value, self._value, out=gradients)
            limited = torch.linalg.vector_norm(gradients, dim=1)
            clipped = torch.where(self._value[:, 0].isinf(), clipped, limited)
        return norms, clipped

    def _penalize(self, weights: Tensor, gradients: Tensor) -> None:
        cut = self._matrices
        if self._l1 is not None:
            gradients[:, :cut].addcmul_(weights[:, :cut].sign(), self._l1)
        if self._l1_of_vectors is not None:
            gradients[:, cut:].addcmul_(weights[:, cut:].sign(), self._l1_of_vectors)


def _l1_of_vectors(config: Config) -> float:
    return 0.0 if config[WEIGHT_DECAY_ON.name] == MATRICES else cast("float", config[L1.name])


def _limit(config: Config, name: str) -> float:
    value = config[name]
    return math.inf if value is None else cast("float", value)
