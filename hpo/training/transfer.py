"""Starting from what another training has learned: fill, freeze, and learn slowly what was filled."""

import difflib
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from hpo.training.checkpoint import CheckpointError, read_checkpoint

Groups = Iterable[nn.Parameter] | list[dict[str, Any]]


class Start(NamedTuple):
    """The names of a model's parameters and buffers: filled by a checkpoint, or kept as they were drawn."""

    filled: list[str]
    kept: list[str]

    def __str__(self) -> str:
        """Say it in a line."""
        kept = f"; as initialized: {', '.join(self.kept)}" if self.kept else ""
        return f"{len(self.filled)} of {len(self.filled) + len(self.kept)} tensors filled{kept}"


@torch.no_grad()
def start(model: nn.Module, path: str | Path) -> Start:
    """Fill each parameter and buffer that a checkpoint has under the same name in the same shape.

    The rest, such as a new head, stays as it is.

    Raises:
        CheckpointError: the file cannot be read, or no parameter fits.
    """
    found, own = read_checkpoint(path).tensors, model.state_dict()
    filled = [name for name, item in own.items() if name in found and found[name].shape == item.shape]
    if not {name for name, _ in model.named_parameters()}.intersection(filled):
        theirs = {name: list(item.shape) for name, item in found.items()}
        ours = {name: list(item.shape) for name, item in model.named_parameters()}
        raise CheckpointError(
            f"{path}: no parameter fits. The file has {shapes(theirs)}; the model {shapes(ours)}."
        )
    for name in filled:
        own[name].copy_(found[name])
    return Start(filled, [name for name in own if name not in filled])


def shapes(tensors: dict[str, list[int]]) -> str:
    """Name the first of some tensors, with their shapes."""
    named = [f"{name} {shape}" for name, shape in sorted(tensors.items())[:4]]
    return ", ".join(named) + (", …" if len(tensors) > len(named) else "")


def freeze(model: nn.Module, names: str) -> None:
    """Keep from learning what is named by one of these patterns, as in a shell, with commas between them.

    A normalization layer of which nothing learns keeps its running statistics, too, and normalizes by them.

    Raises:
        ValueError: a pattern matches no parameter, or nothing is left to learn.
    """
    patterns = [pattern.strip() for pattern in names.split(",")]
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        if not matching(parameters, [pattern]):
            near = difflib.get_close_matches(pattern, parameters, n=3, cutoff=0.0)
            raise ValueError(
                f"freeze: no parameter is called {pattern!r}. The nearest are {', '.join(near)}."
            )
    for name in matching(parameters, patterns):
        parameters[name].requires_grad_(False)  # noqa: FBT003
    if not any(item.requires_grad for item in parameters.values()):
        raise ValueError(f"freeze: {names!r} leaves nothing to learn; it matches every parameter.")
    for name, layer in model.named_modules():
        if isinstance(layer, _NormBase) and is_frozen(layer, name, patterns):
            layer.register_forward_pre_hook(hold)


def is_frozen(layer: nn.Module, name: str, patterns: list[str]) -> bool:
    """Whether the patterns match all parameters of a layer, or all its buffers if it has none."""
    own = [item for item, _ in layer.named_parameters(name, recurse=False)]
    own = own or [item for item, _ in layer.named_buffers(name, recurse=False)]
    return bool(own) and matching(own, patterns) == own


def matching(names: Iterable[str], patterns: list[str]) -> list[str]:
    """Return the names that one of the patterns matches."""
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def hold(layer: nn.Module, _inputs: object) -> None:
    """Let a layer work as in evaluation, whatever its model does."""
    layer.eval()


def slow(parameters: Groups, model: nn.Module, names: Collection[str], factor: float) -> list[dict[str, Any]]:
    """Group parameters, or groups of them, so that those of these names have `factor` times the rate.

    The others come first: a step reports the rate of the first group.
    """
    listed: list[Any] = list(parameters)
    groups = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]
    slowed = {id(item) for name, item in model.named_parameters() if name in names}
    others = [{**it, "params": [item for item in it["params"] if id(item) not in slowed]} for it in groups]
    chosen = [{**it, "params": [item for item in it["params"] if id(item) in slowed]} for it in groups]
    return [*others, *({**group, "lr_factor": factor} for group in chosen)]
