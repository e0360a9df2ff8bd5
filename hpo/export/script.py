"""A script that trains one configuration of a recipe and needs nothing of hpo.

It consists of what a search runs: the recipe's own source, the source of the training loop, the
optimizer's call as it is made. On the same machine it repeats the search's curve to the last digit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from importlib.metadata import version
from importlib.resources import files
from operator import add
from textwrap import indent
from typing import Final

from hpo.config import Config, Value
from hpo.export.pieces import Drop, Piece, import_block, needed, read, used
from hpo.recipe import Recipe
from hpo.training.calls import Call, printed
from hpo.training.optimizers import optimizer_call, parameters_call
from hpo.training.schedule_words import schedule_call
from hpo.training.values import (
    average_calls,
    freeze_calls,
    gradient_call,
    initialize_calls,
    loss_calls,
    slow_calls,
    start_calls,
)
from hpo.vocabulary import MODEL

_WRITE: Final = """    score = measured[{metric}]
    notes = {{"recipe": {recipe}, "config": CONFIG, "epoch": EPOCHS, "score": score}}
    write_checkpoint(WEIGHTS, {averaged}.state_dict(), notes)
"""

_INSTEAD: Final = {"criterion": "loss", "averaged": "network"}
"""What stands in the place of something that a configuration does without."""

_SEARCHED: Final = {"objective", "epochs", "baseline", "optimizers", "schedules", "checkpoints"}

_ABOUT: Final = """First the recipe, then the training loop, last the configuration.
Written by `hpo export`: needs what the recipe imports (torch was {torch}), and no hpo."""

_MAIN: Final = '''EPOCHS = {epochs}
SEED = {seed}
DEVICE = "{device}"
THREADS = {threads}
BATCH_SIZE = {batch_size}
CLIPPING = Clipping(norm={clip_norm}, value={clip_value})
{config}

def main() -> None:
    """Train the model and print a line for each epoch."""
    torch.set_num_threads(THREADS)  # another number adds up in another order: the last digits change
    splits = {data}
    splits = {{name: place(split, DEVICE) for name, split in splits.items()}}
    torch.manual_seed(SEED)
    network = {model}.to(DEVICE)
{preparation}    optimizer = {optimizer}
{additions}    schedule = {schedule}
    steps = count_batches(splits["train"], BATCH_SIZE)
    measures = {{"loss": loss{metrics}}}
    print("epoch", "train_loss", *measures, "lr", sep="  ")
    for epoch in range(1, EPOCHS + 1):
        seed = epoch_seed(SEED, epoch)
        torch.manual_seed(seed)
        factors = epoch_factors(schedule, epoch, steps, EPOCHS)
        batches = zip(factors, load(splits["train"], BATCH_SIZE, seed), strict=True)
        taken = list(train_epoch(network, {criterion}, optimizer, gradient, CLIPPING, batches))
        measured = evaluate({averaged}, measures, load(splits["validation"], BATCH_SIZE))
        schedule.hear({cost})
        print(epoch, mean_loss(taken), *measured.values(), taken[-1].lr, sep="  ", flush=True)
{conclusion}

if __name__ == "__main__":
    main()'''


def script(  # noqa: PLR0913 - a run has this many sides, and each is named where it is called
    recipe: Recipe,
    config: Config,
    *,
    epochs: int,
    seed: int,
    threads: int,
    data_options: Mapping[str, Value],
    device: str = "cpu",
    origin: str = "",
    weights: str = "",
) -> str:
    """Return the script for a complete configuration; `origin` says which trial it was and how good.

    It leaves what it has trained in the checkpoint `weights`, if that is named.
    """
    own = read(recipe.source, _is_of_search(recipe.source))
    run = {"epochs": epochs, "seed": seed, "threads": threads, "device": device}
    values = {name: printed(config[name]) for name in ("batch_size", "clip_norm", "clip_value")}
    ending = _ending(recipe, config, weights)
    main = _MAIN.format(**run, **values, **_expressions(recipe, config, data_options, device), **ending)
    ours = used(_loop(config, writes=bool(weights)) + read(f"import functools\n\nimport torch\n\n{main}"))
    whole = own + ours.apart_from(own)
    gap = "\n" if own.body.startswith(("def ", "class ", "@")) else ""
    return f"{_header(recipe, origin)}\n\n{import_block(whole.imports)}\n\n{gap}{whole.body}\n"


def _expressions(
    recipe: Recipe, config: Config, data_options: Mapping[str, Value], device: str
) -> dict[str, str]:
    parameters = parameters_call(config).source("network")
    for call in slow_calls(config):
        parameters = call.source(parameters, "network", "started.filled")
    sign = "" if recipe.objective.direction == "minimize" else "-"
    expressions = {
        "data": Call("data", data_options).source(),
        "model": _on(Call("model", config.below(MODEL)).source(), initialize_calls(config)),
        "optimizer": optimizer_call(config, recipe.module).source(parameters),
        "schedule": schedule_call(config, recipe.module).source(),
        "cost": f'{sign}measured["{recipe.objective.metric}"]',
        "metrics": ", **metrics" if recipe.metrics else "",
    }
    additions = _additions(config, device)
    expressions |= {name: name if name in additions else plain for name, plain in _INSTEAD.items()}
    lines = "".join(f"{name} = {text}\n" for name, text in additions.items())
    return {
        "additions": indent(lines, "    "),
        "preparation": indent(_preparation(recipe, config), "    "),
        **{name: text.replace("\n", "\n    ") for name, text in expressions.items()},
    }


def _additions(config: Config, device: str) -> dict[str, str]:
    """Return what this configuration needs besides, by the name that it gets."""
    additions = [("criterion", call.source("loss")) for call in loss_calls(config)]
    additions += [("gradient", gradient_call(config, device).source())]
    additions += [("averaged", call.source("network", "optimizer")) for call in average_calls(config)]
    return dict(additions)


def _preparation(recipe: Recipe, config: Config) -> str:
    """Return the lines that fill and freeze the network."""
    kept = "started = " if slow_calls(config) else ""
    starts = [kept + call.source("network") for call in start_calls(config, recipe.module)]
    return "".join(
        f"{line}\n" for line in [*starts, *(call.source("network") for call in freeze_calls(config))]
    )


def _ending(recipe: Recipe, config: Config, weights: str) -> dict[str, str]:
    """Return the lines that write the weights, and the constants that they use."""
    if not weights:
        return {"conclusion": "", "config": ""}
    values = "".join(f"    {printed(name)}: {printed(value)},\n" for name, value in config.items())
    averaged = "averaged.module" if average_calls(config) else "network"
    text = _WRITE.format(
        averaged=averaged, recipe=printed(recipe.name), metric=printed(recipe.objective.metric)
    )
    return {"conclusion": text, "config": f"CONFIG = {{\n{values}}}\nWEIGHTS = {printed(weights)}\n"}


def _on(subject: str, calls: Iterable[Call]) -> str:
    """Print calls around a subject, or the subject alone."""
    return reduce(lambda inner, call: call.source(inner), calls, subject)


def _loop(config: Config, *, writes: bool) -> Piece:
    """Return what trains: the definitions that this configuration calls, clipping and the loop."""
    calls = (
        *start_calls(config),
        *freeze_calls(config),
        *slow_calls(config),
        *initialize_calls(config),
        *average_calls(config),
        gradient_call(config, "cpu"),
        parameters_call(config),
        optimizer_call(config),
        schedule_call(config),
    )
    wanted: dict[str, set[str]] = {}
    for module, name in (pair for call in calls for pair in call.ours):
        wanted.setdefault(module, set()).add(name)
    wanted["hpo.training.clipping"] = {"Clipping", "clip_gradients"}
    if writes or start_calls(config):
        names = {"write_checkpoint"} if writes else set()
        wanted["hpo.training.checkpoint"] = names | ({"read_checkpoint"} if start_calls(config) else set())
    pieces = [needed(_source(module), names) for module, names in wanted.items()]
    whole = reduce(add, [*pieces, read(_source("hpo.training.loop"))])
    return replace(
        whole, imports=frozenset(item for item in whole.imports if not item.module.startswith("hpo."))
    )


def _source(module: str) -> str:
    """Return the source text of one of hpo's modules, without importing it."""
    package, _, name = module.rpartition(".")
    return files(package).joinpath(f"{name}.py").read_text("utf-8")


def _is_of_search(source: str) -> Drop:
    """Return what tells the parts of a recipe that only a search reads, or that run when it runs itself."""
    read_names = {
        node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    unread = _SEARCHED - read_names

    def is_of_search(statement: ast.stmt) -> bool:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                return name in unread
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                return True
        return False

    return is_of_search


def _header(recipe: Recipe, origin: str) -> str:
    about = ast.get_docstring(ast.parse(recipe.source)) or ""
    paragraphs = [f"Train {recipe.name}. {about}".strip(), origin, _ABOUT.format(torch=version("torch"))]
    text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return '"""' + text.replace("\\", "\\\\").replace('"""', "'''") + '\n"""'
