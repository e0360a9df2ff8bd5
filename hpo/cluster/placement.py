"""Placing cohorts on workers, one Ray Tune trial each.

The only thing that Tune decides is *where* and *when* a cohort trains. What it trains and for how long is
between the worker and the referee, which speak directly. Tune's own search, schedulers, loggers and
checkpoints are off.
"""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError

from hpo.cluster.crew import Crew
from hpo.cluster.host import Host, Referee
from hpo.cluster.last_words import leave_last_words
from hpo.cluster.node import Place, pinned, this_node
from hpo.errors import HpoError, SearchError
from hpo.hardware import Share
from hpo.line import Line
from hpo.stopping import GRACE_SECONDS
from hpo.trial import Stopped

_PATIENCE_SECONDS: Final = 10.0
_VAIN: Final = 3  # so many workers that fail before they train, and the cause is not in the trials

Work = Callable[[str, Line, Crew], None]


@dataclass(frozen=True)
class Order:
    """What is wanted of the workers of a search.

    `workers` cohorts train at once, each with its `share` of the machines; `within` is how many seconds one
    may be silent (`hpo.cluster.watch.Watch`). `resumed`: trials that were under way are handed out again.
    `growing`: as many cohorts more as there is room for on machines that join.
    """

    workers: int
    share: Share
    within: float | None = None
    resumed: bool = False
    growing: bool = False


def train(make: Callable[[], Referee], work: Work, order: Order) -> None:
    """Train cohorts until the referee has no more; return when the last is done and durable.

    Args:
        make: makes the referee, in a process of its own on this machine.
        work: trains a cohort, given its name, a line to the referee and the worker's peers, in a worker.
        order: what is wanted of the workers.
    """
    with tempfile.TemporaryDirectory(prefix="hpo-tune-") as folder:
        actor: Any = ray.remote(Host).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=pinned(this_node())
        )
        host = actor.remote(make, folder, order.within)
        if order.resumed:
            ray.get(host.requeue.remote())
        try:
            _fit(host, work, order, folder)
        except KeyboardInterrupt:
            _let_stop(host)
            raise
        except BaseException:
            _flush_what_is_left(host)
            raise
        _flush(host)


def _let_stop(host: Any) -> None:
    """Give trials under way a moment to come to the end of an epoch and be saved."""
    with suppress(RayError):  # who takes longer goes on from an earlier checkpoint
        ray.get(host.stop.remote(), timeout=GRACE_SECONDS)
    _flush_what_is_left(host)


def _flush_what_is_left(host: Any) -> None:
    """After an error: a referee that cannot write is its cause, and told; one that is dead came of it."""
    try:
        _flush(host)
    except HpoError:
        raise
    except RayError:
        return


def _flush(host: Any) -> None:
    ray.get(host.flush.remote(), timeout=_PATIENCE_SECONDS)


def _fit(host: Any, work: Work, order: Order, folder: str) -> None:
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what went wrong is told by its ending
    share, asking = order.share, _asking(host, order.workers)
    resources = tune.PlacementGroupFactory([{"CPU": share.cpus, "GPU": share.gpus}] * share.processes)
    trainable = tune.with_parameters(
        _trainable(), work=work, host=host, share=share, folders=(folder, os.getcwd())
    )
    results = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=asking,
            num_samples=-1,
            max_concurrent_trials=None if order.growing else order.workers,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="cohorts",
            storage_path=folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    if asking.in_vain >= _VAIN:
        cause = str(results.errors[-1]).strip().splitlines()[-1]
        raise SearchError(f"Workers fail before they take up a trial: {cause}")


def _call(host: Any, method: str, *arguments: object) -> Any:
    return ray.get(getattr(host, method).remote(*arguments))


def _trainable() -> type:
    from ray import tune

    class Cohort(tune.Trainable):
        """One Tune trial: a cohort, trained from its first epoch to its last in one step."""

        def setup(  # type: ignore[override]
            self, config: dict[str, Any], work: Any, host: Any, share: Share, folders: tuple[str, str]
        ) -> None:
            words, home = folders
            leave_last_words(words)
            with suppress(OSError):  # a machine that has no such folder stays where it is
                os.chdir(home)
            self.work, self.call, self.crew = work, functools.partial(_call, host), Crew(share)
            self.line = Line(self.call)
            self.cohort: str = config["cohort"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.cohort = new_config["cohort"]
            return True

        def step(self) -> dict[str, Any]:
            self.call("begin", self.cohort, Place.of(os.getpid()))
            with suppress(Stopped):
                self.work(self.cohort, self.line, self.crew)
            self.call("leave", self.cohort)
            return {"done": True}

        def cleanup(self) -> None:
            self.crew.dismiss()

    return Cohort


def _asking(host: Any, workers: int) -> Any:
    from ray.tune.search import Searcher

    class Asking(Searcher):
        """Passes Tune's question for work on to the referee, and tells it whose worker died."""

        def __init__(self) -> None:
            super().__init__(metric="done", mode="max")
            self.suggested = 0
            self.alive: set[str] = set()  # cohorts that have a worker, or are about to
            self.in_vain = 0  # workers in a row that failed with no trial in hand

        def suggest(self, trial_id: str) -> Any:
            self.suggested += 1
            if self.in_vain >= _VAIN:
                return Searcher.FINISHED
            # The first workers need not wait for the referee to start: they load torch meanwhile.
            first = self.suggested <= workers
            ready, exhausted = (True, False) if first else ray.get(host.outlook.remote(list(self.alive)))
            if ready:
                self.alive.add(trial_id)
                return {"cohort": trial_id}
            return Searcher.FINISHED if exhausted else None

        def on_trial_complete(
            self,
            trial_id: str,
            result: dict[str, Any] | None = None,  # noqa: ARG002 - Tune's own signature
            error: bool = False,  # noqa: FBT001, FBT002
        ) -> None:
            self.alive.discard(trial_id)
            had_trials = error and ray.get(host.lost.remote(trial_id))
            self.in_vain = self.in_vain + 1 if error and not had_trials else 0

        def save(self, checkpoint_path: str) -> None:
            """Save nothing: the ledger has it all."""
            Path(checkpoint_path).touch()

        def restore(self, checkpoint_path: str) -> None:
            """Restore nothing: Tune's own resume is not used."""

    return Asking()
