"""The schedules: by what the learning rate is multiplied at each step.

A schedule is asked for each step's factor, and told each epoch's score, to which one may respond.
Each class stands alone, since an export prints the source of those that were used. All lengths are
shares of the steps that a schedule has, so that they mean the same in a short run and in a long one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Schedule:
    """By what the learning rate is multiplied."""

    def factor(self, step: int, steps: int) -> float:
        """Return the factor of one step of all `steps`; they are counted from 0 and asked for in order."""
        raise NotImplementedError

    def hear(self, cost: float, step: int, steps: int) -> None:
        """Be told what validation came to after `step` of all `steps`, less being better."""


@dataclass
class ConstantSchedule(Schedule):
    """Stay at 1."""

    def factor(self, _step: int, _steps: int) -> float:
        """Return 1."""
        return 1.0


@dataclass
class StepSchedule(Schedule):
    """Multiply by `gamma` each time a share `step_size` of the run has passed: StepLR."""

    step_size: float
    gamma: float

    def factor(self, step: int, steps: int) -> float:
        """Return gamma^floor(step / size)."""
        return self.gamma ** (step // max(1, round(self.step_size * steps)))


@dataclass
class MultiStepSchedule(Schedule):
    """Multiply by `gamma` at two shares of the run: MultiStepLR."""

    milestone_1: float
    milestone_2: float
    gamma: float

    def factor(self, step: int, steps: int) -> float:
        """Return gamma^(milestones passed)."""
        milestones = (self.milestone_1, self.milestone_2)
        return self.gamma ** sum(step >= max(1, round(milestone * steps)) for milestone in milestones)


@dataclass
class ExponentialSchedule(Schedule):
    """Fall by the same share at each step, from 1 to `end_factor` at the end: ExponentialLR."""

    end_factor: float

    def factor(self, step: int, steps: int) -> float:
        """Return end_factor^(step / steps)."""
        return math.pow(self.end_factor, step / steps)


@dataclass
class LinearSchedule(Schedule):
    """Fall along a straight line, from 1 to `end_factor` after a share `decay_size`, and stay: LinearLR."""

    end_factor: float
    decay_size: float

    def factor(self, step: int, steps: int) -> float:
        """Return 1 - (1 - end_factor) step / decay, with no more steps than those of the decay."""
        decay = max(1, round(self.decay_size * steps))
        return 1 - (1 - self.end_factor) * min(step, decay) / decay


@dataclass
class PolynomialSchedule(Schedule):
    """Fall along a power of the share that is left of `decay_size`, from 1 to `end_factor`: PolynomialLR."""

    power: float
    end_factor: float
    decay_size: float

    def factor(self, step: int, steps: int) -> float:
        """Return end_factor + (1 - end_factor) (1 - step / decay)^power, and stay when the decay is over."""
        decay = max(1, round(self.decay_size * steps))
        return self.end_factor + (1 - self.end_factor) * math.pow(1 - min(step, decay) / decay, self.power)


@dataclass
class CosineSchedule(Schedule):
    """Fall along half a cosine wave, from 1 to `end_factor` at the end: CosineAnnealingLR."""

    end_factor: float

    def factor(self, step: int, steps: int) -> float:
        """Return end_factor + (1 - end_factor) (1 + cos(pi step / steps)) / 2."""
        return self.end_factor + (1 - self.end_factor) * (1 + math.cos(math.pi * step / steps)) / 2


@dataclass
class CosineRestartsSchedule(Schedule):
    """Fall along half a cosine wave and start again: CosineAnnealingWarmRestarts.

    The first cycle takes a share `cycle_size` of the run (T_0), each other `growth` times the one
    before (T_mult).
    """

    cycle_size: float
    growth: int
    end_factor: float

    def factor(self, step: int, steps: int) -> float:
        """Return end_factor + (1 - end_factor) (1 + cos(pi step / cycle)) / 2, both counted in the cycle."""
        cycle = max(1, round(self.cycle_size * steps))
        while step >= cycle:
            step, cycle = step - cycle, cycle * self.growth
        return self.end_factor + (1 - self.end_factor) * (1 + math.cos(math.pi * step / cycle)) / 2


@dataclass
class InverseSqrtSchedule(Schedule):
    """Fall with the root of the steps taken.

    The Transformer's schedule is this one after a warm-up, if `timescale` is as long as the warm-up.
    """

    timescale: float

    def factor(self, step: int, steps: int) -> float:
        """Return 1 / sqrt(1 + step / scale)."""
        return 1 / math.sqrt(1 + step / max(1, round(self.timescale * steps)))


@dataclass
class OneCycleSchedule(Schedule):
    """Rise from 1 / div_factor to 1, then fall to 1 / (div_factor final_div_factor): OneCycleLR.

    Both ways go along half a cosine wave. The momentum stays: only the learning rate cycles.
    """

    pct_start: float
    div_factor: float
    final_div_factor: float

    def factor(self, step: int, steps: int) -> float:
        """Return low + (high - low) (1 + cos(pi way)) / 2, where way is the share since or to the top."""
        top = self.pct_start * steps - 1
        if step <= top:
            low, way = 1 / self.div_factor, 1 - step / top if top else 0.0
        else:
            low = 1 / (self.div_factor * self.final_div_factor)
            way = (step - max(top, 0)) / max(1, steps - 1 - max(top, 0))
        return low + (1 - low) * (1 + math.cos(math.pi * way)) / 2


@dataclass
class StableDecaySchedule(Schedule):
    """Stay at 1, then fall along a straight line to `end_factor` in the last `decay_size` of the run."""

    decay_size: float
    end_factor: float

    def factor(self, step: int, steps: int) -> float:
        """Return 1 - (1 - end_factor) (step - start) / decay from the start of the decay on."""
        decay = max(1, round(self.decay_size * steps))
        return 1 - (1 - self.end_factor) * max(0, step - (steps - decay)) / decay


@dataclass
class PlateauSchedule(Schedule):
    """Multiply by `gamma` when more than `patience` epochs in a row have brought nothing: ReduceLROnPlateau.

    An epoch brings something if it costs less than the best one by a share `threshold` of it.
    """

    gamma: float
    patience: int
    threshold: float
    level: float = field(default=1.0, init=False)
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)

    def factor(self, _step: int, _steps: int) -> float:
        """Return gamma^(plateaus so far)."""
        return self.level

    def hear(self, cost: float, _step: int, _steps: int) -> None:
        """Count the epochs since the best one."""
        if math.isinf(self.best) or cost < self.best - self.threshold * abs(self.best):
            self.best, self.waited = cost, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.level, self.waited = self.level * self.gamma, 0


@dataclass
class RiseSchedule(Schedule):
    """Rise along a straight line to 1, which the step after the last one has, arXiv:1706.02677."""

    def factor(self, step: int, steps: int) -> float:
        """Return (step + 1) / (steps + 1)."""
        return (step + 1) / (steps + 1)


@dataclass
class SequentialSchedule(Schedule):
    """Follow one schedule for a share `switch` of the run, another for the rest: SequentialLR.

    Each is asked and told as if it were alone. The second is multiplied by `start_factor`.
    """

    first: Schedule
    second: Schedule
    switch: float
    start_factor: float = 1.0

    def factor(self, step: int, steps: int) -> float:
        """Return the factor of the one whose turn it is."""
        switch = round(self.switch * steps)
        if step < switch:
            return self.first.factor(step, switch)
        return self.start_factor * self.second.factor(step - switch, steps - switch)

    def hear(self, cost: float, step: int, steps: int) -> None:
        """Tell the one whose turn it was."""
        switch = round(self.switch * steps)
        if step <= switch:
            self.first.hear(cost, step, switch)
        else:
            self.second.hear(cost, step - switch, steps - switch)


class OwnSchedule(Schedule):
    """Follow what a recipe defines.

    That is a function of step, steps and hyperparameters; or a class that takes the hyperparameters and has
    `factor(step, steps)`, and `hear(cost)` if it minds what epochs come to.
    """

    def __init__(self, follow: Callable[..., Any], **hyperparameters: Any) -> None:
        """Make what a class stands for; a function waits for its steps."""
        made = follow(**hyperparameters) if isinstance(follow, type) else None
        self.ask = made.factor if made else functools.partial(follow, **hyperparameters)
        self.tell = getattr(made, "hear", None)

    def factor(self, step: int, steps: int) -> float:
        """Ask for the factor."""
        return float(self.ask(step, steps))

    def hear(self, cost: float, _step: int, _steps: int) -> None:
        """Pass it on."""
        if self.tell:
            self.tell(cost)
