"""Averages of the weights along the way."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average(model: nn.Module, optimizer: torch.optim.Optimizer, decay: float) -> AveragedModel:
    """Return a model whose weights follow the average of those that the optimizer steps through.

    After each step a <- decay a + (1 - decay) w, from the weights after the first step on: Polyak and
    Juditsky 1992, doi.org/10.1137/0330046. Buffers, such as running statistics, are copied.
    """
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))

    def follow(*_: object) -> None:
        averaged.update_parameters(model)

    optimizer.register_step_post_hook(follow)
    return averaged
