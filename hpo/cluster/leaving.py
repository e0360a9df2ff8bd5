"""Taking leave of Ray."""

from __future__ import annotations

import gc

import ray


def shut_down() -> None:
    """Shut Ray down, with no garbage collection meanwhile.

    Ray ends the whole process if one of its references is given back while it shuts down, which the
    collector may do in any thread that happens to set it off.
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()
