"""Layer normalization of K trials."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LARGE = 2**15
"""Numbers of one trial from which one call for each trial is faster: it stays in the cache."""


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize [K, ..., *normalized_shape] (Ba et al. 2016, arXiv:1607.06450)."""
    affine = [part for part in (weight, bias) if part is not None]
    trials = max(len(part) for part in (input, *affine))
    if input[0].numel() >= LARGE:
        each = (_unbind(part, trials) for part in (input, weight, bias))
        return torch.stack(
            [F.layer_norm(one, normalized_shape, w, b, eps) for one, w, b in zip(*each, strict=True)]
        )
    found = F.layer_norm(input, normalized_shape, eps=eps)
    if weight is not None:
        found = found * _line_up(weight, input)
    return found if bias is None else found + _line_up(bias, input)


def _unbind(part: Tensor | None, trials: int) -> Sequence[Tensor | None]:
    return [None] * trials if part is None else part.expand(trials, *part.shape[1:]).unbind()


def _line_up(part: Tensor, like: Tensor) -> Tensor:
    """Insert the dimensions that lie between the trials and what is normalized."""
    return part.view(len(part), *[1] * (like.dim() - part.dim()), *part.shape[1:])


KERNELS: dict[Any, Callable[..., Any]] = {F.layer_norm: layer_norm}
