"""Convolutions of K inputs with K kernels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hpo.training.fused.kernels.channels import fold, unfold

Lengths = int | tuple[int, ...]

LARGE = 50_000_000
"""Multiplications of one trial from which one convolution per trial is faster than one of K groups."""


def convolve(
    function: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = 1,
    padding: Lengths | str = 0,
    dilation: Lengths = 1,
    groups: int = 1,
) -> Any:
    """Convolve inputs [K, batch, channels, ...] with kernels [K, outputs, channels / groups, ...]."""
    if input.dim() != weight.dim():  # without a batch dimension
        return NotImplemented
    trials = max(len(part) for part in (input, weight, bias) if part is not None)
    weight = weight.expand(trials, *weight.shape[1:])
    bias = None if bias is None else bias.expand(trials, -1)
    run = partial(function, stride=stride, padding=padding, dilation=dilation)
    if len(input) == 1 and groups == 1:  # all see the same: one kernel of many outputs
        if function is torch.conv2d and not isinstance(padding, str):
            return unfold(_multiply(input[0], *_flat(weight, bias), stride, padding, dilation), trials)
        return unfold(run(fold(input, 1), *_flat(weight, bias)), trials)
    if input[0].numel() * weight[0, :, 0].numel() > LARGE * groups:
        return _one_by_one(partial(run, groups=groups), input.expand(trials, *input.shape[1:]), weight, bias)
    return unfold(run(fold(input, trials), *_flat(weight, bias), groups=trials * groups), trials)


def _multiply(
    images: Tensor, weight: Tensor, bias: Tensor | None, stride: Lengths, padding: Lengths, dilation: Lengths
) -> Tensor:
    """Convolve as one matrix product, which leaves channels last in memory; the patches serve all trials."""
    size = weight.shape[2:]
    spans = [_pair(value) for value in (stride, padding, dilation)]
    patches = F.unfold(images, size, stride=spans[0], padding=spans[1], dilation=spans[2])
    rows = F.linear(patches.mT.contiguous(), weight.flatten(1), bias)  # [batch, rows * columns, outputs]
    height, width = (
        (extent + 2 * pad - gap * (side - 1) - 1) // step + 1
        for extent, side, step, pad, gap in zip(images.shape[2:], size, *spans, strict=True)
    )
    return rows.view(len(images), height, width, -1).permute(0, 3, 1, 2)


def _pair(sizes: Lengths) -> tuple[int, int]:
    first, *rest = (sizes,) if isinstance(sizes, int) else sizes
    return first, rest[0] if rest else first


def _flat(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.flatten(0, 1), None if bias is None else bias.flatten()


def _one_by_one(run: Callable[..., Tensor], inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    biases = [None] * len(weight) if bias is None else bias.unbind()
    return torch.stack([run(*each) for each in zip(inputs.unbind(), weight.unbind(), biases, strict=True)])


KERNELS: dict[Any, Callable[..., Any]] = {
    function: partial(convolve, function) for function in (torch.conv1d, torch.conv2d, torch.conv3d)
}
