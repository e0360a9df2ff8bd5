"""The processes that take part in a trial which another one leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from hpo.machine.hardware import Share

_GRACE_SECONDS: Final = 5.0  # that peers have to end when their trial has failed


class Peer:
    """A process that takes part in a trial which another one leads."""

    def __init__(self) -> None:
        import hpo.worker.peers  # noqa: F401 - torch takes its time, and the leader imports it meanwhile

    def do(self, task: Callable[[int], None], rank: int) -> None:
        """Do a peer's part of a task."""
        task(rank)


class Crew:
    """The peers of this process: see `hpo.worker.peers.Crew`. They go when it goes."""

    def __init__(self, share: Share) -> None:
        self._share, self.size = share, share.processes
        self.address = _address()
        self._peers = {rank: self._hire(rank) for rank in range(1, self.size)}
        self._tasks: dict[int, Any] = {}

    def _hire(self, rank: int) -> Any:
        """Start a peer in its bundle of this Tune trial, of which the first is that of this process."""
        kind: Any = ray.remote(Peer)
        group: Any = ray.util.get_current_placement_group()
        place = PlacementGroupSchedulingStrategy(group, rank)
        return kind.options(
            num_cpus=self._share.cpus, num_gpus=self._share.gpus, scheduling_strategy=place
        ).remote()

    def start(self, task: Callable[[int], None]) -> None:
        """Give each peer the same task, which is told its number."""
        self._tasks = {rank: peer.do.remote(task, rank) for rank, peer in self._peers.items()}

    def dead(self) -> list[int]:
        """Return whose process has ended, after giving those that still work some time."""
        tasks = list(self._tasks.values())
        ray.wait(tasks, num_returns=len(tasks), timeout=_GRACE_SECONDS)
        return [rank for rank, task in self._tasks.items() if _state(task) == "dead"]

    def renew(self) -> None:
        """Put new processes in the place of those that have ended or still work."""
        for rank, task in self._tasks.items():
            if _state(task) != "done":
                ray.kill(self._peers[rank])
                self._peers[rank] = self._hire(rank)

    def dismiss(self) -> None:
        """End them all."""
        for peer in self._peers.values():
            ray.kill(peer)


def _address() -> str:
    """Return where this trial's other workers reach this one: loopback as long as there is one machine."""
    alone = len(ray.nodes()) == 1  # type: ignore[no-untyped-call]
    return "127.0.0.1" if alone else str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def _state(task: Any) -> Literal["done", "dead", "at work"]:
    """Say what became of a peer's task; an error in it, as of a line that broke, leaves the peer sound."""
    try:
        ray.get(task, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return "at work"
    except ray.exceptions.RayActorError:
        return "dead"
    except ray.exceptions.RayTaskError:
        return "done"
    return "done"
