"""Batch normalization over all workers of a trial, on CPUs and GPUs alike; torch's own needs GPUs."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

_COUNTED: Final = ContextVar("counted", default=True)


@contextmanager
def counting(*, counted: bool) -> Iterator[None]:
    """Say whether the samples that pass through a model meanwhile count in its statistics."""
    token = _COUNTED.set(counted)
    try:
        yield
    finally:
        _COUNTED.reset(token)


def join_norms(model: nn.Module) -> None:
    """Let all batch normalization in a model take its statistics from all workers."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.__class__ = _joint(cast("Hashable", type(layer)))


@cache
def _joint(kind: Any) -> Any:
    return type(f"Joint{kind.__name__}", (_JointNorm, kind), {})


class _JointNorm(_BatchNorm):
    """Normalizes by mean and variance of the whole batch, of which each worker has a part.

    Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Take and give shape [batch, channels, …]."""
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        values = input.to(torch.promote_types(input.dtype, torch.float32))  # as torch does under autocast
        mean, variance, count = _moments(values)
        if self.training:
            self._follow(mean, variance * count / (count - 1))
        normal = (values - _wide(mean, values)) * _wide(torch.rsqrt(variance + self.eps), values)
        if self.weight is not None:
            normal = normal * _wide(self.weight, values) + _wide(self.bias, values)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, with which the model is evaluated."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of each channel, shape [channels], and of how many values, over all workers.

    Two passes: the difference of a mean square and a squared mean would lose digits.
    """
    counted = float(_COUNTED.get())
    axes = [axis for axis in range(values.ndim) if axis != 1]
    count = values.new_tensor([counted * values.numel() / values.shape[1]])
    *sums, count = _total(torch.cat([counted * values.sum(axes), count])).split([values.shape[1], 1])
    mean = sums[0] / count
    variance = _total(counted * (values - _wide(mean, values)).square().sum(axes)) / count
    return mean, variance, count


def _wide(channels: Tensor, values: Tensor) -> Tensor:
    """Give one number for each channel the shape [channels, 1, …] that goes with the values."""
    return channels.view(-1, *(1 for _ in values.shape[2:]))


def _total(part: Tensor) -> Tensor:
    total: Tensor = _Total.apply(part)  # type: ignore[no-untyped-call]
    return total


class _Total(torch.autograd.Function):
    """The sum over all workers. All of their losses depend on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(_ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
