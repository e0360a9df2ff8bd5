"""Why a trial that is trained again may not be repeated to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hpo.history import Trial
from hpo.planning.plan import Plan

ROUNDING: Final = 1e-2
"""How far losses may drift where training adds up in another order: rounding grows from step to step."""


def reorders(plan: Plan, trial: Trial) -> Iterator[str]:
    """Say what in the search added up in another order than one process on a CPU does."""
    if trial.at_once > 1:
        yield f"the search trained {trial.at_once} at once"
    if plan.setting("workers_per_trial") > 1:
        yield f"{plan.setting('workers_per_trial')} workers trained it together"
    if plan.setting("device") != "cpu":
        yield "GPUs add up in an order of their own"
