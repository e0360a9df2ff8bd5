"""Activation functions, with a backward of few passes over memory."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class _Gelu(torch.autograd.Function):
    """x Φ(x), exact (Hendrycks and Gimpel 2016, arXiv:1606.08415); saves the slope Φ(x) + x φ(x).

    Torch's backward on a CPU computes Φ again, which costs more than all else.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        below = torch.special.erf(input * math.sqrt(0.5)).add_(1.0).mul_(0.5)
        density = input.square().mul_(-0.5).exp_()
        ctx.save_for_backward(torch.addcmul(below, input, density, value=1.0 / math.sqrt(2.0 * math.pi)))
        found: Tensor = below.mul_(input) if not ctx.needs_input_grad[0] else below * input
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        found: Tensor = gradient * slope
        return found


def gelu(input: Tensor, approximate: str = "none") -> Any:
    """The Gaussian error linear unit."""
    if approximate != "none" or not input.requires_grad:
        return NotImplemented
    return _Gelu.apply(input)  # type: ignore[no-untyped-call]


KERNELS: dict[Any, Callable[..., Any]] = {F.gelu: gelu}
