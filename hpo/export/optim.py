"""What steps: the function that gives a model its optimizer, its learning rates and its clipping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from textwrap import fill
from typing import Final

from hpo.export.pieces import Piece, other_name, read, used
from hpo.export.run import Run, definitions, document
from hpo.training.words.calls import Call, printed
from hpo.training.words.optimizers import OPTIMIZERS, optimizer_call
from hpo.training.words.schedule_words import SEQUELS, schedule_call
from hpo.training.words.values import parameters_call, slow_calls
from hpo.vocabulary import LOSS, position_of

_SCHEDULER: Final = "hpo.training.loop.scheduler.Scheduler"
_ALWAYS: Final = {"hpo.training.loop.clipping": {"Clipping"}, "hpo.training.loop.scheduler": {"Scheduler"}}

_CONFIGURE: Final = '''{imports}

def configure({arguments}) -> tuple[torch.optim.Optimizer, Scheduler, Clipping]:
    """Return what trains a model for `total_steps`: its optimizer, its scheduler, and what clips gradients.

    Of each step, after backward(): `clip(model.parameters())`, `optimizer.step()`, `scheduler.step()`.{hears}
    """
    {stepping} = {optimizer}
    {following} = {scheduler}
    return {stepping}, {following}, {clip}
'''
_HEARS: Final = """
    After each validation: `scheduler.hear(cost)`, less being better."""
_ARGUMENTS: Final = "model: nn.Module, total_steps: int"
_FILLED: Final = f"""
    {_ARGUMENTS}, filled: Collection[str]
"""

_ABOUT: Final = """Drop it into other code; it needs torch, and no hpo:

    optimizer, scheduler, clip = configure(model, total_steps{filled})"""

_ELSEWHERE: Final = {
    "l1": 0.0,
    "accumulate": 1,
    "precision": "fp32",
    "ema": None,
    "init": "default",
    "start": None,
    "freeze": None,
}
"""What changes a training and is no matter of these three, with the value that means: not at all."""


def optim(run: Run) -> str:
    """Return optim.py."""
    whole = run.around(configuring(run), used(own_words(run)))
    about = f"The optimizer, schedule and clipping of {run.recipe.name}."
    filled = ", filled" if slow_calls(run.config) else ""
    return document(whole, about, run.origin, _ABOUT.format(filled=filled), _elsewhere(run))


def configuring(run: Run, *, fused: bool = True) -> Piece:
    """Return `configure` and what it relies on, but for what the recipe itself defines.

    Unless they may be `fused`, none of torch's optimizers does its whole step in one kernel.
    """
    config, module = run.config, run.recipe.module
    optimizer, schedule = optimizer_call(config, module), schedule_call(config, module)
    if not fused:
        arguments = {name: it for name, it in optimizer.arguments.items() if name != "fused"}
        optimizer = replace(optimizer, arguments=arguments)
    parameters, slow = parameters_call(config), slow_calls(config)
    listed = parameters.source("model")
    for call in slow:
        listed = call.source(listed, "model", "filled")
    clip = Call("hpo.training.loop.clipping.Clipping", _limits(run))
    own = set(_own_words(run))
    stepping, following = other_name("optimizer", own), other_name("scheduler", own)
    lines = {
        "stepping": stepping,
        "following": following,
        "optimizer": optimizer.source(listed),
        "scheduler": Call(_SCHEDULER).source(stepping, schedule.source(), "total_steps"),
        "clip": clip.source(),
    }
    text = _CONFIGURE.format(
        imports="import torch\nfrom torch import nn"
        + ("\nfrom collections.abc import Collection" if slow else ""),
        arguments=_FILLED if slow else _ARGUMENTS,
        hears=_HEARS if hears(run) else "",
        **{name: line.replace("\n", "\n    ") for name, line in lines.items()},
    )
    return used(definitions((*slow, parameters, optimizer, schedule), _ALWAYS) + read(text))


def own_words(run: Run) -> Piece:
    """Return what the recipe's own optimizer and schedules consist of."""
    return run.own_words(set(_own_words(run)))


def hears(run: Run) -> bool:
    """Whether the schedule minds what validation comes to."""
    return any(word == "plateau" or word not in SEQUELS for word in _schedules(run))


def _schedules(run: Run) -> list[str]:
    heads = [
        name for name in run.config if name == "schedule" or ("." not in name and position_of(name, "then"))
    ]
    return [str(run.config[head]) for head in heads]


def _own_words(run: Run) -> Iterator[str]:
    """Yield the recipe's own optimizer and schedules, by the names of their definitions."""
    if run.config["optimizer"] not in OPTIMIZERS:
        yield str(run.config["optimizer"])
    yield from (word for word in _schedules(run) if word not in SEQUELS)


def _limits(run: Run) -> dict[str, object]:
    limits = {"norm": run.config["clip_norm"], "value": run.config["clip_value"]}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _elsewhere(run: Run) -> str:
    """Say what else this configuration changes."""
    off = {**_ELSEWHERE, **{f"{LOSS}.{name}": default for name, default in run.recipe.loss.items()}}
    others = {name: run.config[name] for name, value in off.items() if run.config[name] != value}
    words = ", ".join(f"{name}={printed(value)}" for name, value in others.items())
    told = f"Of this configuration, train.py has besides: {words}."
    return fill(told, 100, break_on_hyphens=False, break_long_words=False) if words else ""
