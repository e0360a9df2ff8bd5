"""Faults of processes: killed, stopped, asked to stop.

A strike returns when the fault is over; whether the search lives is seen afterwards.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from scene import Scene, until

HOLD_SECONDS = (2.0, 6.0)  # how long a fault lasts that ends by itself
STOP_SECONDS = 12.0  # ten are promised; the rest is for a machine that is busy with other runs


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to processes, which may be gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def there(it: Scene, processes: Callable[[], list[int]]) -> list[int]:
    """Return processes as soon as there are any; none if the search has ended before."""
    until(lambda: processes() or not it.alive)
    return processes()


def driver(it: Scene, _: random.Random) -> None:
    kill([it.pid])


def everything(it: Scene, _: random.Random) -> None:
    """As when the machine loses its power: nobody lives to notice that another one has died."""
    pids = it.processes()
    kill(pids, signal.SIGSTOP)
    kill(pids)


def driver_twice(it: Scene, chance: random.Random) -> None:
    """Once, and once more while the search is being resumed."""
    driver(it, chance)
    it.process and it.process.wait()
    until(lambda: len(it.processes("raylet")) == 0, 70)
    it.start("resume", "hit")
    time.sleep(chance.uniform(0, 15))
    driver(it, chance)


def paused(it: Scene, chance: random.Random) -> None:
    kill([it.pid], signal.SIGSTOP)
    time.sleep(chance.uniform(*HOLD_SECONDS))
    kill([it.pid], signal.SIGCONT)


def asked_to_stop(it: Scene, chance: random.Random) -> None:
    kill([it.pid], chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    if until(lambda: not it.alive, STOP_SECONDS) is None:
        raise AssertionError(f"asked to stop, it is there after {STOP_SECONDS} s")
    assert it.process is not None
    assert it.process.returncode in (130, 0)  # or it had just ended
    assert set(it.processes()) <= it.orphans, "asked to stop, it leaves processes behind"


def of_ray(title: str) -> Callable[[Scene, random.Random], None]:
    """Kill one of Ray's processes, by its title."""

    def strike(it: Scene, chance: random.Random) -> None:
        pids = there(it, lambda: it.processes(title))
        kill([chance.choice(pids)] if pids else [])

    return strike


def worker(it: Scene, _: random.Random) -> None:
    kill(there(it, it.at_work)[:1])


def worker_stopped(it: Scene, _: random.Random) -> None:
    """For ever: it hangs."""
    kill(there(it, it.at_work)[:1], signal.SIGSTOP)


def worker_paused(it: Scene, chance: random.Random) -> None:
    pids = there(it, it.at_work)[:1]
    kill(pids, signal.SIGSTOP)
    time.sleep(chance.uniform(*HOLD_SECONDS))
    kill(pids, signal.SIGCONT)


def tracker(it: Scene, _: random.Random) -> None:
    kill(there(it, lambda: it.processes("hpo.tracking")))


def one_of(*faults: Callable[[Scene, random.Random], None]) -> Callable[[Scene, random.Random], None]:
    """Return a strike of one of these, at random."""

    def strike(it: Scene, chance: random.Random) -> None:
        chance.choice(faults)(it, chance)

    return strike
