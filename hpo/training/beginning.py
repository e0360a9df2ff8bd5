"""What a trial begins with in every engine: its model, and what its first step tells."""

from __future__ import annotations

import warnings
from typing import Any, Final

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from hpo.config import Config
from hpo.training.demands import demand_module
from hpo.training.engine import Task
from hpo.training.loop.loop import seed_chance
from hpo.training.transfer import Start
from hpo.training.words.values import freeze_calls, initialize_calls, start_calls
from hpo.trial import LOADERS
from hpo.vocabulary import MODEL

FEW: Final = 8
"""Batches of fewer samples are too small for batch normalization: Wu and He 2018, arXiv:1803.08494."""

DIVERGED: Final = 100.0
"""A loss this many times the trial's first one, or 1 if that was less, counts as diverged."""


def make_model(task: Task, config: Config) -> nn.Module:
    """Make the model and draw its weights, from the search's seed."""
    seed_chance(task.seed)
    model: nn.Module = task.recipe.model(**config.below(MODEL))
    demand_module(model, task.recipe.model)
    for call in initialize_calls(config):
        model = call.build(model)
    return model.to(task.device)


def start_model(task: Task, config: Config) -> tuple[nn.Module, Start]:
    """Make the model, fill it from a checkpoint and freeze a part of it, as the configuration says."""
    model, started = make_model(task, config), Start([], [])
    for call in start_calls(config, task.recipe.__name__):
        started = call.build(model)
    for call in freeze_calls(config):
        call.build(model)
    return model, started


def notes_of(task: Task, started: Start) -> dict[str, Any]:
    """Say which splits are loaders, and what a trial started from, if from a checkpoint."""
    loaders = [name for name, split in task.splits.items() if isinstance(split, DataLoader)]
    return {LOADERS: loaders} | ({"start": str(started)} if started.filled else {})


def loss_limit(first: float) -> float:
    """Return the loss above which a training that began at `first` has diverged.

    One that began near 0, such as a hinge loss of a model that was trained before, says nothing of its scale.
    """
    return DIVERGED * max(abs(first), 1.0)


def warn_of_few(task: Task, model: nn.Module, samples: int, micro_batches: int) -> None:
    """Warn, at the recipe's `model`, if batch normalization sees too few of a batch's samples at a time.

    What is warned of at a line of the recipe is told wherever the trial trains.
    """
    few = min(samples, max(2, samples // micro_batches))
    if few < FEW and any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        message = (
            f"Batch normalization trains on {few} samples at a time; fewer than {FEW} make its statistics"
        )
        code = getattr(task.recipe.model, "__code__", None)
        line = getattr(code, "co_firstlineno", 1)
        message = f"{message}; fewer than {FEW} make its statistics noise"
        warnings.warn_explicit(message, UserWarning, str(task.recipe.__file__), line)
