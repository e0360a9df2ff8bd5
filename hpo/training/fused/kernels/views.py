"""Parts of a tensor, such as queries, keys and values, whose gradients must come together again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Unbind(torch.autograd.Function):
    """`Tensor.unbind` whose gradient lies in memory as its input does.

    Torch stacks the gradients one after the other. Where the input was permuted, that is one more copy, and a
    slow one, once the permutation is undone.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, dim: int) -> tuple[Tensor, ...]:
        ctx.like, ctx.dim = torch.empty_like(input, device="meta"), dim
        return input.unbind(dim)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].new_empty_strided(ctx.like.shape, ctx.like.stride())
        torch.stack(gradients, ctx.dim, out=whole)
        return whole, None


def unbind(input: Tensor, dim: int = 0) -> Any:
    """Take [K, ...] apart along a dimension of one trial."""
    dim = dim + 1 if dim >= 0 else dim
    if not input.requires_grad or input.dim() < 2 or not input.shape[dim]:
        return NotImplemented
    return _Unbind.apply(input, dim)  # type: ignore[no-untyped-call]


KERNELS: dict[Any, Callable[..., Any]] = {torch.unbind: unbind, Tensor.unbind: unbind}
