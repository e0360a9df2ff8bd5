"""A script that trains one configuration of a recipe and needs nothing of hpo.

It consists of what a search runs: the recipe's own source, the source of the training loop, the
optimizer's call as it is made. On the same machine it repeats the search's curve to the last digit.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from hpo.export import lines
from hpo.export.optim import configuring
from hpo.export.pieces import read, used
from hpo.export.run import Run, document, whole
from hpo.training.words.calls import Call, printed
from hpo.training.words.values import average_calls, gradient_call, measured_at

_ABOUT: Final = """First the recipe, then the training loop, last the configuration.
Written by `hpo export`: needs what the recipe imports (torch was {torch}), and no hpo."""

_MAIN: Final = '''import functools

import torch

EPOCHS = {epochs}
SEED = {seed}
DEVICE = "{device}"
THREADS = {threads}
BATCH_SIZE = {batch_size}
MEASURED_AT = {measured_at}  # the batch size of validation, for whatever configuration
{config}

def main() -> None:
    """Train the model and print a line for each epoch."""
    torch.set_num_threads(THREADS)  # another number adds up in another order: the last digits change
    seed_chance(0)  # by which data are split, if by chance
{splits}    splits = {{name: place(split, DEVICE) for name, split in splits.items()}}
    seed_chance(SEED)
{network}    steps = {count}(splits["train"], BATCH_SIZE)
{additions}    measures = {{"loss": loss{metrics}}}
    print("epoch", "train_loss", *measures, "lr", sep="  ")
    for epoch in range(1, EPOCHS + 1):
        seed = epoch_seed(SEED, epoch)
        seed_chance(seed)
        batches = {read}(splits["train"], BATCH_SIZE, {order})
        taken = list(train_epoch(network, {criterion}, optimizer, scheduler, gradient, clip, batches))
        measured = evaluate({averaged}, measures, {read}(splits["validation"], MEASURED_AT))
{hearing}        print(epoch, mean_loss(taken), *measured.values(), taken[-1].lr, sep="  ", flush=True)
{conclusion}

if __name__ == "__main__":
    main()'''

_WRITE: Final = """    score = measured[{metric}]
    notes = {{"recipe": {recipe}, "config": CONFIG, "epoch": EPOCHS, "score": score}}
    write_checkpoint(WEIGHTS, {kept}.state_dict(), notes)
"""


def script(run: Run, weights: str = "") -> str:
    """Return the script, which leaves what it has trained in the checkpoint `weights`, if that is named."""
    gradient = gradient_call(run.config, run.device)
    steps = [lines.configuration(run, "EPOCHS"), f"gradient = {gradient.source()}", *lines.additions(run)]
    network = [f"network = {lines.model(run, {})}.to(DEVICE)", *lines.preparation(run)]
    main = _MAIN.format(
        epochs=run.epochs,
        seed=run.seed,
        threads=run.threads,
        device=run.device,
        batch_size=printed(run.config["batch_size"]),
        measured_at=printed(measured_at(run.recipe.baseline)),
        config=_constants(run, weights),
        splits=lines.block([f"splits = {lines.data(run, {})}"]),
        network=lines.block(network),
        additions=lines.block(steps),
        hearing=lines.block(lines.hearing(run), depth=2),
        conclusion=_conclusion(run) if weights else "",
        **lines.reading(run),
        **{name: it for name, it in lines.names(run).items() if name != "kept"},
    )
    writing = [Call("hpo.training.checkpoint.write_checkpoint")] if weights else []
    relied_on = lines.definitions_of(run, gradient, *average_calls(run.config), *writing)
    loop = whole("hpo.training.loop.loop")
    ours = used(configuring(run) + relied_on + lines.batches(run) + loop + read(main))
    return document(run.around(ours), run.about, _ABOUT.format(torch=version("torch")))


def _constants(run: Run, weights: str) -> str:
    """Return the constants that writing weights needs."""
    if not weights:
        return ""
    values = "".join(f"    {printed(name)}: {printed(value)},\n" for name, value in run.config.items())
    return f"CONFIG = {{\n{values}}}\nWEIGHTS = {printed(weights)}\n"


def _conclusion(run: Run) -> str:
    recipe, metric = printed(run.recipe.name), printed(run.recipe.objective.metric)
    return _WRITE.format(recipe=recipe, metric=metric, kept=lines.names(run)["kept"])
