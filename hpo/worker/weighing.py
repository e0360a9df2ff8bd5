"""What trials cost, known before they train: measured once for each shape, and held against what there is.

A trial that cannot fit is refused, at the first of three moments that tells: by what its weights, gradients
and optimizer take, of which nothing need be there yet; by two small batches, which foretell the whole one;
and by two steps as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from torch import nn

from hpo.config import Config
from hpo.history.equals import Costs, Shape, shape
from hpo.recipe import MEMORY, PARAMETERS
from hpo.results.pareto import cost
from hpo.training import costs
from hpo.training.memory import is_known, lacks_memory, most, predict
from hpo.trial import Ending, Outcome, Proposal
from hpo.worker.cause import explain
from hpo.worker.job import Job
from hpo.worker.preparation import prepare, sketch

_known: Final[dict[tuple[Job, Shape], Costs]] = {}
"""What this process has measured; trials that differ only in their numbers cost the same."""


class TooLargeError(Exception):
    """A training needs more memory than it may have; the message says how much, and how that is known."""


@dataclass
class Weighed:
    """What trials cost, by their numbers as JSON has them, who cannot train, and what went wrong."""

    costs: dict[str, Costs] = field(default_factory=dict)
    refused: dict[int, Ending] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


def weigh(job: Job, trials: Sequence[Proposal]) -> Weighed:
    """Measure what trials cost. Where that fails the trial may train: what is wrong with it shows there."""
    found = Weighed()
    for trial in trials:
        try:
            found.costs[str(trial.number)] = _weighed(job, trial.config)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a recipe raises belongs in the ledger
            if isinstance(error, TooLargeError) or lacks_memory(error):
                found.refused[trial.number] = Ending(trial.number, Outcome.REFUSED, str(error))
            else:
                found.complaints.append(f"Costs could not be measured: {explain(error, job.path)[0]}")
    return found


def _weighed(job: Job, config: Config) -> Costs:
    model = sketch(prepare(job).recipe, config)
    size = sum(item.numel() for item in model.parameters())
    key = job, shape(config, size)
    if key not in _known:
        _known[key] = {PARAMETERS: size, **_measured(job, config, model)}
    found, limit = _known[key], _limit(job)
    _refuse_above(limit, found.get(MEMORY, 0), "measured")
    return found


def _measured(job: Job, config: Config, model: nn.Module) -> Costs:
    task = prepare(job)
    if MEMORY in job.costs:
        limit = _limit(job)
        if is_known(config):
            _refuse_above(limit, predict(config, model).total, "for weights, gradients and optimizer alone")
        _refuse_above(limit, costs.foretell(task, config), "foretold from small batches")
    return costs.measure(task, config, [name for name in job.costs if name != PARAMETERS])


def _limit(job: Job) -> float:
    """Return the bytes that a training may take: as asked, or a worker's share of the device."""
    if job.memory:
        return job.memory
    return most(job.device, job.share)


def _refuse_above(limit: float, needed: float, how: str) -> None:
    if needed > limit:
        raise TooLargeError(f"needs {cost(MEMORY, needed)} ({how}), may have {cost(MEMORY, limit)}")
