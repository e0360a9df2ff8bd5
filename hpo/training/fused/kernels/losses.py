"""Losses: one number for each of K trials."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float | Tensor = 0.0,
) -> Any:
    """Cross-entropy of logits [K, batch, classes, ...] and classes [K, batch, ...].

    Label smoothing (Szegedy et al. 2015, arXiv:1512.00567, section 7) may be [K], for each trial its own.
    """
    is_plain = weight is None and size_average is None and reduce is None and reduction == "mean"
    if not is_plain or target.dim() != input.dim() - 1 or input.dim() < 3:
        return NotImplemented
    trials = max(len(input), len(target))
    logs = input.expand(trials, *input.shape[1:]).log_softmax(2)
    target = target.expand(trials, *target.shape[1:]).flatten(0, 1)
    lost = F.nll_loss(logs.flatten(0, 1), target, ignore_index=ignore_index, reduction="none")
    lost = lost.view(trials, -1)
    counted = (target != ignore_index).view(trials, -1)
    counts = counted.sum(1)
    nll = lost.sum(1) / counts
    if not isinstance(label_smoothing, Tensor) and label_smoothing == 0.0:
        return nll
    spread = -(logs.mean(2).reshape(trials, -1) * counted).sum(1) / counts
    return nll + label_smoothing * (spread - nll)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The mean squared error of numbers [K, ...]."""
    is_plain = weight is None and size_average is None and reduce is None and reduction == "mean"
    if not is_plain or input.shape[1:] != target.shape[1:]:
        return NotImplemented
    difference = (input - target).flatten(1)
    return torch.linalg.vector_norm(difference, dim=1).square() / difference.shape[1]


KERNELS: dict[Any, Callable[..., Any]] = {F.cross_entropy: cross_entropy, F.mse_loss: mse_loss}
