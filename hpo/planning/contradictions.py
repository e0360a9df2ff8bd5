"""Settings that do not go together."""

from __future__ import annotations

from hpo.budget import CPU_HOURS, GPU_HOURS, Budget
from hpo.errors import Problem
from hpo.planning.goals import listed
from hpo.recipe import SECONDS
from hpo.settings import AUTO, OFF, SearchSettings


def contradictions(settings: SearchSettings) -> list[Problem]:
    """Return what is wrong with the words of a search, each of which may be right by itself."""
    return [
        *_nothing_to_shard(settings),
        *_fused_and_spread(settings),
        *_by_rule_and_by_clock(settings),
        *_two_limits(settings),
        *_weighed_alone(settings),
        *_one_goal_in_sight(settings),
        *_past_unheard(settings),
    ]


def _nothing_to_shard(settings: SearchSettings) -> list[Problem]:
    if settings.parallel != "fsdp" or settings.workers_per_trial > 1:
        return []
    return [Problem("parallel=fsdp", "It shards the model over workers: write workers_per_trial=2, or more.")]


def _fused_and_spread(settings: SearchSettings) -> list[Problem]:
    if settings.workers_per_trial == 1 or settings.fuse in ("auto", "off", 1):
        return []
    message = "Several workers train one trial at a time: leave out fuse, or workers_per_trial."
    return [Problem(f"fuse={settings.fuse}", message)]


def _by_rule_and_by_clock(settings: SearchSettings) -> list[Problem]:
    """Return what cannot be fixed by a rule: a clock's verdict, and rounding that depends on the company."""
    if not settings.deterministic:
        return []
    problems = []
    if settings.budget and Budget.parse(settings.budget).timed:
        message = "A clock never stops two searches at the same place: budget=30trainings does."
        problems.append(Problem(f"budget={settings.budget}", message))
    if settings.timeout is not None:
        message = "A clock never stops two searches at the same place: leave it out, or deterministic."
        problems.append(Problem(f"timeout={settings.timeout:g}", message))
    if SECONDS in listed(settings.objective)[1:]:
        message = "Two measurements never take the same time: leave out seconds, or deterministic."
        problems.append(Problem(f"objective={settings.objective}", message))
    if settings.fuse not in ("auto", "off", 1):
        message = "The company rounds a curve's last digits: leave out fuse, or deterministic."
        problems.append(Problem(f"fuse={settings.fuse}", message))
    return problems


def _two_limits(settings: SearchSettings) -> list[Problem]:
    if not settings.budget or settings.timeout is None:
        return []
    message = "A budget is planned and may end sooner, a timeout only cuts. Leave out one of them."
    return [Problem(f"timeout={settings.timeout:g}", message)]


def of_other_devices(budget: str, *, on_gpus: bool) -> list[Problem]:
    """Return what is wrong with hours of devices that train nothing."""
    unit = GPU_HOURS if on_gpus else CPU_HOURS
    asked = Budget.parse(budget) if budget else None
    if asked is None or not asked.of_devices or asked.unit == unit:
        return []
    message = (
        f"Trials train on {'GPUs' if on_gpus else 'CPUs'} here: write {Budget(asked.amount, unit)}, or 2h."
    )
    return [Problem(f"budget={budget}", message)]


def _weighed_alone(settings: SearchSettings) -> list[Problem]:
    """Return what asks for the costs of a training that is spread over workers, which nobody measures."""
    if settings.workers_per_trial == 1:
        return []
    asked = {
        "objective": settings.objective if listed(settings.objective)[1:] else "",
        "memory": settings.memory,
    }
    message = "Costs are measured on one worker: leave this out, or workers_per_trial."
    return [Problem(f"{key}={value}", message) for key, value in asked.items() if value]


def _one_goal_in_sight(settings: SearchSettings) -> list[Problem]:
    if settings.sampler not in ("tpe", "gp", "cmaes") or not listed(settings.objective)[1:]:
        return []
    message = f"{settings.sampler} looks at one goal. With several: sampler=blend, random or qmc."
    return [Problem(f"sampler={settings.sampler}", message)]


def _past_unheard(settings: SearchSettings) -> list[Problem]:
    if settings.sampler == "blend" or settings.warm_start in (AUTO, OFF):
        return []
    message = "Only sampler=blend begins from an earlier search: leave out this, or the sampler."
    return [Problem(f"warm_start={settings.warm_start}", message)]
