"""A script that trains one configuration of a recipe and needs nothing of hpo.

It consists of what a search runs: the recipe's own source, the source of the training loop, the
optimizer's call as it is made. On the same machine it repeats the search's curve to the last digit.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from hpo import training
from hpo.config import Config, Value
from hpo.export.pieces import Drop, Piece, import_block, read, used
from hpo.recipe import Recipe
from hpo.training.optimizers import OPTIMIZERS, Call
from hpo.training.schedules import SCHEDULES

_SEARCHED: Final = {"objective", "epochs", "baseline"}

_ABOUT: Final = """First the recipe, then the training loop, last the configuration.
Written by `hpo export`: needs what the recipe imports (torch was {torch}), and no hpo."""

_MAIN: Final = '''EPOCHS = {epochs}
SEED = {seed}
DEVICE = "{device}"
THREADS = {threads}
BATCH_SIZE = {batch_size}
CLIP_NORM = {clip_norm}
WARMUP = {warmup}


def main() -> None:
    """Train the model and print a line for each epoch."""
    torch.set_num_threads(THREADS)  # another number adds up in another order: the last digits change
    splits = {data}
    splits = {{name: place(split, DEVICE) for name, split in splits.items()}}
    torch.manual_seed(SEED)
    network = {model}.to(DEVICE)
    optimizer = {optimizer}
    steps = count_batches(splits["train"], BATCH_SIZE)
    rates = {rates}
    measures = {{"loss": loss{metrics}}}
    print("epoch", "train_loss", *measures, "lr", sep="  ")
    for epoch in range(1, EPOCHS + 1):
        seed = epoch_seed(SEED, epoch)
        torch.manual_seed(seed)
        now = rates[(epoch - 1) * steps : epoch * steps]
        batches = zip(now, load(splits["train"], BATCH_SIZE, seed), strict=True)
        taken = list(train_epoch(network, loss, optimizer, CLIP_NORM, batches))
        measured = evaluate(network, measures, load(splits["validation"], BATCH_SIZE))
        print(epoch, mean_loss(taken), *measured.values(), taken[-1].lr, sep="  ", flush=True)


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
) -> str:
    """Return the script for a complete configuration; `origin` says which trial it was and how good."""
    own = read(recipe.source, _is_of_search(recipe.source))
    run = {"epochs": epochs, "seed": seed, "threads": threads, "device": device}
    values = {name: config[name] for name in ("batch_size", "clip_norm", "warmup")}
    main = _MAIN.format(**run, **values, **_expressions(recipe, config, data_options))
    ours = used(_loop(str(config["schedule"])) + read(f"import torch\n\n{main}"))
    whole = own + ours.apart_from(own)
    gap = "\n" if own.body.startswith(("def ", "class ", "@")) else ""
    return f"{_header(recipe, origin)}\n\n{import_block(whole.imports)}\n\n{gap}{whole.body}\n"


def _expressions(recipe: Recipe, config: Config, data_options: Mapping[str, Value]) -> dict[str, str]:
    optimizer = OPTIMIZERS[str(config["optimizer"])].call(config.below("optimizer"))
    schedule = Call("learning_rates", config.below("schedule"))
    factor = SCHEDULES[str(config["schedule"])].factor.__name__
    expressions = {
        "data": Call("data", data_options).source(),
        "model": Call("model", config.below("model")).source(),
        "optimizer": optimizer.source("network.parameters()"),
        "rates": schedule.source("EPOCHS * steps", 'optimizer.defaults["lr"]', "WARMUP", factor),
        "metrics": ", **metrics" if recipe.metrics else "",
    }
    return {name: text.replace("\n", "\n    ") for name, text in expressions.items()}


def _loop(schedule: str) -> Piece:
    """Return what trains: the learning rates of one schedule, clipping and the loop."""
    folder = Path(training.__file__).parent
    wanted = {"learning_rates", SCHEDULES[schedule].factor.__name__}
    sources = {name: (folder / f"{name}.py").read_text("utf-8") for name in ("schedules", "clipping", "loop")}
    rates = read(sources["schedules"], lambda node: getattr(node, "name", "") not in wanted)
    whole = rates + read(sources["clipping"]) + read(sources["loop"])
    return replace(
        whole, imports=frozenset(item for item in whole.imports if not item.module.startswith("hpo."))
    )


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
