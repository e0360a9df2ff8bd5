"""How Tune is kept to an allowance. Importing this imports Tune."""

from __future__ import annotations

import time
from typing import Any, Final

from ray.tune.schedulers import FIFOScheduler

from hpo.cluster.allowance import Allowance

_IDLE_SECONDS: Final = 3.0


class Yielding(FIFOScheduler):
    """Starts shifts in the order in which they came, within an allowance; Tune asks it at each of its steps.

    Shifts that only wait for a place are withdrawn, the latest first; an idle worker, which Tune would keep
    for the next shift, is ended. Who trains is left alone.
    """

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._allowance = allowance
        self._busy = time.monotonic()

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Choose none: Tune starts all that wait, and would let this one take another's worker.

        Its own, which is about to start, would be ended: where starting takes longer than training,
        there would never be more workers.
        """
        tune, allowance = tune_controller._tune_controller, self._allowance
        allowance.held = _held(tune)
        allowance.look()
        idle = tune._actor_cache.num_cached_objects
        room = allowance.most - (allowance.held - idle)  # who is idle takes up who waits
        for trial in _waiting(tune)[max(0, room) :]:
            _withdraw(tune, trial)
        if not idle or tune._pending_trials:
            self._busy = time.monotonic()
        elif allowance.crowded and self._spare:
            tune._cleanup_cached_actors(force_all=True)

    @property
    def _spare(self) -> bool:
        """Whether an idle worker is one too many, or has been idle for long."""
        long = time.monotonic() > self._busy + _IDLE_SECONDS
        return long or self._allowance.held > self._allowance.most


# Tune tells its schedulers nothing of its actors, so what follows reads what its controller keeps to itself.


def _held(tune: Any) -> int:
    """Return how many workers there are, idle ones and those that start among them."""
    return sum(actor not in tune._stopping_actors for actor in tune._actor_manager.live_actors)


def _waiting(tune: Any) -> list[Any]:
    """Return the trials that wait for a place, the earliest first."""
    started = tune._actor_manager.is_actor_started
    at_work = {trial for trial, actor in tune._trial_to_actor.items() if started(actor)}
    waiting = tune._pending_trials - at_work
    return [trial for trial in tune._pending_trials_list if trial in waiting]


def _withdraw(tune: Any, trial: Any) -> None:
    trial.init_local_path()  # it may never have been placed, and Tune's results fail on who has no folder
    tune.stop_trial(trial)
    if trial in tune._staged_trials:  # Tune itself stops no trial that waits, and would keep an actor for it
        tune._unstage_trial_with_resources(trial)
