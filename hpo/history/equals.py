"""Which trials cost the same, and what was agreed on for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from hpo.config import Config, Value
from hpo.history import History
from hpo.recipe import PARAMETERS

_FREE: Final = ("schedule", "then", "warmup", "init", "start", "body_lr")
"""What a step takes no longer and no more memory for."""

Costs: TypeAlias = Mapping[str, float]
Shape: TypeAlias = tuple[Config, float]


class Agreed:
    """What was measured first of each shape: it holds for all of it, lest noise tell equal ones apart."""

    def __init__(self, history: History) -> None:
        self._known: dict[Shape, Costs] = {}
        for trial in history.searched:
            if trial.costs:
                self.on(trial.proposal.config, trial.costs)

    def on(self, config: Config, costs: Costs) -> Costs:
        """Return the costs of a configuration, which are those that were measured if it is the first."""
        return self._known.setdefault(shape(config, costs.get(PARAMETERS, 0)), costs)


def shape(config: Config, size: float) -> Shape:
    """Return what a configuration's costs follow from: words, whole numbers, switches, and its model's size.

    A number that is no whole one counts only as there or not: a step with a learning rate of 0.1 costs what
    one with 0.2 does. If it makes the model wider, the size tells.

    Args:
        config: the configuration.
        size: how many numbers its model has.
    """
    kept = {name: _switch(value) for name, value in config.items() if not name.startswith(_FREE)}
    return Config(kept), size


def _switch(value: Value) -> Value:
    return bool(value) if isinstance(value, float) else value
