"""Muon for the matrices of a model, AdamW for the rest of it."""

from typing import Any

import torch
from torch.optim.optimizer import ParamsT

Group = dict[str, Any]


class MuonAdamW(torch.optim.Optimizer):
    """Two optimizers that step as one: `torch.optim.Muon` where a parameter is a matrix, else AdamW.

    A matrix W with gradient G moves along its momentum M, made orthogonal by Newton-Schulz iterations:
    M <- momentum M + (1 - momentum) G, W <- W - lr (orthogonal(M) + weight_decay W); Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon. A group's own `weight_decay` holds for both optimizers.
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        adamw_lr: float = 1e-3,
        adamw_betas: tuple[float, float] = (0.9, 0.999),
        adamw_eps: float = 1e-8,
        adamw_weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, {})
        matrices, others = self._those(matrix=True), self._those(matrix=False)
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices,
                lr,
                weight_decay,
                momentum,
                nesterov,
                eps=eps,
                ns_steps=ns_steps,
                adjust_lr_fn=adjust_lr_fn,
            ),
            torch.optim.AdamW(others, adamw_lr, adamw_betas, adamw_eps, adamw_weight_decay),
        )
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self._share()

    def _those(self, *, matrix: bool) -> list[Group]:
        """Return the groups with only their matrices, or only the rest."""
        return [
            {**group, "params": [item for item in group["params"] if (item.ndim == 2) is matrix]}
            for group in self.param_groups
        ]

    def _share(self) -> None:
        """Let both work on what this one has: its groups, Muon's first, and its state."""
        half = len(self.param_groups) // 2
        for part, groups in zip(
            self.parts, (self.param_groups[:half], self.param_groups[half:]), strict=True
        ):
            part.param_groups, part.state = groups, self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` of one with the same parameters gave."""
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Any = None) -> Any:
        """Let both take a step; the closure, which gives the loss, is called once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss
