"""Dropout, whose rate may differ between trials."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hpo.training.fused.kernels.chance import Chance

Rate = float | Tensor
"""One for all trials, or of shape [K]."""


class Dropout:
    """Dropout (Srivastava et al. 2014) with the rate and the masks of each trial."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def kernels(self) -> Mapping[Any, Callable[..., Any]]:
        """Return the kernel of each torch function that drops."""
        features = {F.dropout1d: 3, F.dropout2d: 4, F.dropout3d: 5}
        return {
            F.dropout: self.drop,
            torch.dropout: self._drop_by_position,
            **{function: self._drop_features(function, size) for function, size in features.items()},
            **{function: _refuse(function) for function in (F.alpha_dropout, F.feature_alpha_dropout)},
        }

    def drop(self, input: Tensor, p: Rate = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """Drop single elements."""
        return self._apply(input, p, _as_alone(input.detach()[0]), training=training, inplace=inplace)

    def _drop_by_position(self, input: Tensor, p: Rate, train: bool) -> Tensor:
        return self.drop(input, p, training=train)

    def _drop_features(self, function: Any, dimensions: int) -> Callable[..., Tensor]:
        def drop(input: Tensor, p: Rate = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
            if input.dim() - 1 != dimensions:
                raise NotImplementedError(f"{function.__name__} of inputs without a batch dimension")
            like = input.new_empty(*input.shape[1:3], *[1] * (input.dim() - 3))
            return self._apply(input, p, like, training=training, inplace=inplace)

        return drop

    def _apply(self, input: Tensor, p: Rate, like: Tensor, *, training: bool, inplace: bool) -> Tensor:
        if not training or input.numel() == 0:
            return input
        rates = p if isinstance(p, Tensor) else torch.full((1,), p, dtype=torch.float64, device=input.device)
        if not self._chance.is_needed(rates):
            return input
        mask = self._chance.mask(like, rates)
        if inplace and len(mask) <= len(input):
            return input.mul_(mask)
        return input * mask


def _as_alone(trial: Tensor) -> Tensor:
    """Return a trial's tensor in the order in memory that it has alone, in which dropout draws.

    Images are contiguous there, while the kernels for K trials keep their channels last.
    """
    return trial.contiguous() if trial.dim() == 4 and _has_channels_last(trial) else trial


def _has_channels_last(images: Tensor) -> bool:
    *_, columns = images.stride()
    return images.stride(1) < columns


def _refuse(function: Any) -> Callable[..., Tensor]:
    def refuse(input: Tensor, p: Rate = 0.5, training: bool = False, inplace: bool = False) -> Tensor:  # noqa: ARG001
        if training:
            raise NotImplementedError(f"{function.__name__} has no kernel for several trials at once")
        return input

    return refuse
