"""What a worker makes of its job: the recipe, executed, its data, and a model without its numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType

import torch
from torch import nn

from hpo.config import Config
from hpo.training import uncompiled
from hpo.training.engine import Task
from hpo.training.execution import execute, load_splits
from hpo.training.memory import Memory, fence, predict
from hpo.vocabulary import MODEL
from hpo.worker.job import Job


@cache
def prepare(job: Job) -> Task:
    """Load a job's recipe and data; a worker does this once, before its first cohort."""
    uncompiled.put_off()
    torch.set_num_threads(job.threads)
    _demand_determinism(yes=job.deterministic)
    fence(job.device, job.share)
    module = execute(job.source, job.path)
    splits = load_splits(module, dict(job.data_options))
    return Task(module, splits, job.objective, job.epochs, job.seed, job.device)


def _demand_determinism(*, yes: bool) -> None:
    """Have torch use what gives the same bits each time, and refuse operations that cannot."""
    if yes:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS cannot
    if yes != torch.are_deterministic_algorithms_enabled():  # to ask for what is so takes seconds of imports
        torch.use_deterministic_algorithms(yes)


def foretell(job: Job, config: Config) -> Memory:
    """Foretell a training's memory.

    Raises:
        Exception: whatever the recipe raises.
    """
    return predict(config, sketch(execute(job.source, job.path), config))


def sketch(recipe: ModuleType, config: Config) -> nn.Module:
    """Build a model without its numbers, unless it needs to see them.

    Raises:
        Exception: whatever the recipe raises.
    """
    build: Callable[[], nn.Module] = partial(recipe.model, **config.below(MODEL))
    try:
        with torch.device("meta"):
            return build()
    except Exception:  # noqa: BLE001 - whatever it is, if it is the recipe's own it comes again below
        return build()
