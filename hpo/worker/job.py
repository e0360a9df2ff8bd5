"""What workers are told of a search: plain values, which need neither torch nor the words of a search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpo.config import Config, Value
from hpo.machine.hardware import device_here
from hpo.recipe import Objective
from hpo.worker.shelf import Shelf

if TYPE_CHECKING:  # brings all words of a search
    from hpo.planning.plan import Plan


@dataclass(frozen=True)
class Job:
    """What the workers of a search must know of it.

    `at_once` is how many trials a worker trains at once, None for as many as a measurement with the
    `baseline` recommends, up to `most`, which are fewer where a search `learns` from its trials. A worker may
    fill its `share` of the device's memory, and on a GPU cannot take more. Of each trial the `costs` are
    measured before it trains; `memory` is the most bytes that it may take, None for that share. One that
    diverges within `autopsy` steps is trained once more, up to there, to see where it began.
    """

    source: str
    path: str
    objective: Objective
    epochs: int
    seed: int
    baseline: Config
    shelf: Shelf | None = None
    data_options: tuple[tuple[str, Value], ...] = ()
    threads: int = 1
    device: str = "cpu"
    parallel: str = "ddp"
    at_once: int | None = 1
    most: int = 1
    learns: bool = True
    deterministic: bool = False
    costs: tuple[str, ...] = ()
    memory: int | None = None
    share: float = 1.0
    autopsy: int = 50

    @classmethod
    def of(cls, plan: Plan, shelf: Shelf | None = None) -> Job:
        """Return what the workers of a planned search must know."""
        return cls(
            shelf=shelf,
            source=plan.search.source,
            path=plan.search.path,
            objective=plan.search.objective,
            epochs=plan.epochs,
            seed=plan.setting("seed"),
            data_options=tuple(plan.data_options.items()),
            threads=plan.setting("threads"),
            device=plan.setting("device"),
            parallel=plan.setting("parallel"),
            baseline=plan.baseline,
            at_once=plan.at_once,
            most=plan.most_at_once,
            learns=plan.learns,
            deterministic=plan.setting("deterministic"),
            costs=plan.costs,
            memory=plan.setting("memory"),
            share=_share(plan),
        )

    @property
    def here(self) -> Job:
        """The same for this process alone: on this machine's CPU, where it has no GPU."""
        return replace(self, device=device_here(self.device), share=1.0)


def _share(plan: Plan) -> float:
    """Return what part of its device a trial may fill: of a machine one of all workers', of a GPU its own."""
    if plan.setting("device") == "cpu":
        return 1 / plan.beside
    return min(1.0, plan.setting("gpus_per_trial") or 1.0)
