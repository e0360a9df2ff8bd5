"""Adafactor: of a matrix's mean squares only rows and columns are kept, so each parameter goes by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hpo.training.fused.rules.rule import Coefficients, Rule


class Adafactor(Rule):
    """Steps relative to the size of a parameter, which is the root mean square of its weights.

    A parameter of more than two dimensions is a stack of matrices, [leading, height, width].
    """

    def start(self, weights: Tensor) -> dict[str, Tensor]:
        """Keep the mean squares of each matrix's rows and columns, of each vector's entries."""
        rows = len(weights)
        state = {}
        for name, shape in zip(self.layout.names, self.layout.shapes, strict=True):
            if len(shape) > 1:
                leading, height, width = _stack(shape)
                state[_rows(name)] = weights.new_zeros(rows, leading, height, 1)
                state[_columns(name)] = weights.new_zeros(rows, leading, 1, width)
            else:
                state[name] = weights.new_zeros(rows, math.prod(shape))
        return state

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Let memory grow and lr be at most 1 / sqrt(t)."""
        least = torch.finfo(self.like.dtype).eps
        eps1 = self.each(lambda values: least if values["eps1"] is None else values["eps1"])
        return {
            "new": steps ** self.of("beta2_decay"),
            "lr": -torch.minimum(lr, steps**-0.5),
            "eps1": eps1,
            "eps1 squared": eps1 * eps1,
            "eps2": self.of("eps2"),
            "d": self.of("d"),
        }

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Measure each parameter before it decays, then step."""
        columns = self.layout.columns
        sizes = [torch.maximum(_size(weights[:, part]), now["eps2"]) for part in columns]
        self.decay(now, weights, gradients)
        for name, shape, part, size in zip(
            self.layout.names, self.layout.shapes, columns, sizes, strict=True
        ):
            along = self._direction(now, name, shape, gradients[:, part])
            limit = (_size(along) / now["d"]).clamp_(min=1.0)
            weights[:, part].addcmul_(along, size * now["lr"] / limit)

    def _direction(self, now: Coefficients, name: str, shape: tuple[int, ...], gradient: Tensor) -> Tensor:
        """Return the gradient divided by its root mean square, of shape [k, columns]."""
        if len(shape) > 1:
            square = self._factored(now, name, gradient.reshape(len(gradient), *_stack(shape))).flatten(1)
        else:
            square = self.state[name].lerp_(gradient * gradient, now["new"])
        return torch.maximum(square, now["eps1 squared"]).rsqrt_().mul_(gradient)

    def _factored(self, now: Coefficients, name: str, gradient: Tensor) -> Tensor:
        """Return the mean squares that rows and columns tell, of the gradient's shape [k, *stack]."""
        new, eps1 = now["new"][..., None, None], now["eps1"][..., None, None]
        square = gradient * gradient
        rows = self.state[_rows(name)].lerp_(square.mean(-1, keepdim=True), new)
        columns = self.state[_columns(name)].lerp_(square.mean(-2, keepdim=True), new)
        return (rows * columns).div_(torch.maximum(rows.mean(-2, keepdim=True), eps1))


def _stack(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return math.prod(shape[:-2]), shape[-2], shape[-1]


def _rows(name: str) -> str:
    return f"{name}: rows"


def _columns(name: str) -> str:
    return f"{name}: columns"


def _size(part: Tensor) -> Tensor:
    """Return the root mean square of each row, of shape [k, 1]."""
    norm: Tensor = torch.linalg.vector_norm(part, dim=1, keepdim=True)
    return norm.div_(math.sqrt(part.size(1)))
