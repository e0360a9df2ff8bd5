"""The vocabulary of training: all that a configuration may say, but for the recipe's own model options."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hpo.training.optimizers import MATRICES, OPTIMIZERS, WEIGHT_DECAY_ON
from hpo.training.schedules import SCHEDULES, SEQUELS
from hpo.training.values import ACCUMULATE, EMA, FULL_PRECISION, INIT, L1, PRECISION
from hpo.vocabulary import But, Contradiction, Hyperparameter, Vocabulary

FULL: Final = "full"

_VALUES: Final = (
    Hyperparameter("batch_size", int, 64, "samples in one step; full takes all at once", 1, words=(FULL,)),
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
        "clip_value",
        float,
        None,
        "largest size of each entry of the gradient, null for no limit",
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
    WEIGHT_DECAY_ON,
    L1,
    INIT,
    ACCUMULATE,
    PRECISION,
    EMA,
)

_CONTRADICTIONS: Final = (
    Contradiction(
        {"optimizer": "lbfgs", "batch_size": But(FULL)}, "lbfgs needs all data at once: batch_size full"
    ),
    Contradiction(
        {"optimizer": "lbfgs", "clip_norm": But(None)},
        "lbfgs needs gradients as they are: clip_norm null",
    ),
    Contradiction(
        {"optimizer": "lbfgs", "clip_value": But(None)},
        "lbfgs needs gradients as they are: clip_value null",
    ),
    Contradiction({"clip_norm": But(None), "clip_value": But(None)}, "Clip by norm or by value, not by both"),
    Contradiction(
        {"optimizer": "lbfgs", WEIGHT_DECAY_ON.name: MATRICES}, "lbfgs has no weight decay to leave out"
    ),
    Contradiction(
        {"optimizer": "lbfgs", L1.name: But(0)}, "lbfgs needs the gradient of the loss that it sees: l1 0"
    ),
    Contradiction(
        {"optimizer": "lbfgs", ACCUMULATE.name: But(1)}, "lbfgs needs all data at once: accumulate 1"
    ),
    Contradiction(
        {"optimizer": "lbfgs", PRECISION.name: But(FULL_PRECISION)},
        "lbfgs needs gradients as they are: precision fp32",
    ),
)

_UNSHARDED: Final = (
    *(
        Contradiction(
            {"optimizer": name}, f"fsdp keeps parameters in parts, {name} needs them whole: parallel=ddp"
        )
        for name, optimizer in OPTIMIZERS.items()
        if not optimizer.entrywise
    ),
    Contradiction(
        {EMA.name: But(None)}, "fsdp cannot copy a model that lies in parts: ema null, or parallel=ddp"
    ),
)

VOCABULARY: Final = Vocabulary(
    branches={"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "then": SEQUELS},
    values={item.name: item for item in _VALUES},
    contradictions=_CONTRADICTIONS,
)


def vocabulary_for(parallel: str) -> Vocabulary:
    """Return the vocabulary of trials whose workers train in this way, `ddp` or `fsdp`."""
    if parallel != "fsdp":
        return VOCABULARY
    return replace(VOCABULARY, contradictions=VOCABULARY.contradictions + _UNSHARDED)
