"""What happens to a trial, in records: proposed, attempted, measured, ended.

These four are all that a search writes about its trials, in this order, with one running number
(`seq`) for each search; a fifth says how the rest of a budget is planned. Everything a person later sees is
computed from them (`hpo.history`).
Times are seconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from hpo.config import Config


class Outcome(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"  # trained all its epochs
    PRUNED = "pruned"  # stopped early, because others did better
    DIVERGED = "diverged"  # NaN, inf, or a loss far above its start
    FAILED = "failed"  # an error in the recipe, its data or its configuration
    LOST = "lost"  # its worker died, more often than is worth another try
    REFUSED = "refused"  # not trained at all, since it needs more memory than there is


class Judgment(StrEnum):
    """What becomes of a trial after an epoch."""

    GOES_ON = "goes on"
    STOPS = "stops"
    UNDECIDED = "undecided"  # that depends on rivals which are yet to come


TIMEOUT: Final = "timeout"
BUDGET: Final = "budget"
SPENT: Final = (TIMEOUT, BUDGET)
"""The reasons of a trial that was stopped by what it costs, not by a verdict."""
PROOF: Final = "proof"
CONFIRMATION: Final = "confirmation"
GIVEN: Final = "given"
"""The sampler of a search whose one configuration was given, and the origin of its trial."""
SEED: Final = "seed"
"""The note of a proposal that is trained with a seed of its own, not the search's."""
TEST: Final = "test"
"""The note of an ending that tells what the test split measured."""
LOADERS: Final = "loaders"
"""The note of an ending that lists the splits that the recipe gave as DataLoaders."""
AFTER: Final = "after"
"""The note of an attempt that says of what the trial's last worker died."""
METRIC: Final = "metric"
"""The note of an ending that says which metric was no finite number, though the loss was one."""
WARNING: Final = "warning"
"""The note of an attempt that a person should read at once."""
COSTS: Final = "costs"
"""The note of an attempt that tells what the trial takes, as far as that is a goal (`hpo.recipe.COSTS`)."""
AT_ONCE: Final = "at once"
AT_MOST: Final = "at most"
"""The notes of an attempt that tell how many trials its worker trains at once, and how many it would."""
UNDECIDED: Final = "undecided"
"""The note of a point after which its trial waits, with no worker, until more have got there.

It says how many epochs the search had trained by then.
"""
ALONE: Final = "alone"
"""The note of a point that says why its trial trains plainly, not in the stack of its cohort."""


@dataclass(frozen=True)
class Proposal:
    """Trial `number` is to train `config`.

    `params` and `distributions` are the sampler's own view of it (names of the space, values as
    drawn, distributions as JSON), `notes` what must be found again after a restart: by the sampler, or a
    seed of its own. `origin` says who proposed it: `baseline`, the name of the sampler, `confirmation` for
    one of the best that is trained with a fresh seed, or `proof` for the winner, trained once more, alone.
    """

    number: int
    config: Config
    origin: str
    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    cohort: str = ""
    at: float = 0.0
    seq: int = 0

    @property
    def proves(self) -> bool:
        """Whether this is the winner's proof."""
        return self.origin == PROOF

    @property
    def confirms(self) -> bool:
        """Whether this trains one of the best with a fresh seed."""
        return self.origin == CONFIRMATION

    @property
    def searched(self) -> bool:
        """Whether this is a part of the search, and not of what follows on it."""
        return self.origin not in (PROOF, CONFIRMATION)

    @property
    def lasts(self) -> bool:
        """Whether what it has learned is kept when it has ended."""
        return self.proves or self.origin == GIVEN

    @property
    def seed(self) -> int | None:
        """The seed of its own, if it has one."""
        return self.notes.get(SEED)


@dataclass(frozen=True)
class Attempt:
    """A worker (`host/pid`) took up a trial for a cohort; more than one if a worker died on it.

    A cohort that was halved takes its trials up again. `notes` say how many trials it trains at once and
    why (`hpo.training.fused.probe`), after which epoch each one that was saved goes on (`from`), what it
    costs (`COSTS`), and what a person should know of at once (`WARNING`); these may be noted later.
    """

    trial: int
    worker: str
    cohort: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    seq: int = 0


