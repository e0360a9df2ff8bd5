"""A Ray of our own on this machine, that comes and goes with a search."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

import ray

from hpo.cluster.manners import hushed, shut_down
from hpo.hardware import cpus, gpus_here
from hpo.stopping import terminal_kept, undisturbed

_OBJECT_STORE_BYTES: Final = 128 * 2**20


@contextlib.contextmanager
def local(processes: int) -> Iterator[None]:
    """Run a Ray of our own on this machine, on loopback, with its files in a folder that goes with it.

    There is room for so many processes, one for each CPU at least.
    """
    folder = tempfile.mkdtemp(prefix="hpo-")
    importing = threading.Thread(target=_import_tune)
    importing.start()  # Ray's processes take as long to start as Tune takes to import
    umask = os.umask(0o077)  # Ray writes its access token readable for all
    try:
        with terminal_kept():
            ray.init(
                address="local",
                num_cpus=max(processes, cpus()),
                num_gpus=gpus_here(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
            )
        os.umask(umask)
        importing.join()
        with hushed():
            yield
    finally:
        with undisturbed():
            os.umask(umask)
            shut_down()
            shutil.rmtree(folder, ignore_errors=True)


def _import_tune() -> None:
    import ray.tune  # noqa: F401
