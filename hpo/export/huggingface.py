"""A training as Hugging Face's Trainer runs it, with the optimizer, schedule and clipping of the search."""

from __future__ import annotations

from typing import Final

from hpo.errors import InputError, Problem
from hpo.export import lines
from hpo.export.optim import configuring, hears
from hpo.export.pieces import read, used
from hpo.export.run import Run, document
from hpo.training.words.calls import printed
from hpo.training.words.values import measured_at, slow_calls

_MISSING: Final = {
    "clip_value": (None, "the Trainer clips by the norm only"),
    "accumulate": (1, "the Trainer accumulates whole batches, a search parts of one; the step is the same"),
    "l1": (0.0, "the Trainer has no penalty; add it to the loss"),
    "ema": (None, "the Trainer keeps no average of the weights"),
}
_NO_HEARING: Final = "the schedule minds what validation comes to, which the Trainer does not tell it"

_NO_METRICS: Final = "the Trainer measures the loss alone; give it compute_metrics"

_ABOUT: Final = """Needs torch, transformers, accelerate and what the recipe imports, and no hpo.
The Trainer gets this optimizer and this schedule; its own learning_rate, weight_decay and lr_scheduler_type
are left alone, since they count warm-up otherwise and spare biases. The order of samples is the Trainer's."""

_MAIN: Final = '''import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments


class Network(nn.Module):
    """The network in the form that the Trainer asks for: it takes named tensors and gives its loss, too."""

    def __init__(self) -> None:
        super().__init__()
{network}
    def forward(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return loss and outputs; in evaluation the loss is without the options of training."""
        if not self.training:
{measuring}        outputs = self.network(inputs)
{options}        return {{"loss": {criterion}(outputs, targets), "logits": outputs}}


def arguments(folder: str) -> TrainingArguments:
    """Return what the Trainer is told."""
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs={epochs},
        max_grad_norm={norm},
        seed={seed},
        bf16={bf16},
        fp16={fp16},
        label_names=["targets"],
        remove_unused_columns=False,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to="none",
    )


def collate(make: Callable[[Any], tuple[Tensor, Tensor]], samples: Any) -> dict[str, Tensor]:
    """Return a batch of named tensors."""
    inputs, targets = make(samples)
    return {{"inputs": inputs, "targets": targets}}


def named(batches: DataLoader) -> DataLoader:
    """Let a loader name its tensors."""
    batches.collate_fn = functools.partial(collate, batches.collate_fn)
    return batches


class Fed(Trainer):
    """A Trainer that is given its batches, since its own may end with a single sample."""

    def get_train_dataloader(self) -> DataLoader:
        """Return those to train on."""
        return self.accelerator.prepare(self.train_dataset)

    def get_eval_dataloader(self, eval_dataset: DataLoader | None = None) -> DataLoader:
        """Return those to measure on."""
        return self.accelerator.prepare(eval_dataset or self.eval_dataset)


def make_trainer(folder: str) -> Trainer:
    """Return what trains as the search did, but for the order of the samples and other chance."""
    seed_chance(0)  # by which data are split, if by chance
{splits}    train = named({loader}(splits["train"], {size}, shuffle=True))
    validation = named({loader}(splits["validation"], {measured_at}))
    seed_chance({seed})
    network = Network()
    optimizer, scheduler, _ = configure(network.network, {epochs} * len(train){given})
    return Fed(
        network,
        arguments(folder),
        train_dataset=train,
        eval_dataset=validation,
        optimizers=(optimizer, scheduler),
    )


if __name__ == "__main__":
    make_trainer("trained").train()'''


_MEASURING: Final = """outputs = self.network(inputs)
return {"loss": loss(outputs, targets), "logits": outputs}"""


def huggingface(run: Run) -> str:
    """Return the file.

    Raises:
        InputError: the Trainer cannot step as this optimizer does.
    """
    if run.config["optimizer"] == "lbfgs":
        message = (
            "lbfgs looks at a batch several times for each step, which the Trainer cannot. Take as=lightning."
        )
        raise InputError(Problem("as=huggingface", message))
    slow, names, config = bool(slow_calls(run.config)), lines.names(run), run.config
    network = [f"network = {lines.model(run, {})}", *lines.preparation(run), "self.network = network"]
    main = _MAIN.format(
        network=lines.block([*network, *(["self.filled = started.filled"] if slow else [])], depth=2),
        given=", network.filled" if slow else "",
        measuring=lines.block(lines.evaluation(run, _MEASURING), depth=3),
        options=lines.block(lines.criterion(run), depth=2),
        criterion=names["criterion"],
        splits=lines.block([f"splits = {lines.data(run, {})}"]),
        loader=lines.loading(run),
        size=printed(run.config["batch_size"]),
        measured_at=printed(measured_at(run.recipe.baseline)),
        norm=printed(config["clip_norm"] or 0.0),
        seed=run.seed,
        epochs=run.epochs,
        bf16=config["precision"] == "bf16",
        fp16=config["precision"] == "fp16",
    )
    ours = used(configuring(run) + lines.definitions_of(run) + lines.batches_elsewhere(run) + read(main))
    return document(run.around(ours), run.about, _ABOUT, *not_in_huggingface(run))


def not_in_huggingface(run: Run) -> list[str]:
    """Return what of this configuration is not in the file."""
    heard = [f"schedule: {_NO_HEARING}."] if hears(run) else []
    measured = [f"{', '.join(run.recipe.metrics)}: {_NO_METRICS}."] if run.recipe.metrics else []
    return [*lines.missing(run, _MISSING), *heard, *measured]
