"""The contract of an engine: what trains a cohort, trials of one recipe side by side, epoch by epoch.

All trials of a task share data, data order (`loop.epoch_seed`) and initial weights, so that they differ
only in their configuration. A trial's points are the same whatever trains beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

from hpo.config import Config
from hpo.recipe import Objective
from hpo.training.words.values import measured_at
from hpo.trial import Divergence, Point

if TYPE_CHECKING:
    from torch import Tensor

    from hpo.training.distributed import Team
    from hpo.training.loop.batches import BatchSize, Split
    from hpo.training.snapshot import Snapshot


@dataclass(frozen=True)
class Member:
    """A trial of a cohort: its number and its configuration, with every default filled in.

    It goes on from the `snapshot` of an earlier training, if there is one. One that is `tested` is measured
    on the test data, if there are such, after its last epoch.
    """

    number: int
    config: Config
    snapshot: Snapshot | None = None
    tested: bool = False

    @property
    def done(self) -> int:
        """The epochs that it was trained for before."""
        return self.snapshot.epoch if self.snapshot else 0

    @property
    def batch_size(self) -> BatchSize:
        """Samples in one step, or `full` for all at once."""
        return cast("BatchSize", self.config["batch_size"])


@dataclass(frozen=True)
class Task:
    """What the trials of a cohort have in common.

    `recipe` is the executed module (`hpo.training.execution`), `splits` what its `data` returned, loaded
    once for as many tasks as want it; `device` is torch's name for it: `cpu`, `cuda:0`. A `team` trains each
    trial together: every worker of it runs the engine, and all get the same results.

    Into `snapshots`, unless nobody wants any, the engine puts what takes a snapshot of each member as it
    stands after the epoch that was yielded last. Whose training lies in parts (FSDP) is not among them.
    """

    recipe: ModuleType
    splits: Mapping[str, Split]
    objective: Objective
    epochs: int
    seed: int
    device: str = "cpu"
    team: Team | None = None
    snapshots: dict[int, Callable[[], Snapshot]] | None = None

    @property
    def measures(self) -> Mapping[str, Callable[..., Tensor]]:
        """What is measured, by name: the loss, and the recipe's metrics."""
        return {"loss": self.recipe.loss, **getattr(self.recipe, "metrics", {})}

    @property
    def measured_at(self) -> BatchSize:
        """The batch size at which all trials are measured, the baseline's: none is to gain by its own."""
        return cast("BatchSize", measured_at(getattr(self.recipe, "baseline", {})))


def unsound_metric(objective: Objective, loss: float, score: float) -> str:
    """Say what is searched if that is no finite number and the loss is one; else nothing."""
    return f"{objective.metric} is {score}" if math.isfinite(loss) and not math.isfinite(score) else ""


Progress = Generator[list[Point | Divergence], Collection[int] | None, None]

Engine = Callable[[Task, Sequence[Member]], Progress]
"""Yields after each epoch one Point for each live member, or the Divergence that ends it.

Is sent the numbers of those who go on (None: all); the diverged leave in any case. Returns after the last
epoch, or when nobody is left.
"""
