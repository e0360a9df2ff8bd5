"""Layers that work channel by channel: K trials are K times as many channels.

Images are kept with channels last in memory, where torch's kernels for a CPU pool, normalize and convolve
several times faster: one time over the trials instead of one time over each image.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def fold(inputs: Tensor, trials: int) -> Tensor:
    """Bring [K or 1, batch, channels, ...] to [batch, K * channels, ...]."""
    folded = inputs.expand(trials, *inputs.shape[1:]).transpose(0, 1).flatten(1, 2)
    return _put_channels_last(folded) if folded.dim() == 4 else folded


def unfold(folded: Tensor, trials: int) -> Tensor:
    """Bring [batch, K * channels, ...] to [K, batch, channels, ...]."""
    if folded.dim() == 4 and folded.requires_grad:
        folded.register_hook(_put_channels_last)  # else torch's backward works, and returns, channels first
    found: Tensor = folded.unflatten(1, (trials, -1)).transpose(0, 1)
    return found


def _put_channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def pool(function: Callable[..., Any], dimensions: int, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Pool [K, batch, channels, ...], which has so many dimensions after the channels."""
    if input.dim() != dimensions + 3 or kwargs.get("return_indices"):
        return NotImplemented
    return unfold(function(fold(input, len(input)), *args, **kwargs), len(input))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize [K, batch, channels, ...] by each trial's own statistics (Ioffe and Szegedy 2015).

    Running statistics [K, channels] change in place; they must be contiguous, and of each trial in training.
    """
    each = (input, running_mean, running_var, weight, bias)
    trials = max(len(part) for part in each if part is not None)
    mean, variance = (_lay_out(part, trials, in_place=training) for part in (running_mean, running_var))
    scale, shift = (_lay_out(part, trials) for part in (weight, bias))
    found = F.batch_norm(fold(input, trials), mean, variance, scale, shift, training, momentum, eps)
    return unfold(found, trials)


def _lay_out(part: Tensor | None, trials: int, *, in_place: bool = False) -> Tensor | None:
    """Bring [K or 1, channels] to [K * channels]; a view, or an error, where it is to change in place."""
    if part is None:
        return None
    return part.view(-1) if in_place else part.expand(trials, -1).flatten()


POOLS: dict[Any, int] = {
    F.max_pool1d: 1,
    F.max_pool2d: 2,
    F.max_pool3d: 3,
    F.avg_pool1d: 1,
    F.avg_pool2d: 2,
    F.avg_pool3d: 3,
    F.adaptive_avg_pool1d: 1,
    F.adaptive_avg_pool2d: 2,
    F.adaptive_avg_pool3d: 3,
}

KERNELS: dict[Any, Callable[..., Any]] = {
    F.batch_norm: batch_norm,
    **{function: partial(pool, function, dimensions) for function, dimensions in POOLS.items()},
}
