"""Who trains with whom: trials whose models differ only in numbers share a stack; others say why not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from hpo.config import Config
from hpo.training.engine import Member, Task
from hpo.training.fused.measures import Losses
from hpo.training.fused.rules import RULES
from hpo.training.fused.stack import Stack, droppers
from hpo.training.fused.updates import family
from hpo.training.loop.gradients import Batch
from hpo.training.memory import lacks_memory
from hpo.training.snapshot import PLAIN
from hpo.training.transfer import Start
from hpo.training.words.values import ACCUMULATE, FULL_PRECISION, PRECISION

_ANY_LAYER: Final = frozenset(vars(nn.Module())) | {"_flat_weights", "_flat_weight_refs"}
"""What torch keeps in a layer, a recurrent one included, beside what makes it what it is."""
_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Group:
    """Members that train together: in one stack of their models, or plainly for a reason."""

    members: list[Member]
    models: list[nn.Module]
    starts: list[Start]
    reason: str = ""

    @property
    def filled(self) -> list[str]:
        """What a checkpoint has filled, in those that start from one."""
        return next((start.filled for start in self.starts if start.filled), [])


def split(
    task: Task,
    members: Sequence[Member],
    make: Callable[[Task, Config], tuple[nn.Module, Start]],
    first: Callable[[Member], Batch],
    least: int,
) -> list[Group]:
    """Split members into groups.

    Args:
        task: what they have in common.
        members: with complete configurations.
        make: makes a member's model, and says what a checkpoint has filled of it.
        first: gives a member's first batch, to try a group's models on.
        least: how many must be alike to be stacked.
    """
    alone, fusible = _sorted_out(members)
    groups = [Group([member], [], [], reason) for member, reason in alone]
    for alike in _alike(fusible, lambda member: make(task, member.config)):
        if len(alike.members) < least and not alike.members[0].done:
            reason = f"Its cohort has fewer than {least} trials with a like model and batch size"
        else:
            reason = _obstacle(task, alike, first(alike.members[0]))
        members = [replace(it, snapshot=None) for it in alike.members] if reason else alike.members
        groups.append(replace(alike, members=members, reason=reason))
    return groups


def _sorted_out(members: Sequence[Member]) -> tuple[list[tuple[Member, str]], list[Member]]:
    reasons = [(member, _said_by(member.config) or _begun(member)) for member in members]
    fusible = [member for member, reason in reasons if not reason]
    fusible.sort(key=lambda member: family(member.config))
    return [(member, reason) for member, reason in reasons if reason], fusible


def _said_by(config: Config) -> str:
    """Return what in a configuration alone forbids to fuse it."""
    if config["optimizer"] not in RULES:
        return f"There is no fused rule for the optimizer {config['optimizer']}"
    if config[PRECISION.name] != FULL_PRECISION:
        return f"Precision {config[PRECISION.name]} trains plainly"
    return ""


def _begun(member: Member) -> str:
    return "It goes on plainly, as it began" if member.snapshot and member.snapshot.engine == PLAIN else ""


def _alike(members: Sequence[Member], make: Callable[[Member], tuple[nn.Module, Start]]) -> list[Group]:
    groups: list[Group] = []
    for member in members:
        model, start = make(member)
        group = next((it for it in groups if _fits(it, member, model, start)), None)
        if group is None:
            group = Group([], [], [])
            groups.append(group)
        group.members.append(member)
        group.models.append(model)
        group.starts.append(start)
    return groups


def _fits(group: Group, member: Member, model: nn.Module, start: Start) -> bool:
    other = group.members[0].config
    same = all(other[name] == member.config[name] for name in ("batch_size", ACCUMULATE.name))
    at_one = group.members[0].done == member.done  # or else they would not be in the same epoch
    filled_alike = not (start.filled and group.filled) or start.filled == group.filled
    return same and at_one and filled_alike and _same_structure(group.models[0], model)


def _same_structure(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two models differ in nothing but the values of their tensors and dropout rates."""
    pairs = zip(one.named_modules(), other.named_modules(), strict=False)
    return len(list(one.modules())) == len(list(other.modules())) and all(
        name == its_name and type(layer) is type(its_layer) and _equal(_traits(layer), _traits(its_layer))
        for (name, layer), (its_name, its_layer) in pairs
    )


def _traits(layer: nn.Module) -> dict[str, Any]:
    """Return what makes a layer what it is: its attributes, its hooks and the shapes of its tensors."""
    own = {name: value for name, value in vars(layer).items() if name not in _ANY_LAYER}
    if droppers(layer) == [layer]:
        del own["p"]
    tensors = {**layer._parameters, **layer._buffers}
    hooks = {name: list(getattr(layer, name).values()) for name in _HOOKS}
    return own | {name: _form(tensor) for name, tensor in tensors.items()} | hooks


def _form(tensor: Tensor | None) -> Any:
    return tensor is not None and (tensor.shape, tensor.dtype, tensor.requires_grad)


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare attributes; those that do not know, or that are tensors outside of buffers, differ."""
    try:
        return one.keys() == other.keys() and all((one[name] == other[name]) is True for name in one)
    except (RuntimeError, ValueError):  # a list of tensors, or of arrays
        return False


def _obstacle(task: Task, group: Group, batch: Batch) -> str:
    """Take one step's gradient with two of the models, and return why it cannot be taken, if so."""
    dtypes = {item.dtype for item in group.models[0].parameters() if item.requires_grad}
    if len(dtypes) != 1:
        return f"The model's parameters have {len(dtypes)} types"
    configs = [member.config for member in group.members[:2]]
    try:
        with _slowness_refused():
            stack = Stack(group.models[:2])
            losses = Losses(task.recipe.loss, configs, task.device)
            stack.seed(task.seed)
            stack.train()
            before = torch.get_rng_state()
            loss = losses(stack(batch[0]), batch[1]).sum()
            mixed = stack.drops and not torch.equal(torch.get_rng_state(), before)
            gradients = torch.autograd.grad(loss, stack.leaves, allow_unused=True)
    except Exception as error:  # a fault of the recipe's own comes again in plain training
        if lacks_memory(error):
            raise
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if mixed:  # alone, masks and the rest come from one stream
        return "The model draws random numbers beside those of dropout"
    unused = (name for name, item in zip(stack.layout.names, gradients, strict=True) if item is None)
    return next((f"The loss does not depend on {name}" for name in unused), "")


@contextmanager
def _slowness_refused() -> Iterator[None]:
    """Make an error of torch's warning that an operation runs row by row."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="There is a performance drop")
        yield
