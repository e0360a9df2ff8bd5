"""Where in a model a divergence began: the trial is trained anew, plainly, with every layer watched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Final

from torch import Tensor, nn

from hpo.training.beginning import loss_limit
from hpo.training.engine import Member, Task
from hpo.training.loop.loaders import count_steps
from hpo.training.memory import lacks_memory
from hpo.training.plain import rehearse
from hpo.trial import Divergence, Point

GROWN: Final = 10.0
"""How many times its first gain a layer's must come to, to be called the cause."""


def examine(
    task: Task, members: Sequence[Member], reports: Sequence[Point | Divergence], most: int
) -> list[Point | Divergence]:
    """Return an epoch's reports, divergences with where in the model they began, as far as that is found.

    It is looked for where that takes no more than `most` steps, and not where a team trains.
    """
    by_number = {member.number: member for member in members}
    return [
        replace(report, where=_where(task, by_number[report.trial], report, most))
        if isinstance(report, Divergence) and not report.metric
        else report
        for report in reports
    ]


def _where(task: Task, member: Member, found: Divergence, most: int) -> str:
    steps = (found.epoch - 1) * count_steps(task.splits["train"], member.batch_size) + found.step + 1
    if task.team is not None or steps > most:
        return ""
    try:
        return first_bad_layer(task, member, steps)
    except Exception as error:
        if lacks_memory(error):  # there is no room for this trial a second time
            return ""
        raise


def first_bad_layer(task: Task, member: Member, steps: int) -> str:
    """Train a member from its start for so many steps; say at which layer its numbers broke, or nothing.

    That is the layer which is the first to give what is not finite, or else, going back through the model,
    the first whose gradient is not; where all is finite and the loss is too large, the one that amplifies
    (largest absolute output by largest absolute input) the most times as much as at the first step.
    """
    rehearsal = rehearse(replace(task, snapshots=None), replace(member, snapshot=None))
    watch = _Watch(rehearsal.model)
    limit, before = math.inf, dict[str, float]()
    for number, step in enumerate(islice(rehearsal.steps, steps)):
        if number == 0:
            limit, before = loss_limit(step.loss), dict(watch.gains)
        if not step.loss <= limit:
            return watch.broken or _most_grown(before, watch.gains)
        watch.forget()
    return watch.broken


def _most_grown(before: dict[str, float], gains: dict[str, float]) -> str:
    grown = {layer: gain / before[layer] for layer, gain in gains.items() if before.get(layer)}
    growth, layer = max(((growth, layer) for layer, growth in grown.items()), default=(0.0, ""))
    return f"{layer} amplifies {growth:.3g} times as much as at first" if growth >= GROWN else ""


@dataclass
class _Watch:
    """Sees what passes through the layers of a model, forth and back, during a step.

    Attributes:
        gains: the largest absolute output of each layer by its largest absolute input.
        broken: the first place at which something was not finite, since a step in which all was: where losses
            are scaled, a gradient that overflows is left out and does no harm.
    """

    model: InitVar[nn.Module]  # not kept: its hooks hold on to this
    gains: dict[str, float] = field(default_factory=dict)
    broken: str = ""
    _sound: bool = True  # the step under way

    def __post_init__(self, model: nn.Module) -> None:
        for name, layer in model.named_modules():
            label = f"{name or 'model'} ({type(layer).__name__})"
            layer.register_forward_hook(partial(self._forth, label))
            for own, parameter in layer.named_parameters(recurse=False):
                if parameter.requires_grad:
                    parameter.register_hook(partial(self._back, f"the gradient of {label}, {own}"))

    def forget(self) -> None:
        """Let the next step begin."""
        self.gains, self._sound, self.broken = {}, True, "" if self._sound else self.broken

    def _forth(self, label: str, layer: nn.Module, inputs: Any, output: Any) -> None:  # of torch's hooks
        taken, given = _largest(inputs), _largest(output)
        if not math.isfinite(given):
            self._note(f"the output of {label}")
        elif taken and _computes(layer):
            self.gains[label] = max(self.gains.get(label, 0.0), given / taken)

    def _back(self, label: str, gradient: Tensor) -> None:
        if not math.isfinite(_largest(gradient)):
            self._note(label)

    def _note(self, place: str) -> None:
        self.broken, self._sound = self.broken or f"first not finite: {place}", False


def _computes(layer: nn.Module) -> bool:
    """Whether it is no mere container: it holds no other modules, or parameters of its own beside them."""
    return not list(layer.children()) or bool(list(layer.parameters(recurse=False)))


def _largest(value: Any) -> float:
    """Return the largest absolute number in what a layer takes or gives; not finite, if one is not."""
    if isinstance(value, Tensor):
        return float(value.detach().abs().amax()) if value.numel() else 0.0
    parts = [_largest(each) for each in value] if isinstance(value, tuple | list) else []
    return next((part for part in parts if not math.isfinite(part)), max(parts, default=0.0))
