"""A training as a LightningModule, with the optimizer, schedule and clipping of the search."""

from __future__ import annotations

from typing import Final

from hpo.export import lines
from hpo.export.optim import configuring, hears
from hpo.export.pieces import read, used
from hpo.export.run import Run, document
from hpo.training.words.calls import printed
from hpo.training.words.values import measured_at, slow_calls

_PRECISIONS: Final = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_MISSING: Final = {
    "accumulate": (
        1,
        "Lightning accumulates whole batches, a search parts of one; the step is the same without",
    ),
    "l1": (0.0, "Lightning has no penalty; add it to the loss"),
    "ema": (None, "see lightning.pytorch.callbacks.EMAWeightAveraging"),
}

_MAIN: Final = '''import functools

import lightning
import torch
from torch import Tensor, nn


class Module(lightning.LightningModule):
    """The network, and how it is trained."""

    def __init__(self) -> None:
        super().__init__()
{network}
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the network's outputs."""
        return self.network(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        inputs, targets = batch
{options}        value = {criterion}(self(inputs), targets)
        self.log("train_loss", value, on_step=False, on_epoch=True, batch_size=len(targets))
        return value

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Measure a batch."""
        inputs, targets = batch
{measuring}
    def configure_optimizers(self) -> dict[str, object]:
        """Return the optimizer, and the scheduler that follows its steps."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, scheduler, self.clip = configure(self.network, steps{given})
        return {{"optimizer": optimizer, "lr_scheduler": {{"scheduler": scheduler, "interval": "step"}}}}

    def lr_scheduler_step(self, scheduler: Scheduler, _: object) -> None:
        """Count a step."""
        scheduler.step()

    def configure_gradient_clipping(self, *_: object, **__: object) -> None:
        """Clip as the search did."""
        self.clip(self.network.parameters())
{hearing}

def main() -> None:
    """Train as the search did, but for the order of the samples and other chance."""
    seed_chance(0)  # by which data are split, if by chance
{splits}    train = {loader}(splits["train"], {size}, shuffle=True)
    validation = {loader}(splits["validation"], {measured_at})
    lightning.seed_everything({seed})
    trainer = lightning.Trainer(max_epochs={epochs}, precision={precision})
    trainer.fit(Module(), train, validation)


if __name__ == "__main__":
    main()'''

_MEASURING: Final = """outputs = self(inputs)
for name, measure in {{"loss": loss{metrics}}}.items():
    self.log(f"validation_{{name}}", measure(outputs, targets), batch_size=len(targets))"""

_HEARING: Final = '''
    def on_validation_epoch_end(self) -> None:
        """Tell the scheduler what validation came to."""
        if not self.trainer.sanity_checking:
            self.lr_schedulers().hear({sign}self.trainer.callback_metrics["validation_{metric}"].item())
'''


_ABOUT: Final = """Needs torch, lightning and what the recipe imports, and no hpo.
The order of the samples is Lightning's."""


def lightning(run: Run) -> str:
    """Return the file."""
    slow = bool(slow_calls(run.config))
    names = lines.names(run)
    network = [f"network = {lines.model(run, {})}", *lines.preparation(run), "self.network = network"]
    main = _MAIN.format(
        network=lines.block([*network, *(["self.filled = started.filled"] if slow else [])], depth=2),
        given=", self.filled" if slow else "",
        options=lines.block(lines.criterion(run), depth=2),
        criterion=names["criterion"],
        measuring=lines.block(lines.evaluation(run, _MEASURING.format(metrics=names["metrics"])), depth=2),
        hearing=_HEARING.format(sign=lines.sign(run), metric=run.recipe.objective.metric)
        if hears(run)
        else "",
        splits=lines.block([f"splits = {lines.data(run, {})}"]),
        loader=lines.loading(run),
        size=printed(run.config["batch_size"]),
        measured_at=printed(measured_at(run.recipe.baseline)),
        seed=run.seed,
        epochs=run.epochs,
        precision=printed(_PRECISIONS[str(run.config["precision"])]),
    )
    # With float16 a fused optimizer unscales gradients itself, which is after Lightning has them clipped.
    stepping = configuring(run, fused=run.config["precision"] != "fp16")
    ours = used(stepping + lines.definitions_of(run) + lines.batches_elsewhere(run) + read(main))
    return document(run.around(ours), run.about, _ABOUT, *not_in_lightning(run))


def not_in_lightning(run: Run) -> list[str]:
    """Return what of this configuration is not in the file."""
    return lines.missing(run, _MISSING)
