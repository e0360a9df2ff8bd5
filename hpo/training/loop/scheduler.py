"""What a schedule says, put into an optimizer's learning rates: used as torch's own schedulers are."""

from typing import Any

import torch

from hpo.training.words.schedules import Schedule


class Scheduler:
    """Sets the rates of the next step: those that the optimizer was made with, times the schedule's factor.

    A group's `lr_factor`, if it has one, multiplies its rate as well. Call `step` after each step of the
    optimizer, `hear` after each validation.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule, steps: int) -> None:
        self.optimizer, self.schedule, self.steps = optimizer, schedule, steps
        self.taken = 0
        self.heard: list[tuple[int, float]] = []
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self._set_rates()

    def _set_rates(self) -> None:
        factor = self.schedule.factor(self.taken, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor * group.get("lr_factor", 1.0)

    def step(self) -> None:
        """Count a step that was taken; after the last one rates stay."""
        self.taken += 1
        if self.taken < self.steps:
            self._set_rates()

    def hear(self, cost: float) -> None:
        """Be told what validation came to, less being better."""
        self.heard.append((self.taken, cost))
        self.schedule.hear(cost, self.taken, self.steps)
        if self.taken < self.steps:
            self._set_rates()

    def get_last_lr(self) -> list[float]:
        """Return the rates of the next step, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return how far it is, and what it has heard on the way."""
        return {"taken": self.taken, "heard": list(self.heard)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring a new scheduler to where another was, by telling it that one's past."""
        for taken, cost in state["heard"]:
            self._go_to(taken)
            self.hear(cost)
        self._go_to(state["taken"])

    def _go_to(self, taken: int) -> None:
        while self.taken < taken:
            self.step()
