"""Convolutions of K inputs with K kernels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

Sizes = int | tuple[int, ...] | str


def convolve(
    function: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Convolve inputs [K, batch, channels, ...] with kernels [K, outputs, channels / groups, ...]."""
    if input.dim() != weight.dim():  # without a batch dimension
        return NotImplemented
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    trials = max(len(part) for part in (input, weight, bias) if part is not None)
    outputs = weight.shape[1]
    flat_bias = None if bias is None else bias.expand(trials, -1).flatten()
    weight = weight.expand(trials, *weight.shape[1:]).flatten(0, 1)
    if len(input) == 1 and groups == 1:  # all kernels see the same: one kernel of many outputs
        found = function(input[0], weight, flat_bias, **options)
    else:
        folded = input.expand(trials, *input.shape[1:]).transpose(0, 1).flatten(1, 2)
        found = function(folded, weight, flat_bias, groups=trials * groups, **options)
    return found.unflatten(1, (trials, outputs)).movedim(1, 0)


KERNELS: dict[Any, Callable[..., Tensor]] = {
    function: partial(convolve, function) for function in (torch.conv1d, torch.conv2d, torch.conv3d)
}
