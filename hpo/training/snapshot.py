"""A training as it stands after an epoch: taken, and gone on from, to the last digit.

Nothing of chance is in it, since each epoch draws anew from a seed of its own (`loop.epoch_seed`), and
nothing of the schedule, which is told its past again. What a recipe keeps outside of parameters, buffers
and its optimizer's state is not in it either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor, nn

from hpo.training.loop.gradients import Gradient

PLAIN: Final = "plain"
STACK: Final = "stack"


@dataclass(frozen=True)
class Snapshot:
    """A trial after an epoch.

    Attributes:
        engine: that trained it: each goes on from its own.
        scores: of all its epochs.
        limit: the loss above which it counts as diverged.
        tensors: by name.
        facts: the rest, as JSON has it; see `pack`.
    """

    engine: Literal["plain", "stack"]
    scores: tuple[float, ...]
    limit: float
    tensors: Mapping[str, Tensor]
    facts: Any

    @property
    def epoch(self) -> int:
        """The epochs that it has been trained for."""
        return len(self.scores)

    @property
    def about(self) -> dict[str, Any]:
        """All but the tensors, as JSON has it."""
        return {name: value for name, value in vars(self).items() if name != "tensors"}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot whose parts these are."""
        return cls(about["engine"], tuple(about["scores"]), about["limit"], tensors, about["facts"])


class Parts(NamedTuple):
    """What changes as a model trains plainly; the average is the model itself if there is none."""

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    gradient: Gradient

    def tree(self) -> dict[str, Any]:
        """Return all of it as mappings and lists of tensors and plain values."""
        return {
            "model": dict(_kept(self.model)),
            "average": dict(_kept(self.average)) if self.average is not self.model else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.gradient.state_dict() or None,
        }

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what another's `tree` was."""
        _fill(self.model, tree["model"])
        if self.average is not self.model:
            _fill(self.average, tree["average"])
        self.optimizer.load_state_dict(tree["optimizer"])
        _keep_types(self.optimizer, tree["optimizer"]["state"])
        if tree["scaler"]:
            self.gradient.load_state_dict(tree["scaler"])


def _kept(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


@torch.no_grad()
def _fill(model: nn.Module, found: Mapping[str, Tensor]) -> None:
    for name, item in _kept(model):
        item.copy_(found[name])


def _keep_types(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Any]]) -> None:
    """Undo what `load_state_dict` does to tensors of another type than their parameter: casting them."""
    parameters = [item for group in optimizer.param_groups for item in group["params"]]
    for number, kept in state.items():
        own = optimizer.state[parameters[number]]
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.dtype != own[name].dtype:
                own[name] = value.to(parameters[number].device)


def pack(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Part mappings, lists, tuples and plain values from the tensors among them, named by where they were.

    >>> pack({"steps": (3, None), "mean": torch.ones(1)})
    ({'mean': tensor([1.])}, {'map': [['steps', {'tuple': [3, None]}], ['mean', {'tensor': 'mean'}]]})

    Raises:
        TypeError: something else is among them.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _packed(tree, "", tensors)


def _packed(item: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    def below(key: object, value: Any) -> Any:
        return _packed(value, f"{name}.{key}" if name else str(key), tensors)

    if isinstance(item, Tensor):
        tensors[name] = item
        return {"tensor": name}
    if isinstance(item, Mapping):
        return {"map": [[key, below(key, value)] for key, value in item.items()]}
    if isinstance(item, list | tuple):
        packed = [below(number, value) for number, value in enumerate(item)]
        return packed if isinstance(item, list) else {"tuple": packed}
    if item is None or isinstance(item, bool | int | float | str):
        return item
    raise TypeError(f"{name} is a {type(item).__name__}, which a checkpoint cannot hold")


def unpack(tensors: Mapping[str, Tensor], facts: Any) -> Any:
    """Put together what `pack` has parted."""
    if isinstance(facts, list):
        return [unpack(tensors, item) for item in facts]
    if not isinstance(facts, Mapping):
        return facts
    ((kind, value),) = facts.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "tuple":
        return tuple(unpack(tensors, item) for item in value)
    return {key: unpack(tensors, item) for key, item in value}
