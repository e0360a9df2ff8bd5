"""Starting of a Ray of our own only what trains, without its waits: half of the time and of the work.

Ray has no setting for that, so what follows stands in for parts that it keeps to itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from ray._private import services, utils
from ray._private.node import Node
from ray._raylet import GcsClient  # type: ignore[attr-defined]

_PATIENCE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05


@contextlib.contextmanager
def lean() -> Iterator[None]:
    """Have Ray start no dashboard, no autoscaler and nobody who reads logs, and import Tune meanwhile.

    Nobody could ask them: the address of this Ray is told to no one, and what it logs is not shown.
    """
    whole = [(owner, name, getattr(owner, name)) for owner, name, _ in _INSTEAD]
    try:
        for owner, name, instead in _INSTEAD:
            setattr(owner, name, instead)
        yield
    finally:
        for owner, name, own in whole:
            setattr(owner, name, own)


def _no_dashboard(node: Node, **_: object) -> None:
    node._webui_url = ""


def _nobody(_: Node) -> None:
    """Start nothing."""


def _no_door() -> ImportError:
    """Say of a node's agent, which must be there, that it lacks what it would serve a dashboard with."""
    return ImportError("nobody asks it")


def _get_node(gcs_address: str, node_id: str, _get: Callable[..., Any] = services.get_node) -> Any:
    """Import Tune, and look often whether the node is there; Ray itself would sleep for a second."""
    import ray.tune  # noqa: F401

    gcs, until = GcsClient(address=gcs_address), time.monotonic() + _PATIENCE_SECONDS
    while not gcs.get_all_node_info() and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return _get(gcs_address, node_id)


@contextlib.contextmanager
def at_hand() -> Iterator[None]:
    """Have Tune take the processes that this Ray has started with, where it would wait for others.

    By itself it gives them an environment of their own, which on this machine they have from their start.
    """
    from ray.tune.execution import class_cache

    own = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = own


_INSTEAD: Final[tuple[tuple[Any, str, Callable[..., Any]], ...]] = (
    (Node, "start_api_server", _no_dashboard),
    (Node, "start_monitor", _nobody),
    (Node, "start_log_monitor", _nobody),
    (utils, "get_dashboard_dependency_error", _no_door),
    (services, "get_node", _get_node),
)
