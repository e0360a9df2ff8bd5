"""A Ray cluster that others run, joined for the time of a search."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from functools import cache
from typing import Final

import ray

from hpo.cluster.manners import KEY, hushed, shut_down
from hpo.errors import InputError, Problem
from hpo.hardware import Hardware
from hpo.stopping import terminal_kept, undisturbed

_KNOCK_SECONDS: Final = 5.0
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


@cache
def capacity(address: str) -> Hardware:
    """Return what a cluster has in all, busy or not.

    Raises:
        InputError: there is none, or it does not know us.
    """
    with joined(address):
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    machines = tuple(Hardware(int(it.get("CPU", 0)), int(it.get("GPU", 0))) for it in alive)
    cpus, gpus = sum(it.cpus for it in machines), sum(it.gpus for it in machines)
    return Hardware(cpus, gpus, "The cluster", machines)


def _said(error: Exception) -> str:
    if isinstance(error, ray.exceptions.AuthenticationError):
        return f"This Ray cluster does not let us in. {KEY}"
    first = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    start = "Start one (ray start --head), or write cluster=off for a Ray of our own"
    return f"Cannot join a Ray cluster here: {first}. {start}."
