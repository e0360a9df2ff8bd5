"""Whether another worker is to begin: the referee is asked, on Tune's behalf."""

from __future__ import annotations

from typing import Any, Final, Literal

import ray

from hpo.cluster.allowance import Allowance
from hpo.cluster.order import Order

_VAIN: Final = 3


class Inquiry:
    """Asks the referee, on Tune's behalf, whether another worker is to begin its shift.

    On a Ray of our own half of the workers begin before the referee has started, the others when somebody
    trains: what starts meanwhile would have no processor left, and the first result would come later. On a
    cluster, most of which is elsewhere, all begin.

    Args:
        host: of the referee.
        order: how many workers there are, and whether on a cluster.
        allowance: how many shifts may be under way.
    """

    def __init__(self, host: Any, order: Order, allowance: Allowance) -> None:
        self._host, self._allowance = host, allowance
        self._early = order.workers if order.priority else (order.workers + 1) // 2
        self._training = host.training.remote()
        self._alive: set[str] = set()  # shifts that have a worker, or are about to
        self._in_vain = 0  # workers in a row that failed with no trial in hand

    @property
    def gave_up(self) -> bool:
        """Whether so many workers failed before they trained that the cause is not in the trials."""
        return self._in_vain >= _VAIN

    def answer(self, shift: str) -> Literal["now", "later", "never"]:
        """Say whether this shift begins."""
        self._allowance.look()
        if self.gave_up:
            return "never"
        if len(self._alive) >= self._allowance.most:
            return "later"
        ready, exhausted = self._outlook()
        if ready:
            self._alive.add(shift)
            return "now"
        return "never" if exhausted else "later"

    def _outlook(self) -> tuple[bool, bool]:
        """Return whether there is a trial to hand out, and whether nothing is left."""
        if self._early > 0:  # it need not wait for the referee to start: it loads torch meanwhile
            self._early -= 1
            return True, False
        if self._alive and not ray.wait([self._training], timeout=0)[0]:
            return False, False
        found: tuple[bool, bool] = ray.get(self._host.outlook.remote([*self._alive]))
        self._allowance.eager = found[0]
        return found

    def end(self, shift: str, *, failed: bool) -> None:
        """Take in that a worker's shift is over, or that it has died."""
        self.withdraw(shift)
        had_trials = failed and ray.get(self._host.lost.remote(shift))
        self._in_vain = self._in_vain + 1 if failed and not had_trials else 0

    def withdraw(self, shift: str) -> None:
        """Take in that a shift is no longer under way."""
        self._alive.discard(shift)
