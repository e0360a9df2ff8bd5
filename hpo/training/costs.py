"""What a training costs, known after some steps of it: its memory at the peak, and the time of a step.

The plain engine takes these steps with a model that is then thrown away, so that what is measured is the
trial's own, whatever trains beside it, and the trial's chance is not touched.

Memory is that of tensors: weights, gradients, what the optimizer keeps, the batch, activations, and the
copies that a step makes on its way; not the data, which all trials share. On a GPU it is what torch's
allocator had given out at most; on a CPU, where a process cannot tell one trial's share, the sizes of all
storages that were alive at once, taken down operation by operation. What a kernel needs inside itself is not
seen there.
"""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from hpo.config import Config
from hpo.recipe import MEMORY, SECONDS
from hpo.training import memory, plain
from hpo.training.engine import Member, Task
from hpo.training.loop.batches import place
from hpo.training.loop.loaders import cuts_by_size, samples_per_step
from hpo.training.plain import Rehearsal
from hpo.training.words.values import ACCUMULATE

_WARM: Final = 2
"""Steps that are not timed: the first ones fill caches."""
_LEAST_STEPS: Final = 5
_MOST_STEPS: Final = 200
_ENOUGH_SECONDS: Final = 0.2
_FEW: Final = (2, 4)  # samples of a micro-batch, from which the memory of more is foretold


class Alive(TorchDispatchMode):
    """Adds up the bytes of all storages that operations make while they are alive.

    `most` is the most of it so far, `forward` the most while gradients were being recorded.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = self.forward = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and take down what it made."""
        made = func(*args, **(kwargs or {}))
        for item in tree_leaves(made):
            if isinstance(item, Tensor):
                self._take(item.untyped_storage())
        return made

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        if torch.is_grad_enabled():  # as it is on the way forward only
            self.forward = max(self.forward, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size

    def forget(self) -> None:
        """Let what is alive now be the most so far."""
        self.most = self.forward = self.now


def measure(task: Task, config: Config, names: Collection[str]) -> dict[str, float]:
    """Take some steps with a configuration and return its costs of these names: `memory`, `seconds`.

    Raises:
        torch.OutOfMemoryError: the GPU has not enough of it.
        Exception: whatever the recipe raises.
    """
    known: dict[str, Callable[[], float]] = {
        MEMORY: lambda: peak(task, config),
        SECONDS: lambda: _seconds(_rehearse(task, config).steps),
    }
    return {name: known[name]() for name in names}


def peak(task: Task, config: Config) -> int:
    """Return the most bytes that a training holds, by its second step and what its optimizer will keep."""
    rehearsed, most = _allocated(task, config) if _on_gpu(task) else _counted(task, config)
    return most + _missing(config, rehearsed)


def foretell(task: Task, config: Config) -> int:
    """Return about how many bytes a training needs at least, without using as many.

    What is alive on the way forward is a line over the samples of a batch; two small batches give it.
    """
    batch, parts = Member(0, config).batch_size, cast("int", config[ACCUMULATE.name])
    low, high = (few * parts for few in _FEW)
    train = task.splits["train"]
    if isinstance(train, DataLoader) and not cuts_by_size(train):
        return 0  # its batches are not ours to cut
    if (size := samples_per_step(train, batch)) <= high:
        return 0  # a small batch is no risk
    first, second = (_forward(task, config | {"batch_size": samples}) for samples in (low, high))
    return first + (second - first) * (size - low) // (high - low)


def _forward(task: Task, config: Config) -> int:
    alive = Alive()
    _take_two(alive, alive.forget, task, config)
    return alive.forward


def _counted(task: Task, config: Config) -> tuple[Rehearsal, int]:
    alive = Alive()
    rehearsed = _take_two(alive, alive.forget, task, config)
    return rehearsed, alive.most


def _allocated(task: Task, config: Config) -> tuple[Rehearsal, int]:
    """Return the same as the GPU's allocator knows it."""
    placed = _placed(task)
    next(_rehearse(placed, config).steps)  # CUDA's libraries keep the scratch of a first step
    gc.collect()
    before = torch.cuda.memory_allocated(task.device)
    forget = partial(torch.cuda.reset_peak_memory_stats, task.device)
    rehearsed = _take_two(nullcontext(), forget, placed, config)
    return rehearsed, torch.cuda.max_memory_allocated(task.device) - before


def _take_two(
    watch: AbstractContextManager[object], forget: Callable[[], None], task: Task, config: Config
) -> Rehearsal:
    """Take two steps under watch. In the second all is there that stays, so what was before is forgotten."""
    placed = _placed(task)
    with watch:
        rehearsed = _rehearse(placed, config)
        next(rehearsed.steps)
        forget()
        next(rehearsed.steps)
    return rehearsed


def _placed(task: Task) -> Task:
    """Return the task with its data on the device, since they are no trial's own."""
    return replace(task, splits={"train": place(task.splits["train"], task.device)})


def _rehearse(task: Task, config: Config) -> Rehearsal:
    return plain.rehearse(replace(task, snapshots=None), Member(0, config))


def _missing(config: Config, rehearsed: Rehearsal) -> int:
    """Return what the optimizer does not keep yet, as LBFGS with its history."""
    if not memory.is_known(config):
        return 0
    model, optimizer, _ = rehearsed
    return max(0, memory.predict(config, model).state - memory.measure(optimizer, model).state)


def _on_gpu(task: Task) -> bool:
    return torch.device(task.device).type == "cuda"


def _seconds(steps: Iterator[object]) -> float:
    """Return the median time of a step, once warm."""
    for _ in range(_WARM):
        next(steps)
    times: list[float] = []
    while len(times) < _LEAST_STEPS or (sum(times) < _ENOUGH_SECONDS and len(times) < _MOST_STEPS):
        started = time.perf_counter()
        next(steps)
        times.append(time.perf_counter() - started)
    return median(times)
