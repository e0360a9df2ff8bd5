"""The lines of a training that depend on its configuration; those of a script and of a folder's train.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce

from hpo.config import Value
from hpo.export.optim import hears
from hpo.export.pieces import Piece
from hpo.export.run import Run, definitions
from hpo.training.words.calls import Call, Name, printed
from hpo.training.words.values import (
    FULL_PRECISION,
    average_calls,
    freeze_calls,
    initialize_calls,
    loss_calls,
    slow_calls,
    start_calls,
)
from hpo.vocabulary import MODEL

Given = Mapping[str, Value | Name]


def model(run: Run, given: Given) -> str:
    """Return the network's expression; what is given by these names as data is given to it as well."""
    return reduce(
        lambda inner, call: call.source(inner), initialize_calls(run.config), recipe_model(run, given)
    )


def recipe_model(run: Run, given: Given) -> str:
    """Return the network as the recipe makes it: to be initialized in another way, or filled with weights."""
    values = run.config.below(MODEL)
    shared = {
        name: it for name, it in given.items() if name in values and values[name] == data_value(run, name)
    }
    return Call("model", {**values, **shared}).source()


def data(run: Run, given: Given) -> str:
    """Return the expression of the data, some of whose arguments are given."""
    return Call("data", {**run.data_options, **given}).source()


def data_value(run: Run, name: str) -> Value:
    """Return what an argument of the recipe's data was."""
    return run.data_options.get(name, run.recipe.data[name])


def definitions_of(run: Run, *others: Call) -> Piece:
    """Return hpo's definitions that the network and other calls rely on."""
    calls = (
        *start_calls(run.config),
        *freeze_calls(run.config),
        *initialize_calls(run.config),
        *others,
    )
    reading = {"hpo.training.checkpoint": {"read_checkpoint"}} if start_calls(run.config) else {}
    return definitions(calls, reading)


def batches(run: Run) -> Piece:
    """Return what reads data in batches, with the recipe's own loaders only where there may be some."""
    reading = {"hpo.training.loop.batches": {"place", "count_batches", "load"}}
    if run.loaders:
        reading["hpo.training.loop.loaders"] = {"count_steps", "read"}
    return definitions((), reading)


def reading(run: Run) -> dict[str, str]:
    """Return what `batches` calls what counts the steps of an epoch and what reads one, in an order."""
    if run.loaders:
        return {"count": "count_steps", "read": "read", "order": "seed, epoch"}
    return {"count": "count_batches", "read": "load", "order": "seed"}


def batches_elsewhere(run: Run) -> Piece:
    """Return the same where another trainer than a search's own takes the batches."""
    cutting = {
        "hpo.training.loop.batches": {"Split", "cut", "step_size"},
        "hpo.training.loop.loaders": {"Batches"},
        "hpo.training.loop.loop": {"seed_chance"},
        "hpo.export.parts.batches": {"loader"},
    }
    if run.loaders:
        cutting["hpo.training.loop.batches"] |= {"demand_batch"}
        cutting["hpo.training.loop.loaders"] |= {"recut"}
        cutting["hpo.export.parts.loaders"] = {"loader_of"}
    return definitions((), cutting)


def loading(run: Run) -> str:
    """Return what `batches_elsewhere` calls that which makes a loader of a part of the data."""
    return "loader_of" if run.loaders else "loader"


def preparation(run: Run) -> Iterator[str]:
    """Yield the lines that fill and freeze the network."""
    kept = "started = " if slow_calls(run.config) else ""
    for call in start_calls(run.config, run.recipe.module):
        own = {"path": Name(f'Path(__file__).with_name("{run.beside}")')} if run.beside else {}
        yield kept + Call(call.target, {**call.arguments, **own}).source("network")
    yield from (call.source("network") for call in freeze_calls(run.config))


def configuration(run: Run, epochs: str) -> str:
    """Return the line that makes what steps."""
    filled = ", started.filled" if slow_calls(run.config) else ""
    return f"optimizer, scheduler, clip = configure(network, {epochs} * steps{filled})"


def criterion(run: Run) -> Iterator[str]:
    """Yield the line that gives the loss its options, if it has any."""
    yield from (f"criterion = {call.source('loss')}" for call in loss_calls(run.config))


def additions(run: Run) -> Iterator[str]:
    """Yield the lines of what this configuration has besides."""
    yield from criterion(run)
    yield from (f"averaged = {call.source('network', 'optimizer')}" for call in average_calls(run.config))


def names(run: Run) -> dict[str, str]:
    """Return what is called what: the loss, the network that is measured, that whose weights are kept."""
    averaged = bool(average_calls(run.config))
    return {
        "criterion": "criterion" if loss_calls(run.config) else "loss",
        "averaged": "averaged" if averaged else "network",
        "kept": "averaged.module" if averaged else "network",
        "metrics": ", **metrics" if run.recipe.metrics else "",
    }


def evaluation(run: Run, measuring: str) -> list[str]:
    """Return the lines that measure, in full precision as in a search, whatever the trainer casts to."""
    if run.config["precision"] == FULL_PRECISION:
        return [measuring]
    inner = measuring.replace("\n", "\n    ")
    return [f"with torch.autocast(inputs.device.type, enabled=False):\n    {inner}"]


def hearing(run: Run) -> Iterator[str]:
    """Yield the line that tells the scheduler of a validation, if it minds."""
    if hears(run):
        yield f'scheduler.hear({sign(run)}measured["{run.recipe.objective.metric}"])'


def sign(run: Run) -> str:
    """Return what makes a cost of the objective: a minus if more is better."""
    return "" if run.recipe.objective.direction == "minimize" else "-"


def missing(run: Run, table: Mapping[str, tuple[Value, str]]) -> list[str]:
    """Return what a target lacks of this configuration; the table has what means `off`, and advice."""
    found = {name: advice for name, (off, advice) in table.items() if run.config[name] != off}
    return [f"{name}={printed(run.config[name])}: {advice}" for name, advice in found.items()]


def block(lines: Iterator[str] | list[str], depth: int = 1) -> str:
    """Return lines, which may have lines themselves, as they stand at some depth; nothing for none."""
    margin = "    " * depth
    return "".join(f"{margin}{line.replace(chr(10), chr(10) + margin)}\n" for line in lines)
