"""Where results lie: the ledger and MLflow."""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hpo.doctor.finding import Finding
from hpo.errors import NO_PORT, HpoError, without_password
from hpo.ledger import Ledger
from hpo.tracking import default_uri

_FILE = "sqlite:///"


def ledger(store: str) -> Finding:
    """Open the ledger."""
    shown = without_password(store)
    try:
        searches = Ledger(store).searches()
    except HpoError as error:
        remedy = "Mend that, or choose another one: store=sqlite:///hpo.db"
        return Finding("Ledger", " ".join(str(error).split()), remedy)
    kept = f"{len(searches)} searches" if searches else "nothing yet"
    return Finding("Ledger", f"{shown}, {kept}")


def tracking() -> Finding:
    """Look whether MLflow would take curves; a search runs without it, and `hpo sync` sends them later."""
    uri = default_uri()
    remedy = "A search runs all the same; when it is back: hpo sync NAME. Or set MLFLOW_TRACKING_URI"
    complaint = _unreachable(uri) if uri.startswith(("http://", "https://")) else _unwritable(uri)
    return Finding("MLflow", without_password(uri) + complaint, remedy if complaint else "", essential=False)


def _unreachable(uri: str) -> str:
    try:
        request = _health(uri)
    except ValueError:  # which quotes a piece of the address, maybe of its password
        return f" cannot be read: {NO_PORT}"
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - http as configured
            return "" if answer.status == 200 else f" answers {answer.status}"
    except (OSError, ValueError, HTTPException) as error:
        return f" does not answer: {' '.join(str(error).split())}"


def _health(uri: str) -> urllib.request.Request:
    """Return the question whether a server is well, asked by the user whom its address names.

    Raises:
        ValueError: its host or port cannot be read.
    """
    parts = urlsplit(uri)
    user, at, place = parts.netloc.rpartition("@")
    asked = parts._replace(netloc=place, path=f"{parts.path.rstrip('/')}/health")
    headers = {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if at else {}
    _ = parts.port  # read here, since what is said of a wrong one may not be shown
    return urllib.request.Request(asked.geturl(), headers=headers)  # noqa: S310 - http as configured


def _unwritable(uri: str) -> str:
    path = Path(uri.removeprefix(_FILE))
    if not uri.startswith(_FILE) or path.parent.is_dir():
        return ""
    return f": there is no folder {path.parent}"
