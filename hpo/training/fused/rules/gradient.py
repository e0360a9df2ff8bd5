"""SGD, and the rules that divide by the root of squared gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hpo.training.fused.rules.rule import Coefficients, Rule


class SGD(Rule):
    """Gradient descent, with momentum in some rows and Nesterov's in some."""

    def buffers(self) -> Sequence[str]:
        """Keep the last step if any row has momentum."""
        return ["momentum"] if self.of("momentum").any() else []

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Give lr to the last step, or with Nesterov to the gradient and, less by momentum, to the step."""
        del steps  # they are all alike
        momentum, nesterov = self.of("momentum"), self.of("nesterov")
        share = torch.where(nesterov > 0, momentum, 1.0)
        return {"momentum": momentum, "lr": -lr * share, "nesterov": -lr * nesterov}

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Step along the momentum, or along the gradient where there is none."""
        self.decay(now, weights, gradients)
        along = gradients
        if "momentum" in now:
            along = self.state["momentum"]
            torch.addcmul(gradients, along, now["momentum"], out=along)
        if "nesterov" in now:
            weights.addcmul_(gradients, now["nesterov"])
        weights.addcmul_(along, now["lr"])


class Adagrad(Rule):
    """Steps divided by the root of the sum of all squared gradients."""

    def start(self, weights: Tensor) -> dict[str, Tensor]:
        """Keep the sum."""
        first = self.of("initial_accumulator_value").to(weights)[:, None]
        return {"sum": first.expand_as(weights).clone(), "scratch": torch.empty_like(weights)}

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Let lr fall with the steps taken."""
        return {"lr": -lr / (1 + (steps - 1) * self.of("lr_decay")), "eps": self.of("eps")}

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Add to the sum, and step."""
        self.decay(now, weights, gradients)
        total, scratch = self.state["sum"], self.state["scratch"]
        total.addcmul_(gradients, gradients)
        torch.sqrt(total, out=scratch).add_(now["eps"])
        weights.addcmul_(gradients.div_(scratch), now["lr"])


class RMSprop(Rule):
    """Steps divided by the root of the running mean of squared gradients."""

    def buffers(self) -> Sequence[str]:
        """Keep the mean of squares; the mean if a row is centered, the last step if one has momentum."""
        optional = [name for name in ("centered", "momentum") if self.of(name).any()]
        return ["square", "scratch", *optional]

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Name what stays the same."""
        del steps  # they are all alike
        constants = {name: self.of(name) for name in ("eps", "momentum")}
        return {"lr": -lr, "new": 1 - self.of("alpha"), "centered": -self.of("centered"), **constants}

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Divide the gradient, and step along it or its momentum."""
        self.decay(now, weights, gradients)
        along = gradients.div_(self._deviation(now, gradients).add_(now["eps"]))
        if "momentum" in now:
            along = self.state["momentum"]
            torch.addcmul(gradients, along, now["momentum"], out=along)
        weights.addcmul_(along, now["lr"])

    def _deviation(self, now: Coefficients, gradients: Tensor) -> Tensor:
        """Return the root of the mean square, or the standard deviation where a row is centered."""
        square, scratch = self.state["square"], self.state["scratch"]
        square.lerp_(torch.mul(gradients, gradients, out=scratch), now["new"])
        if "centered" not in now:
            return torch.sqrt(square, out=scratch)
        mean = self.state["centered"].lerp_(gradients, now["new"])
        torch.mul(mean, mean, out=scratch)
        return torch.addcmul(square, scratch, now["centered"], out=scratch).sqrt_()


class Adadelta(Rule):
    """Steps as large as the recent ones were, divided by the root of recent squared gradients."""

    def buffers(self) -> Sequence[str]:
        """Keep the means of squared gradients and of squared steps before lr."""
        return ["square", "delta", "scratch"]

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Name what stays the same."""
        del steps  # they are all alike
        return {"lr": -lr, "new": 1 - self.of("rho"), "eps": self.of("eps")}

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Turn the gradient into the step, and take it."""
        self.decay(now, weights, gradients)
        square, delta, scratch = (self.state[name] for name in ("square", "delta", "scratch"))
        square.lerp_(torch.mul(gradients, gradients, out=scratch), now["new"])
        gradients.div_(torch.add(square, now["eps"], out=scratch).sqrt_())
        gradients.mul_(torch.add(delta, now["eps"], out=scratch).sqrt_())
        delta.lerp_(torch.mul(gradients, gradients, out=scratch), now["new"])
        weights.addcmul_(gradients, now["lr"])
