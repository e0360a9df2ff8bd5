"""From a batch to a gradient: in one go, or in parts, with a penalty, or in half precision.

Each of these wraps another and changes what passes through: the batch, the outputs, the loss, or the
gradients that are there afterwards. What is not wanted is not there, and costs nothing.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hpo.training.loop.clipping import total_norm

Batch = tuple[Tensor, ...]
Forward = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class Gradient:
    """The gradient of a batch's mean loss."""

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add the gradient to what the optimizer's parameters have, and return the loss."""
        del optimizer  # some need it
        inputs, targets = batch
        value = loss(forward(inputs), targets)
        value.backward()
        return value.item()

    def step(self, optimizer: torch.optim.Optimizer, look: Callable[[], float]) -> None:
        """Let the optimizer take a step, for which it looks at loss and gradient."""
        optimizer.step(look)

    def state_dict(self) -> dict[str, Any]:
        """Return what it keeps from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what another has kept."""


@dataclass
class Wrapped(Gradient):
    """A gradient that comes by way of another one."""

    inner: Gradient

    def step(self, optimizer: torch.optim.Optimizer, look: Callable[[], float]) -> None:
        """Leave the step to the inner one."""
        self.inner.step(optimizer, look)

    def state_dict(self) -> dict[str, Any]:
        """Return what the inner one keeps."""
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Leave it to the inner one."""
        self.inner.load_state_dict(state)


@dataclass
class Accumulated(Wrapped):
    """The gradient in `steps` micro-batches, one after the other: g = sum_k (n_k / n) g_k.

    Since micro-batch k counts by its share n_k / n of the samples, this is the whole batch's gradient, at
    the memory of a part, unless samples depend on each other, as they do in batch normalization. No
    micro-batch is a single sample, with which that could not be trained, if the batch has more.
    """

    steps: int

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add up the parts."""
        samples = len(batch[-1])
        parts = max(1, min(self.steps, samples // 2))
        total = 0.0
        for part in zip(*(tensor.tensor_split(parts) for tensor in batch), strict=True):
            total += self.inner(optimizer, forward, weighted(loss, len(part[-1]) / samples), part)
        return total


@dataclass
class Penalized(Wrapped):
    """The gradient of loss + l1 |w|_1, g <- g + l1 sign(w), with 0 at 0: Tibshirani 1996, the lasso.

    A group of parameters may have an `l1` of its own. Reported losses are without the penalty.
    """

    l1: float

    @torch.no_grad()
    def penalize(self, optimizer: torch.optim.Optimizer) -> None:
        """Add the penalty's share of the gradient."""
        for group in optimizer.param_groups:
            for item in group["params"]:
                if item.grad is not None:
                    item.grad.add_(item.sign(), alpha=group.get("l1", self.l1))

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Add the penalty to the inner gradient."""
        value = self.inner(optimizer, forward, loss, batch)
        self.penalize(optimizer)
        return value


@dataclass
class Autocast(Wrapped):
    """The gradient through a model that runs in half precision where that is safe: `torch.autocast`.

    The weights, their gradients and the optimizer stay as they are: Micikevicius et al. 2017,
    arXiv:1710.03740.
    """

    device_type: str
    dtype: str

    def __post_init__(self) -> None:
        """Refuse at once what this device or this torch cannot do."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch only warns, and goes on in full precision
            try:
                self.autocast = torch.autocast(self.device_type, getattr(torch, self.dtype))
            except (RuntimeError, UserWarning) as error:
                message = f"Precision {self.dtype} cannot be had on {self.device_type}: {error}"
                raise ValueError(message) from error

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Cast on the way forward; the way back follows."""
        return self.inner(optimizer, self.autocast(forward), self.autocast(loss), batch)


@dataclass
class Scaled(Wrapped):
    """The gradient of a loss that is scaled up on the way back, lest float16 round it to 0: `GradScaler`.

    A step whose gradient overflows is left out, its gradient counts as 0, and the scale halves; after
    2000 steps without it doubles.
    """

    device_type: str
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        """Start at torch's own scale."""
        self.scaler = torch.amp.GradScaler(self.device_type)

    def __call__(self, optimizer: torch.optim.Optimizer, forward: Forward, loss: Loss, batch: Batch) -> float:
        """Scale the loss, take the gradient, and unscale both."""
        scale = self.scaler.scale
        value = self.inner(optimizer, forward, lambda outputs, targets: scale(loss(outputs, targets)), batch)
        self.scaler.unscale_(optimizer)
        groups = optimizer.param_groups
        found = [item.grad for group in groups for item in group["params"] if item.grad is not None]
        if not math.isfinite(total_norm(found).item()):
            for gradient in found:
                gradient.zero_()
        return value / self.scaler.get_scale()

    def step(self, optimizer: torch.optim.Optimizer, look: Callable[[], float]) -> None:
        """Look once, and step unless the gradient has overflowed."""
        look()
        self.scaler.step(optimizer)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the scale, and since when it holds."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with another's scale."""
        self.scaler.load_state_dict(state)


def weighted(loss: Loss, factor: float) -> Loss:
    """Return the loss times a factor."""
    return lambda outputs, targets: factor * loss(outputs, targets)
