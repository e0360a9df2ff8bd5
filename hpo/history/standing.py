"""How the best of a search did with fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from hpo.config import Config
from hpo.history.trial import Trial
from hpo.recipe import Objective
from hpo.trial import Outcome


@dataclass(frozen=True)
class Standing:
    """How one of the best, the search's `trial`, did with fresh seeds: its trainings `again`, by seed."""

    trial: Trial
    again: Mapping[int, Trial]

    @property
    def number(self) -> int:
        """The number of the search's trial."""
        return self.trial.number

    @property
    def scores(self) -> dict[int, float]:
        """The score with each seed; NaN where it did not come to its end."""
        return {
            seed: it.score if it.outcome is Outcome.FINISHED and it.score is not None else math.nan
            for seed, it in self.again.items()
        }

    @property
    def sound(self) -> bool:
        """Whether it came to its end with every seed, and to a finite score."""
        return all(map(math.isfinite, self.scores.values()))

    @property
    def median(self) -> float:
        """The median of the scores it has; NaN if it has none."""
        return median([it for it in self.scores.values() if math.isfinite(it)] or [math.nan])


def standings(
    confirmations: Iterable[Trial], ranking: Sequence[Trial], objective: Objective
) -> list[Standing]:
    """Return how those of a `ranking` did that were trained with fresh seeds, best first.

    A seed counts once all of them have trained with it, and no clock has stopped one. Who did not come
    to its end with every seed stands behind those that did; then the median decides.
    """
    again: dict[Config, dict[int, Trial]] = {}
    for trial in confirmations:
        again.setdefault(trial.proposal.config, {})[trial.proposal.seed or 0] = trial
    settled = [{seed for seed, it in own.items() if it.settled} for own in again.values()]
    common = sorted(set.intersection(*settled)) if settled else []
    found = {trial.proposal.config: trial for trial in reversed(ranking)}
    them = [
        Standing(found[config], {seed: own[seed] for seed in common})
        for config, own in again.items()
        if common and config in found
    ]
    return sorted(them, key=lambda it: (not it.sound, objective.cost(it.median), it.number))
