"""How many workers a search may have, and how one that has more gives places back."""

from __future__ import annotations

import time
from typing import Any, Final

from hpo.cluster.board import Board
from hpo.cluster.fairness import Stake
from hpo.cluster.order import Order

_LOOK_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 3.0
_ANY: Final = 10**6


class Allowance:
    """How many shifts of a search may be under way now, those that wait for a place among them.

    `held` is how many places the search has, `eager` whether there was a trial to hand out when that was
    last asked. Alone on a cluster, or on a Ray of its own, a search has what was ordered.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._board = Board() if order.priority else None
        self._share: int | None = None
        self._looked = float("-inf")
        self.held, self.eager = 0, True
        self.look()

    @property
    def most(self) -> int:
        """So many shifts may be under way; the last place is kept, so that no search stands still."""
        return self._ordered if self._share is None else min(self._ordered, max(self._share, self.held > 0))

    @property
    def _ordered(self) -> int:
        """What was ordered; where it may grow, one shift more waits whether there is room for it."""
        return max(self._order.workers, self.held + self._order.growing)

    @property
    def crowded(self) -> bool:
        """Whether other searches are on this cluster, which may want what is idle."""
        return self._share is not None

    def look(self) -> None:
        """See what others have and want; call it often."""
        if self._board and time.monotonic() >= self._looked + _LOOK_SECONDS:
            self._share = self._board.share(self._stake)
            self._looked = time.monotonic()

    @property
    def _stake(self) -> Stake:
        order = self._order
        full = _ANY if order.growing else order.workers
        cpus, gpus = order.share.cpus * order.share.processes, order.share.gpus * order.share.processes
        return Stake(order.priority or 1.0, self.held, full if self.eager else self.held, cpus, gpus)

    def leave(self) -> None:
        """Give way to the others."""
        if self._board:
            self._board.leave()


def yielding(allowance: Allowance) -> Any:
    """Return what keeps a run of Tune to its allowance: a scheduler, which Tune asks at each of its steps.

    Shifts that only wait for a place are withdrawn, the latest first; an idle worker, which Tune would keep
    for the next shift, is ended. Who trains is left alone.
    """
    from ray.tune.schedulers import FIFOScheduler

    class Yielding(FIFOScheduler):
        """Starts shifts in the order in which they came, within an allowance."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._busy = time.monotonic()

        def choose_trial_to_run(self, tune_controller: Any) -> None:
            """Choose none: Tune starts all that wait, and would let this one take another's worker.

            Its own, which is about to start, would be ended: where starting takes longer than training,
            there would never be more workers.
            """
            tune = tune_controller._tune_controller
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
            return long or allowance.held > allowance.most

    return Yielding()


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
