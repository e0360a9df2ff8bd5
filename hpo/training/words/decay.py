"""How far a learning rate is still to fall, as its configuration says before anything is trained."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final

from hpo.config import Config, Value
from hpo.training.words.schedule_words import THEN, schedule_call
from hpo.training.words.schedules import OwnSchedule

_STEPS: Final = 8  # of an epoch: schedules mean the same whatever the number
_HEADS: Final = ("schedule", "warmup", THEN)  # with what the keys of a schedule begin


def left_to_fall(config: Config, epoch: int, epochs: int) -> float:
    """Return by what share of itself the rate will fall from its highest after this epoch to the last step.

    A rate that is still to rise falls from there. 0 where that cannot be foretold: `plateau`, and what a
    recipe defines.
    """
    return _falls(tuple((key, value) for key, value in config.items() if key.startswith(_HEADS)), epochs)[
        epoch
    ]


@lru_cache(maxsize=1024)
def _falls(said: tuple[tuple[str, Value], ...], epochs: int) -> list[float]:
    """Return the same after each epoch but the last: many trials share what is said of a schedule."""
    call = schedule_call(Config(dict(said)))
    if (OwnSchedule.__module__, OwnSchedule.__name__) in call.ours:
        return [0.0] * epochs
    schedule, steps = call.build(), _STEPS * epochs
    factors = [schedule.factor(step, steps) for step in range(steps)]
    highest = [*accumulate(reversed(factors), max)][::-1]  # from each step on
    return [float(it - factors[-1]) for it in highest[::_STEPS]]
