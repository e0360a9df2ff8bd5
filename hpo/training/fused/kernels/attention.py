"""Attention: trials are folded into the batch."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hpo.training.fused.kernels.dropout import Dropout, Rate


def kernels(dropout: Dropout) -> dict[Any, Callable[..., Tensor]]:
    """Return the kernel of attention, which drops by `dropout`."""
    return {F.scaled_dot_product_attention: partial(attend, dropout)}


def attend(
    dropout: Dropout,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: Rate = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention of [K, batch, ..., time, features] (Vaswani et al. 2017)."""
    trials = max(len(part) for part in (query, key, value, attn_mask) if part is not None)
    query, key, value = (part.expand(trials, *part.shape[1:]) for part in (query, key, value))
    if attn_mask is not None:
        attn_mask = _line_up(attn_mask, query.dim()).expand(trials, *query.shape[1:-1], key.shape[-2])
    if isinstance(dropout_p, Tensor) or dropout_p > 0.0:
        return _attend_and_drop(
            dropout, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        )
    by_batch = query.dim() > 3
    if by_batch:
        query, key, value = (part.flatten(0, 1) for part in (query, key, value))
        attn_mask = None if attn_mask is None else attn_mask.flatten(0, 1)
    found = F.scaled_dot_product_attention(
        query, key, value, attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
    )
    return found.unflatten(0, (trials, -1)) if by_batch else found


def _line_up(mask: Tensor, dimensions: int) -> Tensor:
    """Insert the dimensions that a mask lacks after that of the trials."""
    return mask.view(len(mask), *[1] * (dimensions - mask.dim()), *mask.shape[1:])


def _attend_and_drop(
    dropout: Dropout,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    rate: Rate,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> Tensor:
    """The same in single steps, as torch itself does where weights are dropped."""
    if enable_gqa:
        key, value = (part.repeat_interleave(query.shape[-3] // part.shape[-3], -3) for part in (key, value))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * factor, key.mT)
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril_()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(dropout.drop(scores.softmax(-1), rate), value)
