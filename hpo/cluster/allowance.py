"""How many workers a search may have."""

from __future__ import annotations

import time
from typing import Final

from hpo.cluster.board import Board
from hpo.cluster.fairness import Stake
from hpo.cluster.order import Order

_LOOK_SECONDS: Final = 1.0
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
