"""How many trials a worker trains at once: so many as are asked for, or as are measured to be fastest."""

from __future__ import annotations

import platform
from typing import Final

from hpo.protocol import Choice, Referee
from hpo.training.fused import probe
from hpo.training.memory import available
from hpo.worker.job import Job
from hpo.worker.preparation import prepare

_MEMORY_SHARE: Final = 0.5
"""What a foretelling may claim of the memory that is free: it knows nothing of fragments and scratch."""
ONE: Final = Choice(1, 2, "")
_trained: Final[set[Job]] = set()
"""What this process has trained a trial of to its end."""
_choices: Final[dict[Job, Choice]] = {}
"""What this process measured, or was told."""


def choose(job: Job, cohort: str, referee: Referee) -> Choice:
    """Decide how many trials to train at once.

    Nothing is measured before a first trial was trained: what goes wrong with a recipe goes wrong there,
    with a trial that it can be told of, and the first result need not wait. Then one worker of each machine
    measures, and tells the others, which train one at a time meanwhile.
    """
    if job.at_once is not None:
        return Choice(job.at_once, 2, f"{job.at_once} at a time, as asked for" if job.at_once > 1 else "")
    if job in _trained and not settled(job):
        choice, yours = referee.size(cohort, platform.node())
        if yours:
            choice = _measured(job)
            referee.sized(platform.node(), choice)
        if choice:
            _choices[job] = choice
    return _choices.get(job, ONE)


def settled(job: Job) -> bool:
    """Whether it is decided how many to train at once, and nothing is left to measure."""
    return job.at_once is not None or job.most == 1 or job in _choices


def note_trained(job: Job) -> None:
    """Note that this process has trained a trial of a job to its end."""
    _trained.add(job)


def _measured(job: Job) -> Choice:
    budget = available(job.device, job.share) * _MEMORY_SHARE
    try:
        return probe.choose(prepare(job), job.baseline, job.most, budget, learns=job.learns)
    except Exception as error:  # noqa: BLE001 - the baseline may fail where other trials do not
        why = f"the baseline could not be measured ({type(error).__name__}: {error})"
        return ONE._replace(reason=f"1 at a time: {why}")
