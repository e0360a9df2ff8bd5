"""How much memory a model takes in training: foretold from shapes alone, and measured after a step.

Bytes that do not depend on the batch: the parameters, a gradient for each, and what the optimizer keeps
between steps. Adam keeps two more copies of the model, SGD with momentum one, Adafactor rows and columns.
A moving average of the weights is one more copy, with its buffers.
Activations come on top, as do the few copies that an optimizer makes while it steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor, nn

from hpo.config import Config
from hpo.machine import limits
from hpo.training.loop.batches import free_on_gpu
from hpo.training.words.optimizers import OPTIMIZERS
from hpo.training.words.values import EMA

_CONTEXT: Final = 2**29  # CUDA's own part of a process on a GPU: the context, kernels, libraries
_COUNTER: Final = torch.float32.itemsize
_FULL: Final = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
_AVERAGED: Final = torch.int64.itemsize  # how many steps an average has followed


@dataclass(frozen=True)
class Memory:
    """Bytes of parameters, of gradients, of what the optimizer keeps between steps, of averaged weights."""

    parameters: int
    gradients: int
    state: int
    average: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.gradients + self.state + self.average

    @property
    def parts(self) -> dict[str, int]:
        """Each part by its name, and their `total`."""
        return {**asdict(self), "total": self.total}


def predict(config: Config, model: nn.Module) -> Memory:
    """Foretell the memory of a configuration's optimizer and a model, which may be on the device `meta`.

    For lbfgs this is the most that it comes to, once its history is full.

    Raises:
        ValueError: the optimizer is a recipe's own, of which nobody knows what it keeps.
    """
    if not is_known(config):
        raise ValueError(f"what {config['optimizer']} keeps is known only to the recipe")
    optimizer, hyperparameters = OPTIMIZERS[str(config["optimizer"])], config.below("optimizer")
    trained = sorted(_trained(model), key=lambda item: item.element_size())
    state = 0
    for size, alike in groupby(trained, key=lambda item: item.element_size()):
        kept = optimizer.keeps([tuple(item.shape) for item in alike], hyperparameters)
        state += size * kept.numbers + _COUNTER * kept.counters
    average = 0 if config[EMA.name] is None else _bytes(_kept(model)) + _AVERAGED
    return Memory(_bytes(model.parameters()), _bytes(trained), state, average)


def is_known(config: Config) -> bool:
    """Whether it is known beforehand what a configuration's optimizer keeps."""
    return config["optimizer"] in OPTIMIZERS


def measure(optimizer: torch.optim.Optimizer, model: nn.Module, evaluated: nn.Module | None = None) -> Memory:
    """Add up what is there after a step; `evaluated` is the model's moving average, where there is one."""
    gradients = (item.grad for item in _trained(model) if item.grad is not None)
    average = 0 if evaluated in (None, model) else _bytes(_kept(evaluated))
    return Memory(_bytes(model.parameters()), _bytes(gradients), _bytes(_tensors(optimizer.state)), average)


def _kept(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def available(device: str, share: float) -> int:
    """Return the bytes that a process with such a share of a device can have now."""
    if torch.device(device).type == "cuda":
        return free_on_gpu(device)
    return int(share * limits.memory().available)


def most(device: str, share: float) -> int:
    """Return the bytes that a process with such a share of a device may fill with tensors.

    Where several share a GPU, each one's CUDA takes its own part beside them.
    """
    if torch.device(device).type != "cuda":
        return int(share * limits.memory().total)
    own = int(share * torch.cuda.mem_get_info(device)[1])
    return own if share == 1 else max(own - _CONTEXT, own // 2)


def fence(device: str, share: float) -> None:
    """Have torch run out of memory at this process's share of a GPU, which cannot reach into another's then.

    Nothing keeps a process from more of a CPU's memory.
    """
    if torch.device(device).type == "cuda" and share < 1:
        whole = torch.cuda.mem_get_info(device)[1]
        own = most(device, share) / whole
        torch.cuda.set_per_process_memory_fraction(own, torch.device(device).index)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory is full: Python's, the GPU's, or that of who has no error of its own for it.

    Those are torch on CPUs, and cuBLAS and cuDNN, which ask the GPU for what torch's allocator has put by.
    """
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or (isinstance(error, RuntimeError) and any(it in str(error) for it in _FULL))


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [item for item in model.parameters() if item.requires_grad]


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(item.numel() * item.element_size() for item in tensors)


def _tensors(kept: Any) -> Iterator[Tensor]:
    """Yield the tensors in an optimizer's state, however deep."""
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, Mapping | list):
        for item in kept.values() if isinstance(kept, Mapping) else kept:
            yield from _tensors(item)
