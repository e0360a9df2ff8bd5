"""A Ray of our own on this machine, that comes and goes with a search."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Final

import ray

from hpo.cluster.lean import lean
from hpo.cluster.manners import hushed, shut_down
from hpo.errors import SearchError
from hpo.hardware import cpus, gpus_here
from hpo.stopping import terminal_kept, undisturbed

_OBJECT_STORE_BYTES: Final = 128 * 2**20


@contextlib.contextmanager
def local(processes: int) -> Iterator[None]:
    """Run a Ray of our own on this machine, on loopback, with its files in a folder that goes with it.

    There is room for so many processes, one for each CPU at least.

    Raises:
        SearchError: Ray does not start.
    """
    folder = tempfile.mkdtemp(prefix="hpo-")
    umask = os.umask(0o077)  # Ray writes its access token readable for all
    try:
        with terminal_kept(), lean():
            _start(max(processes, cpus()), folder)
        os.umask(umask)
        with hushed():
            yield
    finally:
        with undisturbed():
            os.umask(umask)
            shut_down()
            shutil.rmtree(folder, ignore_errors=True)


def _start(processes: int, folder: str) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=processes,
            num_gpus=gpus_here(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise SearchError(
            f"Ray does not start here: {said} Nothing is lost; `hpo resume` goes on."
        ) from error
