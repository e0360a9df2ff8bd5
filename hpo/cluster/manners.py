"""Keeping Ray from the terminal, being let in by it, and taking leave of it."""

from __future__ import annotations

import contextlib
import gc
import subprocess
from collections.abc import Iterator
from typing import Final

import ray
from ray._private import worker

_REAP_SECONDS: Final = 5.0
KEY: Final = "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file with its token."
"""What to do about a Ray that does not let us in."""


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep Ray from printing pages about a process or machine that has died, which it does unasked.

    What that meant for a trial is in the ledger.
    """
    spoken = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = spoken


def shut_down() -> None:
    """Shut Ray down, with no garbage collection meanwhile.

    Ray ends the whole process if one of its references is given back while it shuts down, which the
    collector may do in any thread that happens to set it off. It does not wait for what it has killed.
    """
    started = _processes()
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()
    for process in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_SECONDS)


def _processes() -> list[subprocess.Popen[bytes]]:
    """Return what Ray has started from this process."""
    node = worker._global_node
    return [info.process for kind in node.all_processes.values() for info in kind] if node else []
