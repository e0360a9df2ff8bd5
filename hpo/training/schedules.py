"""The schedules: by what the learning rate is multiplied at each step.

A schedule is one pure function `factor(step, steps, **hyperparameters)` with `step` from 0 to
`steps` - 1. Each stands alone, since an export prints the source of the one that was used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from hpo.config import Config
from hpo.vocabulary import Hyperparameter, Word


def constant_factor(_step: int, _steps: int) -> float:
    """Stay at 1."""
    return 1.0


def step_factor(step: int, steps: int, step_size: float, gamma: float) -> float:
    """Multiply by `gamma` each time a share `step_size` of the run has passed."""
    return gamma ** (step // max(1, round(step_size * steps)))


def exponential_factor(step: int, steps: int, end_factor: float) -> float:
    """Fall by the same share at each step, from 1 to `end_factor` at the end."""
    return math.pow(end_factor, step / steps)


def cosine_factor(step: int, steps: int, end_factor: float) -> float:
    """Fall along half a cosine wave, from 1 to `end_factor` at the end."""
    return end_factor + (1 - end_factor) * (1 + math.cos(math.pi * step / steps)) / 2


def learning_rates(
    steps: int, lr: float, warmup: float, factor: Callable[..., float], **hyperparameters: float
) -> list[float]:
    """Return the learning rate of each step.

    A straight rise takes the first `warmup` share of the steps, the schedule `factor` the rest.
    """
    rise = round(warmup * steps)
    rest = steps - rise
    rising = [lr * (step + 1) / (rise + 1) for step in range(rise)]
    return rising + [lr * factor(step, rest, **hyperparameters) for step in range(rest)]


@dataclass(frozen=True)
class Schedule(Word):
    """A word and the function that it stands for."""

    factor: Callable[..., float] = constant_factor


def _end_factor(default: float, *, open_low: bool) -> Hyperparameter:
    doc = "what is left of the learning rate at the end"
    return Hyperparameter("end_factor", float, default, doc, low=0, high=1, open_low=open_low)


_WORDS: Final = (
    Schedule("constant", "Always the same learning rate", factor=constant_factor),
    Schedule(
        "step",
        "A sudden drop at regular intervals",
        (
            Hyperparameter("step_size", float, 0.3, "share of the run between drops", 0, 1, open_low=True),
            Hyperparameter("gamma", float, 0.1, "what is left after a drop", 0, 1, open_low=True),
        ),
        factor=step_factor,
    ),
    Schedule(
        "exponential",
        "The same share less at each step",
        (_end_factor(0.01, open_low=True),),
        factor=exponential_factor,
    ),
    Schedule(
        "cosine",
        "Half a cosine wave, slow at both ends",
        (_end_factor(0.0, open_low=False),),
        reference="Loshchilov and Hutter 2016, arXiv:1608.03983",
        factor=cosine_factor,
    ),
)

SCHEDULES: Final[Mapping[str, Schedule]] = {word.name: word for word in _WORDS}


def rates(config: Config, steps: int) -> list[float]:
    """Return the learning rate of each of the `steps` that a complete configuration takes in all."""
    schedule = SCHEDULES[str(config["schedule"])]
    lr, warmup = cast("float", config["optimizer.lr"]), cast("float", config["warmup"])
    return learning_rates(
        steps, lr, warmup, schedule.factor, **cast("dict[str, float]", config.below("schedule"))
    )
