"""The train.py of an exported folder: the recipe, the loop of a search, and arguments for production."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from importlib.metadata import version
from operator import add
from typing import Final

from hpo.config import Value
from hpo.export import lines
from hpo.export.imports import Import
from hpo.export.optim import configuring, own_words
from hpo.export.pieces import Piece, read, used
from hpo.export.run import Run, document, whole
from hpo.training.words.calls import Call, Name, printed
from hpo.training.words.values import average_calls, measured_at

_PARTS: Final = (
    "hpo.training.loop.loop",
    *(f"hpo.export.parts.{name}" for name in ("precision", "together", "keeping")),
)
_GRADIENTS: Final = [
    Call(f"hpo.training.loop.gradients.{name}") for name in ("Autocast", "Scaled", "weighted")
]

_ABOUT: Final = """    python train.py                                     repeats that training
    python train.py --epochs 50 --checkpoint run.pt     trains longer, and goes on after an interruption
    torchrun --nproc-per-node 2 train.py --device cuda  trains with several processes (DDP)

Needs {beside} beside it and what requirements.txt lists (torch was {torch}), and no hpo."""

_MAIN: Final = '''import argparse
import functools
from pathlib import Path

import torch

BATCH_SIZE = {batch_size}
MEASURED_AT = {measured_at}  # the batch size of validation, for whatever configuration
THREADS = {threads}


def arguments() -> argparse.Namespace:
    """Return what was typed; without words, the training of the search is repeated."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
{arguments}    return parser.parse_args()


def main() -> None:
    """Train the model, print a line for each epoch, and write the weights."""
    options = arguments()
    torch.set_num_threads(THREADS)  # another number adds up in another order: the last digits change
    with working(options.device) as workers:
        train(options, workers)


def train(options: argparse.Namespace, workers: Workers) -> None:
    """Train as one of the workers."""
    seed_chance(0)  # by which data are split, if by chance
{splits}    splits = {{name: place(split, workers.device) for name, split in splits.items()}}
    seed_chance(options.seed)
{network}    steps = {count}(splits["train"], BATCH_SIZE)
{additions}    spread, measures = workers.spread(network), {{"loss": loss{metrics}}}
    parts = {{
{parts}    }}
    done = resume(options.checkpoint, parts)
    if workers.rank == 0:
        print("epoch", "train_loss", *measures, "lr", sep="  ")
    for epoch in range(done + 1, options.epochs + 1):
        seed = epoch_seed(options.seed, epoch)
        seed_chance(seed)
        batches = {read}(splits["train"], BATCH_SIZE, {order})
        taken = list(train_epoch(spread, {criterion}, optimizer, scheduler, gradient, clip, batches))
        batches = {read}(splits["validation"], MEASURED_AT)
        measured = workers.agree(evaluate({averaged}, measures, batches))
{hearing}        if workers.rank == 0:
            print(epoch, mean_loss(taken), *measured.values(), taken[-1].lr, sep="  ", flush=True)
        if workers.rank == 0 and options.checkpoint:
            save(options.checkpoint, parts, epoch)
    if workers.rank == 0:
        notes = {{"epochs": options.epochs, "seed": options.seed, "data": fingerprint(splits)}}
        write_weights(options.weights, {kept}, notes)


