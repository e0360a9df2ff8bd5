"""Where MLflow's data lies, and how its pages are shown."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hpo.errors import InputError, Problem

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CALM: Final = {
    # MLflow retries for four minutes and would repeat a request whose answer was lost, such as "create a
    # run". We retry ourselves, from what the store says it has.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# MLflow's server would also start seven processes for jobs that no search has: 1.6 GB instead of 0.5 GB, and
# 13 seconds to start instead of 5.
_LIGHT: Final = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def calm() -> None:
    """Make MLflow quick to give up, quiet and private in this process; must come before it is imported."""
    for name, value in _CALM.items():
        os.environ.setdefault(name, value)


def default_uri() -> str:
    """Return the store that MLflow itself would use here, so that a bare `mlflow ui` shows the search."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def make_whole(uri: str) -> None:
    """Make MLflow's SQLite store, if there is none yet, and put it in its place only when it is whole.

    MLflow makes its tables in many steps, and never opens a store again whose making was cut off.
    """
    path = _missing(uri)
    if path is None or not path.parent.is_dir():
        return
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=path.parent) as folder:
        made = Path(folder, path.name)
        MlflowClient(f"sqlite:///{made}").search_experiments()
        with suppress(FileExistsError):  # someone else was quicker
            os.link(made, path)


def _missing(uri: str) -> Path | None:
    """Return the file of an SQLite store that is not there."""
    path = Path(uri.removeprefix("sqlite:///"))
    return path if uri.startswith("sqlite:///") and not path.exists() else None


def open_to_read(uri: str = "") -> MlflowClient:
    """Return a client of a store in which something is looked for; none is made.

    Raises:
        InputError: there is no such store.
    """
    uri = uri or default_uri()
    if path := _missing(uri):
        remedy = "Name the one to look in, such as tracking=sqlite:////srv/team/mlflow.db or http://team:5000"
        raise InputError(
            Problem(f"tracking={uri}", f"MLflow has no store here, in {path.absolute()}. {remedy}.")
        )
    return open_store(uri)


def open_store(uri: str = "") -> MlflowClient:
    """Return a client of a store, which is made if it is not there; of MLflow's own by default."""
    calm()
    from mlflow import MlflowClient

    uri = uri or default_uri()
    make_whole(uri)
    return MlflowClient(uri)


class Ui(NamedTuple):
    """The address to look at, and what serves it: no command where a server already does."""

    address: str
    command: list[str]
    environment: dict[str, str]


def ui(uri: str = "", port: int = 5000) -> Ui:
    """Return how to look at a store: at this port if it is free, else at another."""
    uri = uri or default_uri()
    if uri.startswith(("http://", "https://")):
        return Ui(uri, [], {})
    port = _free(port) or _free(0)
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # The store may hold a password, and everyone may read a command line.
    environment = {**_CALM, **_LIGHT, **os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    return Ui(f"http://127.0.0.1:{port}", [sys.executable, "-m", "mlflow", "ui", *options], environment)


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])
