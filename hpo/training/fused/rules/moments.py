"""Adam and its kin, which divide the running mean of gradients by something of their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hpo.config import Config
from hpo.training.fused.rules.layout import Layout
from hpo.training.fused.rules.rule import Coefficients, Rule


class Adam(Rule):
    """Adam and AdamW: w <- w + step m / (sqrt(v) + eps), with the bias corrections in `step` and `eps`."""

    def buffers(self) -> Sequence[str]:
        """Keep both means."""
        return ["mean", "square"]

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Free both means of their start at 0: sqrt(v / b) + eps is (sqrt(v) + sqrt(b) eps) / sqrt(b)."""
        root = self.correction("beta2", steps).sqrt()
        step = -lr * root / self.correction("beta1", steps)
        return {"step": step, "eps": root * self.of("eps"), **self.news()}

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Renew both means, and step."""
        self.decay(now, weights, gradients)
        mean, square = self.state["mean"], self.state["square"]
        mean.lerp_(gradients, now["new mean"])
        square.lerp_(gradients.mul_(gradients), now["new square"])
        size = torch.sqrt(square, out=gradients)
        if "slope" in now:
            size.mul_(now["slope"])
        size.add_(now["eps"])
        weights.addcmul_(torch.div(mean, size, out=size), now["step"])

    def news(self) -> dict[str, Tensor]:
        """Return the share of what is new in the means."""
        return {"new mean": 1 - self.of("beta1"), "new square": 1 - self.of("beta2")}

    def correction(self, beta: str, steps: Tensor) -> Tensor:
        """Return 1 - beta^t, the share of a mean that is not its start at 0."""
        return 1 - self.of(beta) ** steps


class RAdam(Adam):
    """Adam whose size, until the mean square can be trusted, is 1: slope sqrt(v) + eps with slope 0, eps 1.

    Trust begins where rho_t, the length of the mean, exceeds 5: Liu et al. 2019, arXiv:1908.03265.
    """

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Rectify the step by the variance, or leave the size out."""
        beta2, correction = self.of("beta2"), self.correction("beta2", steps)
        last = 2 / (1 - beta2) - 1
        length = last - 2 * steps * beta2**steps / correction
        trusted = length > 5
        rectified = (length - 4) * (length - 2) * last / ((last - 4) * (last - 2) * length)
        step = torch.where(trusted, (rectified * correction).sqrt(), 1.0)
        return {
            "step": -lr * step / self.correction("beta1", steps),
            "slope": trusted.double(),
            "eps": self.of("eps").where(trusted, 1.0),
            **self.news(),
        }


class NAdam(Adam):
    """Adam that looks ahead: its own mean and the gradient each have a share of the step."""

    def __init__(self, configs: Sequence[Config], layout: Layout, weights: Tensor) -> None:
        super().__init__(configs, layout, weights)
        # torch counts the product of all mu in its default type, so its rounding is part of the rule.
        self.product = torch.ones(len(configs), dtype=torch.get_default_dtype())

    def keep(self, rows: Tensor) -> None:
        """Keep the products of these rows, too."""
        super().keep(rows)
        self.product = self.product[rows]

    def row(self, row: int) -> dict[str, Any]:
        """Keep the product, too."""
        return {**super().row(row), "product": self.product[row]}

    def load(self, row: int, kept: Mapping[str, Any]) -> None:
        """Take over the product, too."""
        super().load(row, kept)
        self.product[row] = kept["product"]

    def buffers(self) -> Sequence[str]:
        """Keep both means; the gradient is needed to the last, so the size has a place of its own."""
        return [*super().buffers(), "scratch"]

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Share the step between gradient and mean."""
        root = self.correction("beta2", steps).sqrt()
        mu, following = self._mu(steps), self._mu(steps + 1)
        products = self._products(mu)
        return {
            "step": -lr * root,
            "ahead": (1 - mu) / (1 - products),
            "behind": following / (1 - products * following),
            "eps": root * self.of("eps"),
            **self.news(),
        }

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Renew both means, and step along their mixture with the gradient."""
        self.decay(now, weights, gradients)
        mean, square, size = (self.state[name] for name in ("mean", "square", "scratch"))
        mean.lerp_(gradients, now["new mean"])
        square.lerp_(torch.mul(gradients, gradients, out=size), now["new square"])
        torch.sqrt(square, out=size).add_(now["eps"])
        along = gradients.mul_(now["ahead"]).addcmul_(mean, now["behind"])
        weights.addcmul_(along.div_(size), now["step"])

    def _mu(self, steps: Tensor) -> Tensor:
        return self.of("beta1") * (1 - 0.5 * 0.96 ** (steps * self.of("momentum_decay")))

    def _products(self, mu: Tensor) -> Tensor:
        """Go on with the product of all mu, step by step; float64 of shape [steps, k]."""
        products = []
        for factor in mu.to(self.product):
            self.product = self.product * factor
            products.append(self.product)
        return torch.stack(products).double()


class Adamax(Adam):
    """Adam with the largest recent gradient in place of the root of the mean square."""

    def coefficients(self, lr: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Free the mean of its start at 0."""
        return {
            "step": -lr / self.correction("beta1", steps),
            "new mean": 1 - self.of("beta1"),
            "beta2": self.of("beta2"),
            "eps": self.of("eps"),
        }

    def update(self, now: Coefficients, weights: Tensor, gradients: Tensor) -> None:
        """Renew the mean and the largest, and step."""
        self.decay(now, weights, gradients)
        mean, largest = self.state["mean"], self.state["largest"]
        mean.lerp_(gradients, now["new mean"])
        torch.maximum(largest.mul_(now["beta2"]), gradients.abs_().add_(now["eps"]), out=largest)
        weights.addcmul_(torch.div(mean, largest, out=gradients), now["step"])

    def buffers(self) -> Sequence[str]:
        """Keep the mean and the largest."""
        return ["mean", "largest"]
