"""A Ray cluster that others run, joined for the time of a search."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

import ray
from ray.util.placement_group import placement_group, remove_placement_group

from hpo.cluster.manners import KEY, hushed, shut_down
from hpo.errors import InputError, Problem
from hpo.machine.hardware import Hardware
from hpo.stopping import stoppable, terminal_kept, undisturbed

_KNOCK_SECONDS: Final = 5.0
ARRIVAL_SECONDS: Final = 600.0
"""A machine that comes on demand starts, and fetches an image, in minutes."""
_LOOK_SECONDS: Final = 0.5
_NAMESPACE: Final = "hpo"
_OURS: Final = ("RAY_CHDIR_TO_TRIAL_DIR",)
"""Words of ours to Ray that its workers there must hear, too."""


@contextlib.contextmanager
def joined(address: str) -> Iterator[None]:
    """Take part in a Ray cluster, from one of its machines; leave it as it was.

    Args:
        address: `host:port` of its head, or `auto` for the one that this machine is part of.

    Raises:
        InputError: there is none, or it does not know us.
    """
    try:
        _reach(address)
        with terminal_kept():
            ray.init(
                address=address,
                namespace=_NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": {name: os.environ[name] for name in _OURS}},
            )
    except (OSError, ValueError, RuntimeError, ray.exceptions.AuthenticationError) as error:
        raise InputError(Problem(f"cluster={address}", _said(error))) from None
    try:
        with hushed():
            yield
    finally:
        with undisturbed():
            shut_down()


def _reach(address: str) -> None:
    """Knock, since Ray takes a minute to find that nobody is there.

    Raises:
        OSError: nobody answers.
    """
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()


def capacity(address: str, hear: Callable[[str], None]) -> Hardware:
    """Return what a cluster has in all, busy or not.

    One that has no CPU yet, since its workers are still starting or come on demand, is waited for.

    Args:
        address: of the cluster.
        hear: is told that it is waited for, and for how long.

    Raises:
        InputError: there is none, it does not know us, or it has no CPU after all.
    """
    with joined(address):
        found = _machines()
        if not found.cpus:
            limit = f"{ARRIVAL_SECONDS:.0f} s"
            hear(
                f"The cluster has no CPU yet. Waiting up to {limit} for a machine to join it; see: ray status"
            )
            _await_cpu(address)
            found = _machines()
    return found


def _machines() -> Hardware:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    machines = tuple(Hardware(int(it.get("CPU", 0)), int(it.get("GPU", 0))) for it in alive)
    cpus, gpus = sum(it.cpus for it in machines), sum(it.gpus for it in machines)
    return Hardware(cpus, gpus, "The cluster", machines)


def _await_cpu(address: str) -> None:
    """Ask for a CPU as a worker does, which makes a cluster grow that can, and wait for it.

    Raises:
        InputError: none came.
    """
    place, until = placement_group([{"CPU": 1}]), time.monotonic() + ARRIVAL_SECONDS
    with stoppable():
        while not (arrived := _machines().cpus > 0) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
    remove_placement_group(place)
    if not arrived:
        said = f"It has no CPU, and within {ARRIVAL_SECONDS:.0f} s no machine with one has joined it"
        remedy = "Start one (ray start --address=HEAD:6379), or see what those wait for that should be there"
        raise InputError(Problem(f"cluster={address}", f"{said}. {remedy}: ray status."))


def _said(error: Exception) -> str:
    if isinstance(error, ray.exceptions.AuthenticationError):
        return f"This Ray cluster does not let us in. {KEY}"
    first = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    start = "Start one (ray start --head), or write cluster=off for a Ray of our own"
    return f"Cannot join a Ray cluster here: {first}. {start}."
