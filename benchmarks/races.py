"""What `benchmarks/peers.py` has searched: recipes, how long they train, and which loss is to be reached.

Epochs are the recipes' own; `rnn` and `transformer` have less data than there, so that a search has trials
enough. A target is what random search comes to with 50 full trainings (`python benchmarks/peers.py --reach
50`); None where that has not been measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

WORKERS = 2
TRIALS = 1000  # more than there is time for
SCORES = "scores.txt"
NAMES = (  # what is searched, as Optuna's names
    "optimizer",
    "sgd_lr",
    "sgd_one_minus_momentum",
    "sgd_nesterov",
    "sgd_weight_decay",
    "adamw_lr",
    "adamw_one_minus_beta1",
    "adamw_one_minus_beta2",
    "adamw_weight_decay",
    "schedule",
    "step_size",
    "gamma",
    "clip_norm",
)


class Race(NamedTuple):
    """A recipe, its options, how long a full training is, the loss to reach, and the recipe's baseline."""

    recipe: str
    options: Mapping[str, Any]
    epochs: int
    batch_size: int
    target: float | None
    first: Mapping[str, Any]


RACES = {
    race.recipe: race
    for race in (
        Race(
            "cnn",
            {},
            epochs=18,
            batch_size=64,
            target=0.0311,
            first={
                "optimizer": "sgd",
                "sgd_lr": 0.05,
                "sgd_one_minus_momentum": 0.1,
                "sgd_nesterov": True,
                "sgd_weight_decay": 5e-4,
                "schedule": "cosine",
                "clip_norm": 0.0,
            },
        ),
        Race(
            "mlp",
            {"table": "digits"},
            epochs=20,
            batch_size=32,
            target=0.1491,
            first={
                "optimizer": "adamw",
                "adamw_lr": 3e-3,
                "adamw_one_minus_beta1": 0.1,
                "adamw_one_minus_beta2": 1e-3,
                "adamw_weight_decay": 0.01,
                "schedule": "cosine",
                "clip_norm": 0.0,
            },
        ),
        Race(
            "rnn",
            {"samples": 2048},
            epochs=15,
            batch_size=64,
            target=0.0136,
            first={  # its baseline is Adam, which this space lacks
                "optimizer": "adamw",
                "adamw_lr": 1e-2,
                "adamw_one_minus_beta1": 0.1,
                "adamw_one_minus_beta2": 1e-3,
                "adamw_weight_decay": 1e-4,
                "schedule": "step",
                "step_size": 0.4,
                "gamma": 0.2,
                "clip_norm": 1.0,
            },
        ),
        Race(
            "transformer",
            {"windows": 512},
            epochs=8,
            batch_size=16,
            target=2.2714,
            first={
                "optimizer": "adamw",
                "adamw_lr": 3e-3,
                "adamw_one_minus_beta1": 0.1,
                "adamw_one_minus_beta2": 0.02,
                "adamw_weight_decay": 0.05,
                "schedule": "cosine",
                "clip_norm": 1.0,
            },
        ),
    )
}
