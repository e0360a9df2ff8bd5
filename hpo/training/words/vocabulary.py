"""The vocabulary of training: all that a configuration may say, and what a recipe adds to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from hpo import shipped
from hpo.errors import InputError, Problem
from hpo.recipe import Recipe
from hpo.recipe.signature import Argument, Definition
from hpo.training.words.optimizers import OPTIMIZERS
from hpo.training.words.schedule_words import SCHEDULES, SEQUELS, TAKEN, THEN, as_sequel
from hpo.training.words.values import (
    ACCUMULATE,
    BATCH_SIZE,
    BODY_LR,
    EMA,
    FULL,
    FULL_PRECISION,
    INIT,
    L1,
    MATRICES,
    PRECISION,
    START,
    TRANSFER,
    WEIGHT_DECAY_ON,
)
from hpo.vocabulary import But, Contradiction, Hyperparameter, Vocabulary, Word

_VALUES: Final = (
    BATCH_SIZE,
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
    *TRANSFER,
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
    Contradiction({"optimizer": "lbfgs", BODY_LR.name: But(1.0)}, "lbfgs has one learning rate: body_lr 1"),
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

_TAKEN: Final = {
    "schedules": TAKEN,
    "optimizers": {
        "l1": "the penalty of a group of parameters",
        "lr_factor": "how slowly a group of parameters learns",
        "initial_lr": "the rate that schedules multiply",
    },
}
"""What arguments of a recipe's own words may not be called, and what these names say already."""

VOCABULARY: Final = Vocabulary(
    branches={"optimizer": OPTIMIZERS, "schedule": SCHEDULES, THEN: SEQUELS},
    values={item.name: item for item in _VALUES},
    contradictions=_CONTRADICTIONS,
    repeatable=(THEN,),
)


def vocabulary_for(parallel: str) -> Vocabulary:
    """Return the vocabulary of trials whose workers train in this way, `ddp` or `fsdp`."""
    if parallel != "fsdp":
        return VOCABULARY
    return replace(VOCABULARY, contradictions=VOCABULARY.contradictions + _UNSHARDED)


def vocabulary_of(recipe: Recipe, parallel: str = "ddp") -> Vocabulary:
    """Return `vocabulary_for` with a recipe's options, and with the words that it defines itself.

    Raises:
        InputError: one of its words has the name of one that is here already.
    """
    optimizers, schedules = _words(recipe.optimizers), _words(recipe.schedules)
    problems = _clashes(recipe, "optimizers", OPTIMIZERS) + _clashes(recipe, "schedules", SEQUELS)
    if problems:
        raise InputError(*problems)
    places = tuple(it.name for it in recipe.checkpoints)
    return replace(
        vocabulary_for(parallel).with_options(recipe.options),
        branches={
            "optimizer": {**OPTIMIZERS, **optimizers},
            "schedule": {**SCHEDULES, **schedules},
            THEN: {**SEQUELS, **{name: as_sequel(word) for name, word in schedules.items()}},
        },
        values={**VOCABULARY.values, START.name: replace(START, choices=places)},
    )


def demanding(vocabulary: Vocabulary) -> Vocabulary:
    """Return the vocabulary that a new search is held to, which says nothing in vain.

    Whether one of a recipe's own optimizers decays weights is told by its arguments.
    """
    vain = tuple(
        Contradiction(
            {"optimizer": name, WEIGHT_DECAY_ON.name: MATRICES, L1.name: 0},
            f"{name} has no weight_decay to leave out: call its argument so, or write all",
        )
        for name, word in vocabulary.branches["optimizer"].items()
        if name not in OPTIMIZERS and "weight_decay" not in word.names
    )
    return replace(vocabulary, contradictions=vocabulary.contradictions + vain)


def taken_names(recipe: Recipe) -> list[Problem]:
    """Return which arguments of a recipe's own optimizers and schedules would be taken for something else."""
    return [
        Problem(
            f"{shipped.near(recipe.path)}:{it.line}  {it.name}({argument.name})",
            f"{argument.name} says {taken[argument.name]}. Give this argument another name.",
        )
        for part, taken in _TAKEN.items()
        for it in getattr(recipe, part)
        for argument in it.arguments
        if argument.name in taken
    ]


def _words(definitions: Iterable[Definition]) -> dict[str, Word]:
    return {it.name: Word(it.name, it.doc, tuple(map(_hyperparameter, it.arguments))) for it in definitions}


def _hyperparameter(argument: Argument) -> Hyperparameter:
    """Type an argument; a learning rate is above 0 wherever it comes from."""
    item = Hyperparameter(argument.name, argument.kind, argument.default, "", optional=argument.optional)
    return replace(item, low=0, open_low=True) if item.name == "lr" else item


def _clashes(recipe: Recipe, part: str, known: Collection[str]) -> list[Problem]:
    message = "{} is a word of hpo's own. Give yours another name."
    return [
        Problem(f"{recipe.path}:{it.line}  {part}", message.format(it.name))
        for it in getattr(recipe, part)
        if it.name in known
    ]
