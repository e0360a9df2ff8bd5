"""Searches made up by a rule: each configuration drawn from a space, and its curve from a function of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from hpo import recipe
from hpo.advice import Facts
from hpo.config import Config
from hpo.history import History, Search, State
from hpo.planning.plan import Plan
from hpo.trial import Ending, Outcome, Point, Proposal

EPOCHS = 12
Curve = Sequence[float] | tuple[Outcome, Sequence[float]]


class Draw:
    """Draws uniformly, and keeps what it drew."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.drawn = rng, {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = low * (high / low) ** self.rng.random() if log else self.rng.uniform(low, high)
        return self.drawn.setdefault(name, value)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.drawn.setdefault(name, self.rng.randint(low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.drawn.setdefault(name, self.rng.choice(list(choices)))


def search(space: str, **settings: object) -> Search:
    found = recipe.find("mlp")
    return Search(
        name="tale",
        recipe="mlp",
        path=found.path,
        source=found.source,
        space=space,
        objective=found.objective,
        settings={"trials": 99, "epochs": EPOCHS, "seed": 0, "sampler": "random", **settings},
        versions={},
        state=State.FINISHED,
    )


def tale(space: str, curve: Callable[[Config, random.Random], Curve], trials: int = 60) -> Facts:
    """Return a search in which each trial's curve of losses is what the function says.

    With losses it finished; with an outcome, that is how it ended.
    """
    told = search(space)
    plan, rng = Plan.of(told), random.Random(0)
    history = History(told.objective)
    for number in range(trials):
        draw = Draw(rng)
        config = plan.vocabulary.defaults(plan.space.sample(draw))
        found = curve(config, rng)
        outcome, losses = found if isinstance(found[0], Outcome) else (Outcome.FINISHED, found)
        history.add(Proposal(number, config, "random", draw.drawn))
        add_curve(history, number, outcome, losses)
    return Facts(plan, history)


def add_curve(
    history: History,
    number: int,
    outcome: Outcome,
    losses: Sequence[float],
    train: Callable[[float], float] = lambda loss: loss / 2,
    **more: float,
) -> None:
    for epoch, loss in enumerate(losses, start=1):
        facts = {"lr": 0.1, "grad_norm": 2.0, "clipped_norm": 1.0, "seconds": 1.0, **more}
        history.add(Point(number, epoch, loss, loss, train(loss), **facts))
    notes = {"epoch": 1, "step": 7, "loss": math.inf, "grad_norm": 1e9} if outcome is Outcome.DIVERGED else {}
    history.add(Ending(number, outcome, score=losses[-1] if losses else None, notes=notes))


def falling(last: float, first: float = 2.0, epochs: int = EPOCHS) -> list[float]:
    """A curve that falls fast, then flattens."""
    return [last + (first - last) * math.exp(-2.0 * epoch) for epoch in range(1, epochs + 1)]
