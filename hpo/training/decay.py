"""How far a learning rate is still to fall, as its configuration says before anything is trained."""

from __future__ import annotations

from typing import Final

from hpo.config import Config
from hpo.training.schedule_words import schedule_call
from hpo.training.schedules import OwnSchedule

_STEPS: Final = 8  # of an epoch: schedules mean the same whatever the number


def left_to_fall(config: Config, epoch: int, epochs: int) -> float:
    """Return by what share of itself the rate will fall from its highest after this epoch to the last step.

    A rate that is still to rise falls from there. 0 where that cannot be foretold: `plateau`, and what a
    recipe defines.
    """
    call = schedule_call(config)
    if (OwnSchedule.__module__, OwnSchedule.__name__) in call.ours:
        return 0.0
    schedule, steps = call.build(), _STEPS * epochs
    factors = [schedule.factor(step, steps) for step in range(steps)]
    return float(max(factors[_STEPS * epoch :]) - factors[-1])
