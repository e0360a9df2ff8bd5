"""How searches share a cluster: places go by weight, and what one does not want falls to others."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Stake:
    """What a search has of a cluster, and wants: places, each of which takes so many CPUs and GPUs.

    `weight` is what the search counts beside others. `wanted` are its places in all, with those `held`.
    """

    weight: float
    held: int
    wanted: int
    cpus: float
    gpus: float = 0.0


def share_places(cpus: float, gpus: float, stakes: Sequence[Stake]) -> list[int]:
    """Return how many places each search is to have; of two that are alike the first comes first.

    Places are given one by one, always to the search that has least for its weight; who has what is wanted,
    or does not fit in what is left, drops out. So nobody gets a second place before everyone has one, and
    nobody's last place goes to one who has none yet. What a search has is measured by what it takes most of,
    CPUs or GPUs (dominant resource fairness: Ghodsi et al., NSDI 2011); where all places are alike, this is
    max-min fairness by weight.
    """
    given = [0] * len(stakes)
    turns = [(-1.0 if it.held else 0.0, -it.weight, place) for place, it in enumerate(stakes)]
    sizes = [max(_part(it.cpus, cpus), _part(it.gpus, gpus)) for it in stakes]
    heapq.heapify(turns)
    while turns:
        place = turns[0][2]
        it = stakes[place]
        if given[place] >= it.wanted or max(it.cpus - cpus, it.gpus - gpus) > _ROUNDING:
            heapq.heappop(turns)
            continue
        given[place] += 1
        cpus, gpus = cpus - it.cpus, gpus - it.gpus
        heapq.heapreplace(turns, (given[place] / it.weight * sizes[place], -it.weight, place))
    return given


def _part(taken: float, whole: float) -> float:
    return taken / whole if whole > 0 else 0.0
