"""Batch normalization, with statistics of each trial."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * scale + shift, and the two statistics (arXiv:1502.03167).

    Inputs [K, batch, channels, ...]; scale and shift [K, channels]; statistics as [K, 1, channels, 1, ...].
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        across = (1, *range(3, input.dim()))
        mean = input.mean(across, keepdim=True)
        centered = input - mean
        ctx.count = input[0].numel() // input.shape[2]
        variance = torch.linalg.vector_norm(centered, dim=across, keepdim=True).square_().div_(ctx.count)
        rate = (variance + eps).rsqrt_()
        factor = rate if scale is None else rate * _spread(scale, input)
        ctx.save_for_backward(centered, rate, factor)
        ctx.across = across
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        found = centered * factor if shift is None else torch.addcmul(_spread(shift, input), centered, factor)
        return found, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        centered, rate, factor = ctx.saved_tensors
        total = gradient.sum(ctx.across, keepdim=True)
        product = (gradient * centered).sum(ctx.across, keepdim=True).mul_(rate)
        needs_input, needs_scale, needs_shift, _ = ctx.needs_input_grad
        to_input = None
        if needs_input:
            to_input = torch.addcmul(gradient, centered, product * rate, value=-1.0 / ctx.count)
            to_input.sub_(total / ctx.count).mul_(factor)
        return (
            to_input,
            product.flatten(1) if needs_scale else None,
            total.flatten(1) if needs_shift else None,
            None,
        )


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Give values [K, channels] the dimensions of inputs [K, batch, channels, ...]."""
    return values.view(len(values), 1, -1, *[1] * (like.dim() - 3))


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
    """Normalize [K, batch, channels, ...] by each trial's own statistics, or by its running ones."""
    if not training and running_mean is not None and running_var is not None:
        return _normalize_by(input, running_mean, running_var, weight, bias, eps)
    F._verify_batch_size(list(input.shape[1:]))  # type: ignore[attr-defined]
    trials = max(len(part) for part in (input, weight, bias) if part is not None)
    weight, bias = (part if part is None else part.expand(trials, -1) for part in (weight, bias))
    found: Tensor
    found, mean, variance = _Normalize.apply(  # type: ignore[no-untyped-call]
        input.expand(trials, *input.shape[1:]), weight, bias, eps
    )
    if running_mean is not None and running_var is not None:
        count = input[0].numel() // input.shape[2]
        running_mean.lerp_(mean.flatten(1), momentum)
        running_var.lerp_(variance.flatten(1) * (count / (count - 1)), momentum)
    return found


def _normalize_by(
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    rate = (variance + eps).rsqrt()
    factor = rate if weight is None else rate * weight
    shift = -mean * factor if bias is None else bias - mean * factor
    return torch.addcmul(_spread(shift, input), input, _spread(factor, input))


KERNELS: dict[Any, Callable[..., Any]] = {F.batch_norm: batch_norm}
