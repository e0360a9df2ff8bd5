"""A Ray of our own on this machine, that comes and goes with a search."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import ray
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

from hpo.cluster.lean import at_hand, lean
from hpo.cluster.manners import hushed, shut_down
from hpo.errors import SearchError
from hpo.machine.hardware import gpus_here
from hpo.machine.limits import cpus
from hpo.stopping import terminal_kept, undisturbed

_OBJECT_STORE_BYTES: Final = 128 * 2**20
_DEEPEST: Final = len("/hpo-12345678/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")
_LONGEST: Final = 103 - _DEEPEST  # of a socket's path macOS takes so many characters, Linux 107
_TOKEN: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")  # the first counts for more


@contextlib.contextmanager
def local(processes: int) -> Iterator[None]:
    """Run a Ray of our own on this machine, on loopback, with its files in a folder that goes with it.

    There is room for so many processes, one for each CPU at least.

    Raises:
        SearchError: Ray does not start.
    """
    folder = tempfile.mkdtemp(prefix="hpo-", dir=_temporary())
    others = _own_token(Path(folder))
    try:
        with terminal_kept(), lean():
            _start(max(processes, cpus()), folder)
        with hushed(), at_hand():
            yield
    finally:
        with undisturbed():
            shut_down()
            _return_to(others)
            shutil.rmtree(folder, ignore_errors=True)


def _temporary() -> str:
    """Return where temporary folders go; `/tmp`, if Ray's sockets would lie too deep there.

    So it is on macOS, and on machines whose jobs have folders of their own.
    """
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > _LONGEST and os.access("/tmp", os.W_OK) else usual  # noqa: S108


def _own_token(folder: Path) -> Mapping[str, str]:
    """Have Ray ask for a token that is nowhere but in this folder, and return what it would have asked for.

    By itself it keeps one for all in the home folder, which need not be there, as in a container.
    """
    others = {name: os.environ.pop(name) for name in _TOKEN if name in os.environ}
    file = folder / "auth_token"
    file.touch(0o600)
    file.write_text(secrets.token_hex(32))
    os.environ[_TOKEN[1]] = str(file)
    AuthenticationTokenLoader.instance().reset_cache()
    return others


def _return_to(others: Mapping[str, str]) -> None:
    os.environ.pop(_TOKEN[1], None)
    os.environ.update(others)
    AuthenticationTokenLoader.instance().reset_cache()


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
