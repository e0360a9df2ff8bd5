"""Placing workers, whose shifts are Ray Tune trials (`hpo.cluster.shift`).

The only thing that Tune decides is *where* and *when* a worker trains. What it trains and for how long is
between the worker and the referee, which speak directly. Tune's own search, schedulers, loggers and
checkpoints are off.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.exceptions import RayError, RayTaskError

from hpo.cluster.allowance import Allowance
from hpo.cluster.host import Host, Referee
from hpo.cluster.inquiry import Inquiry
from hpo.cluster.node import pinned, this_node
from hpo.cluster.order import Order
from hpo.errors import HpoError, SearchError
from hpo.stopping import GRACE_SECONDS

if TYPE_CHECKING:
    from hpo.cluster.trainable import Load, Work

_PATIENCE_SECONDS: Final = 10.0


def train(make: Callable[[], Referee], work: Work, order: Order, load: Load) -> None:
    """Train cohorts until the referee has no more; return when the last is done and durable.

    Args:
        make: makes the referee, in a process of its own on this machine.
        work: trains a cohort, given its name, a line to the referee and the worker's peers, in a worker;
            returns whether there was a trial.
        order: what is wanted of the workers.
        load: imports what a worker needs, while the referee starts.
    """
    with tempfile.TemporaryDirectory(prefix="hpo-tune-") as folder:
        actor: Any = ray.remote(Host).options(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
            scheduling_strategy=pinned(this_node()),
            enable_task_events=False,  # nobody looks at them, and a call takes longer with them
        )
        host = actor.remote(make, order.within)
        if order.resumed:
            ray.get(host.requeue.remote())
        try:
            _fit(host, (work, load), order, folder)
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
    try:
        ray.get(host.flush.remote(), timeout=_PATIENCE_SECONDS)
    except RayTaskError as error:  # it tells where in the referee's process, which is nothing to the user
        raise error.cause if isinstance(error.cause, HpoError) else error from None


def _fit(host: Any, task: tuple[Work, Load], order: Order, folder: str) -> None:
    from ray import tune  # takes seconds, in which a Ray of our own starts

    from hpo.cluster.asking import Asking
    from hpo.cluster.trainable import Shift
    from hpo.cluster.yielding import Yielding

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what went wrong is told by its ending
    share, allowance = order.share, Allowance(order)
    inquiry = Inquiry(host, order, allowance)
    resources = tune.PlacementGroupFactory([{"CPU": share.cpus, "GPU": share.gpus}] * share.processes)
    trainable = tune.with_parameters(Shift, task=task, host=host, order=order, home=os.getcwd())
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=Asking(inquiry),
            scheduler=Yielding(allowance) if order.priority else None,
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="shifts",
            storage_path=folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        results = tuner.fit()
    finally:
        allowance.leave()
    if inquiry.gave_up:
        cause = str(results.errors[-1]).strip().splitlines()[-1]
        raise SearchError(f"Workers fail before they take up a trial: {cause}")