@dataclass(frozen=True)
class Point:
    """What one epoch of one trial measured.

    Losses are means over the samples of the epoch; `loss`, `score` and `metrics` are measured on
    validation data. `grad_norm` is the mean over the epoch's steps of the gradient's 2-norm before
    clipping, `clipped_norm` the same after clipping, `clipped_share` the share of steps that were
    clipped. `lr` is that of the epoch's last step, as are `grad_mean` and `grad_std`: mean and standard
    deviation of the entries of the gradient that was stepped along, so after clipping.
    `epoch` counts from 1; `seconds` is the epoch's own duration.

    In `notes` an engine says what else it knows of the trial by now, such as its memory; the referee keeps
    the last of it for the ending and puts in its place what the pruner must find again after a restart.
    """

    trial: int
    epoch: int
    score: float
    loss: float
    train_loss: float
    lr: float
    grad_norm: float
    clipped_norm: float
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    clipped_share: float = 0.0
    grad_mean: float = 0.0
    grad_std: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    seq: int = 0

    @property
    def curves(self) -> dict[str, float]:
        """What was measured, each under the name that its curve has in MLflow and in JSON."""
        return {
            "score": self.score,
            "train_loss": self.train_loss,
            "validation_loss": self.loss,
            **{f"validation_{name}": value for name, value in self.metrics.items()},
            "lr": self.lr,
            "grad_norm": self.grad_norm,
            "grad_norm_clipped": self.clipped_norm,
            "clipped_share": self.clipped_share,
            "grad_mean": self.grad_mean,
            "grad_std": self.grad_std,
            "epoch_seconds": self.seconds,
        }


@dataclass(frozen=True)
class Divergence:
    """A trial's loss became NaN, infinite or far too large in this epoch (from 1), at this step (from 0).

    `step` counts within the epoch, `grad_norm` is that of this step's gradient before clipping; `where` says
    at which layer it began, if that was found. `metric` says what is no finite number on validation data
    (`r2 is nan`) where the loss is one.
    """

    trial: int
    epoch: int
    step: int
    loss: float
    grad_norm: float
    where: str = ""
    metric: str = ""

    @property
    def notes(self) -> dict[str, Any]:
        """What is known of the cause."""
        if self.metric:
            return {"epoch": self.epoch, "loss": self.loss, METRIC: self.metric}
        known = {"epoch": self.epoch, "step": self.step, "loss": self.loss, "grad_norm": self.grad_norm}
        return {**known, "where": self.where} if self.where else known

    @property
    def reason(self) -> str:
        """Say it in words."""
        if self.metric:
            return f"{self.metric} on validation data after epoch {self.epoch}, the loss {self.loss:.4g}"
        where = f"epoch {self.epoch}, step {self.step}"
        said = f"loss {self.loss:.4g} at {where}, gradient norm {self.grad_norm:.4g}"
        return f"{said}; {self.where}" if self.where else said


@dataclass(frozen=True)
class Ending:
    """The one terminal record of a trial; `score` is that of its last epoch, if it had one.

    `notes` holds what else is known of the cause, such as the step at which a loss diverged.
    """

    trial: int
    outcome: Outcome
    reason: str = ""
    score: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    seq: int = 0


@dataclass(frozen=True)
class Forecast:
    """How the rest of a budget is planned from here, or why (`over`) no more trials are proposed.

    `trials` are those of the search itself in all, None while nobody knows what one costs; then the best
    `confirm` and the baseline train again with `seeds` fresh seeds. `used` is what was used so far: epochs
    (`trainings`), seconds, or seconds of devices. `gain` is what all trials that the rest pays for are
    expected to better the score by, `noise` what it moves by anyway; None where that is unknown. `terms` are
    the words that it all follows from: with others there is another plan.
    """

    trials: int | None
    confirm: int
    seeds: int
    used: float
    gain: float | None
    noise: float | None
    over: str
    terms: str
    at: float = 0.0
    seq: int = 0

    @property
    def worth(self) -> bool:
        """Whether more trials are expected to bring more than noise, as far as that is known."""
        return self.gain is None or self.noise is None or self.gain >= self.noise


Record = Proposal | Attempt | Point | Ending | Forecast

R = TypeVar("R", Proposal, Attempt, Point, Ending, Forecast)


def placed(record: R, seq: int, at: float) -> R:
    """Return a record with its place and time; `dataclasses.replace` takes five times as long for it."""
    copied = object.__new__(type(record))
    copied.__dict__.update(record.__dict__, seq=seq, at=at)
    return copied