if __name__ == "__main__":
    main()'''


def train(run: Run) -> str:
    """Return train.py."""
    given = {name: Name(f"options.{name}") for name in _data_arguments(run)}
    network = [f"network = workers.place({lines.model(run, given)})", *lines.preparation(run)]
    steps = [lines.configuration(run, "options.epochs"), *_gradient(run), *lines.additions(run)]
    main = _MAIN.format(
        batch_size=printed(run.config["batch_size"]),
        measured_at=printed(measured_at(run.recipe.baseline)),
        threads=run.threads,
        arguments=lines.block(_arguments(run)),
        splits=lines.block([f"splits = {lines.data(run, given)}"]),
        network=lines.block(network),
        additions=lines.block(steps),
        parts=lines.block(_parts(run), depth=2),
        hearing=lines.block(lines.hearing(run), depth=2),
        **lines.reading(run),
        **lines.names(run),
    )
    parts = (
        lines.definitions_of(run, *_GRADIENTS, *_wrappers(run), *average_calls(run.config)),
        lines.batches(run),
        *map(whole, _PARTS),
        read(main),
    )
    ours = reduce(add, parts)
    ours = used(_importing(ours, run))
    beside = f"optim.py and {run.beside}" if run.beside else "optim.py"
    return document(run.around(ours), run.about, _ABOUT.format(torch=version("torch"), beside=beside))


def _importing(piece: Piece, run: Run) -> Piece:
    """Return a piece that imports from optim.py what stands there, by the name that it has there."""
    there = configuring(run)
    names = there.other_names(own_words(run))
    beside = {Import("optim", names.get(name, name), name) for name in there.names - piece.names}
    return replace(piece, imports=piece.imports | beside)


def _arguments(run: Run) -> Iterator[str]:
    """Yield the lines that declare what may be typed, the defaults being those of the search."""
    for name, value in _data_arguments(run).items():
        kind = f", type={type(value).__name__}" if isinstance(value, int | float) else ""
        yield f'parser.add_argument("--{name}"{kind}, default={printed(value)}, help="of the data")'
    yield f'parser.add_argument("--epochs", type=int, default={run.epochs}, help="the schedule stretches")'
    yield f'parser.add_argument("--seed", type=int, default={run.seed}, help="of weights, order, dropout")'
    yield f'parser.add_argument("--device", default="{run.device}", help="such as cpu or cuda")'
    precisions = 'choices=["fp32", "bf16", "fp16"]'
    precision = printed(run.config["precision"])
    yield f'parser.add_argument("--precision", {precisions}, default={precision}, help="of training")'
    yield 'parser.add_argument("--checkpoint", default="", help="file to save to and to go on from")'
    yield 'parser.add_argument("--weights", default="trained.safetensors", help="file to write")'


_OURS: Final = {"epochs", "seed", "device", "precision", "checkpoint", "weights", "help"}


def _data_arguments(run: Run) -> Mapping[str, Value]:
    """Return the arguments of the recipe's data that can be typed, with what they were."""
    values = {name: lines.data_value(run, name) for name in run.recipe.data if name not in _OURS}
    return {name: it for name, it in values.items() if it is not None and not isinstance(it, bool)}


def _gradient(run: Run) -> Iterator[str]:
    """Yield the lines that put together what takes the gradient, in the order in which a search does."""
    told = "options.precision, workers.device"
    yield f"gradient = cast(workers.gradient(), {told})"
    accumulated, penalized = _wraps(run)
    yield from (f"gradient = {call.source()}" for call in accumulated)
    yield f"gradient = scaled(gradient, {told})"
    yield from (f"gradient = {call.source()}" for call in penalized)


def _wraps(run: Run) -> tuple[list[Call], list[Call]]:
    """Return the calls that wrap the gradient, before and after its loss is scaled."""
    inner, steps, l1 = Name("gradient"), run.config["accumulate"], run.config["l1"]
    accumulated = Call("hpo.training.loop.gradients.Accumulated", {"inner": inner, "steps": steps})
    penalized = Call("hpo.training.loop.gradients.Penalized", {"inner": inner, "l1": l1})
    return [accumulated] if steps != 1 else [], [penalized] if l1 else []


def _wrappers(run: Run) -> list[Call]:
    accumulated, penalized = _wraps(run)
    return accumulated + penalized


def _parts(run: Run) -> Iterator[str]:
    """Yield what a checkpoint holds."""
    names = {"model": "network", "optimizer": "optimizer", "scheduler": "scheduler", "gradient": "gradient"}
    averaged = {"average": "averaged"} if lines.names(run)["averaged"] == "averaged" else {}
    yield from (f'"{name}": {it},' for name, it in {**names, **averaged}.items())
