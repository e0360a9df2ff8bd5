"""Clipping the gradient: by its norm, arXiv:1211.5063, or by the size of its entries."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Clipping(NamedTuple):
    """The largest 2-norm of the whole gradient, or the largest size of an entry; None for no limit."""

    norm: float | None = None
    value: float | None = None

    def __call__(self, parameters: Iterable[nn.Parameter]) -> tuple[float, float]:
        """Clip all gradients and return their common 2-norm before and after; without limits only measure.

        By norm c, g <- g min(1, c / |g|), as `torch.nn.utils.clip_grad_norm_` does it; by value c,
        g <- max(-c, min(c, g)) in each entry, as `clip_grad_value_` does it.
        """
        parameters = list(parameters)
        total = total_norm(gradients(parameters))
        norm = clipped = total.item()
        if self.norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.norm, total)
            clipped = norm * min(1.0, self.norm / (norm + 1e-6))
        if self.value is not None:
            nn.utils.clip_grad_value_(parameters, self.value)
            clipped = total_norm(gradients(parameters)).item()
        return norm, clipped


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Return the gradients that there are."""
    return [item.grad for item in parameters if item.grad is not None]


def total_norm(tensors: Iterable[Tensor]) -> Tensor:
    """Return the common 2-norm."""
    return whole(nn.utils.get_total_norm(tensors))


def whole(number: Tensor) -> Tensor:
    """Return a number, also one of which each of several workers has a part: a `DTensor`, as FSDP has it."""
    return getattr(number, "full_tensor", lambda: number)()


def gradient_moments(parameters: Iterable[nn.Parameter]) -> tuple[float, float]:
    """Return the mean and the standard deviation of all entries of the gradient as it is now."""
    found = gradients(parameters)
    entries = sum(item.numel() for item in found)
    mean = whole(torch.stack([item.sum() for item in found]).sum()).item() / entries
    square = total_norm(found).item() ** 2 / entries
    return mean, math.sqrt(max(0.0, square - mean * mean))
