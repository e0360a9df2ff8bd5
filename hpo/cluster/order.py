"""What is wanted of the workers of a search."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.machine.hardware import Share


@dataclass(frozen=True)
class Order:
    """What is wanted of the workers of a search.

    `workers` train at once, each with its `share` of the machines; `within` is how many seconds one
    may be silent (`hpo.cluster.watch.Watch`). `resumed`: trials that were under way are handed out again.
    `growing`: as many workers more as there is room for on machines that join. `priority`: what the search
    counts beside others on a cluster; None where there are no others.
    """

    workers: int
    share: Share
    within: float | None = None
    resumed: bool = False
    growing: bool = False
    priority: float | None = None
