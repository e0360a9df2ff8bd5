"""The vocabulary of training: all that a configuration may say, but for the recipe's own model options."""

from __future__ import annotations

from typing import Final

from hpo.training.optimizers import OPTIMIZERS
from hpo.training.schedules import SCHEDULES
from hpo.vocabulary import Hyperparameter, Vocabulary

_VALUES: Final = (
    Hyperparameter("batch_size", int, 64, "samples in one step", low=1),
    Hyperparameter(
        "clip_norm",
        float,
        None,
        "largest 2-norm of the whole gradient, null for no limit (arXiv:1211.5063)",
        low=0,
        open_low=True,
        optional=True,
    ),
    Hyperparameter(
        "warmup",
        float,
        0.0,
        "share of all steps in which the learning rate rises (arXiv:1706.02677)",
        low=0,
        high=0.5,
    ),
)

VOCABULARY: Final = Vocabulary(
    branches={"optimizer": OPTIMIZERS, "schedule": SCHEDULES},
    values={item.name: item for item in _VALUES},
)
