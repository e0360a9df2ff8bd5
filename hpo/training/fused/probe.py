"""How many trials to train at once: measured, as long as that pays, with the recipe's own baseline.

What is slower is never chosen, nor what is hardly faster; more must be gained where a search learns, since
proposals that are made together are made without each other's results. How many fit into memory is
foretold from what one of them keeps for its way back, before any of it is used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final

import torch
from torch import Tensor

from hpo.config import Config
from hpo.protocol import Choice
from hpo.training import memory, plain
from hpo.training.beginning import make_model
from hpo.training.engine import Engine, Member, Task
from hpo.training.fused import engine as fused
from hpo.training.fused.excerpt import excerpt, size_of
from hpo.training.loop.batches import Split, place
from hpo.training.loop.loaders import read, samples_per_step

_SIZES: Final = (2, 4, 8, 16, 32, 64, 128, 256, 512)
_STEPS: Final = 4
_SECONDS: Final = 1.0
_SHARE: Final = 0.04
"""So much of a round, in which each of the trials trains once, may be measured, where that is longer."""
_MOST_SECONDS: Final = 10.0
"""Nobody waits longer than that, however long the search."""
_ENOUGH_SECONDS: Final = 0.1  # for one size
_EPOCHS: Final = 10
_GAIN: Final = 1.05
"""So many times faster a stack must be than one by one to be used at all."""
_DOUBLED: Final = 1.15
"""So many times faster twice as many at once must be where they cannot learn from each other, but should."""
_PROGRESS: Final = 0.95
"""More at once will not do, if two sizes took no less than this part of the time that fewer took."""


def choose(
    task: Task, config: Config, most: int, budget: float | None = None, *, learns: bool = True
) -> Choice:
    """Time plain training and stacks of growing size, and choose what is worth most to a search.

    Args:
        task: the recipe and its data.
        config: a complete configuration, such as the baseline.
        most: how many trials there are to share.
        budget: bytes that may be used; None for no limit.
        learns: whether it proposes by what earlier trials came to.
    """
    splits, share = _few(task, config)
    small = replace(task, splits=splits, epochs=1_000_000)
    alone = _seconds(plain.train, small, config, 1)
    patience = _patience(most * task.epochs * alone / share)
    most, because = _within(small, config, most, budget)
    times = _stacks(small, config, most, patience)
    alone = min(alone, _seconds(plain.train, small, config, 1))  # no gain from a busy moment at first
    return _choice({1: alone, **times}, because, _DOUBLED if learns else _GAIN)


def _stacks(task: Task, config: Config, most: int, patience: float) -> dict[int, float]:
    """Return how long an epoch takes for each trial of stacks of growing size, as long as more may help."""
    first, *others = _SIZES
    times = {size: _seconds(fused.train, task, config, size) / size for size in (first,) if size <= most}
    started = time.perf_counter()  # the first size also paid for all that torch does only once
    for size in takewhile(lambda size: size <= most, others):
        began = time.perf_counter()
        try:
            times[size] = _seconds(fused.train, task, config, size) / size
        except (RuntimeError, MemoryError):  # for lack of memory, say; what smaller ones took stands
            break
        now = time.perf_counter()
        impatient = now + 2 * (now - began) > started + patience  # the next takes up to twice as long
        if impatient or not _progresses([*times.values()]):
            break
    return times


def _progresses(seconds: Sequence[float]) -> bool:
    """Whether one of the last two sizes was faster than those before; one alone may have been held up."""
    *before, last_but_one, last = seconds
    return not before or min(last_but_one, last) <= _PROGRESS * min(before)


def _patience(seconds: float) -> float:
    """Return how long may be measured, where all trials, one by one, take so many seconds."""
    return min(max(_SECONDS, _SHARE * seconds), _MOST_SECONDS)


def _choice(times: dict[int, float], because: str, doubled: float = _DOUBLED) -> Choice:
    gains = {size: times[1] / seconds for size, seconds in times.items() if size > 1}
    tried = ", ".join(f"{size}: {gain:.1f}x" for size, gain in gains.items()) or "none"
    best = max((1, *gains), key=lambda size: gains.get(size, 1.0) / doubled ** math.log2(size))
    if best == 1:
        return Choice(1, 2, f"1 at a time: several at once are not enough faster ({tried}){because}")
    least = min(size for size, gain in gains.items() if gain >= _GAIN)
    told = f"{gains[best]:.1f}x as fast as one by one ({tried}){because}"
    return Choice(best, least, f"{best} at a time: {told}")


def _within(task: Task, config: Config, most: int, budget: float | None) -> tuple[int, str]:
    if budget is None:
        return most, ""
    fit = max(1, int(budget / footprint(task, config)))
    return (fit, f"; memory is for {fit}") if fit < most else (most, "")


def footprint(task: Task, config: Config) -> int:
    """Return the bytes that one trial needs at its peak: weights, gradients, state, and its way back.

    What autograd keeps for the way back is counted by running one batch forward. Weights count twice,
    since a step works on copies.
    """
    model = make_model(task, config)
    kept = memory.predict(config, model)
    batch = next(iter(read(place(task.splits["train"], task.device), Member(0, config).batch_size, 0)))
    counted: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        counted[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = task.recipe.loss(model(batch[0].to(task.device)), batch[1].to(task.device))
    del loss
    return kept.parameters + kept.total + 2 * sum(counted.values())


def _seconds(train: Engine, task: Task, config: Config, size: int) -> float:
    """Return how long an epoch takes, once warm."""
    progress = train(task, [Member(number, config) for number in range(size)])
    next(progress)
    return min(_durations(progress, task.device))


def _durations(progress: Iterator[Any], device: str) -> Iterator[float]:
    """Yield how long each of several epochs takes: at least three, and more if they are short."""
    spent, count, clock = 0.0, 0, _clock(device)
    while count < 3 or (spent < _ENOUGH_SECONDS and count < _EPOCHS):
        started = clock()
        next(progress)
        seconds = clock() - started
        yield seconds
        spent, count = spent + seconds, count + 1


def _clock(device: str) -> Callable[[], float]:
    """Return the clock to measure by: where one thread does all, the processor's, which nobody holds up."""
    return time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter


def _few(task: Task, config: Config) -> tuple[dict[str, Split], float]:
    """Return a few steps' worth of the training data, as large a share of the validation data, and which."""
    train, validation = task.splits["train"], task.splits["validation"]
    samples = size_of(train)
    rows = min(_STEPS * samples_per_step(train, Member(0, config).batch_size), samples)
    share = rows / samples
    few = excerpt(validation, max(1, round(share * size_of(validation))))
    return {"train": excerpt(train, rows), "validation": few}, share
