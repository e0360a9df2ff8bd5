"""Clipping by the norm of the whole gradient, arXiv:1211.5063."""

from collections.abc import Iterable

from torch import nn


def clip_gradients(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> tuple[float, float]:
    """Scale all gradients down to a common 2-norm of at most `clip_norm`; None only measures.

    Returns the norm before and after, as `torch.nn.utils.clip_grad_norm_` does it.
    """
    parameters = list(parameters)
    total = nn.utils.get_total_norm([item.grad for item in parameters if item.grad is not None])
    norm = total.item()
    if clip_norm is None:
        return norm, norm
    nn.utils.clip_grads_with_norm_(parameters, clip_norm, total)
    return norm, norm * min(1.0, clip_norm / (norm + 1e-6))
