"""Where results lie: the ledger and MLflow."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from hpo.doctor.finding import Finding
from hpo.errors import HpoError, without_password
from hpo.ledger import Ledger
from hpo.tracking import default_uri

_FILE = "sqlite:///"


def ledger(store: str) -> Finding:
    """Open the ledger."""
    shown = without_password(store)
    try:
        searches = Ledger(store).searches()
    except HpoError as error:
        return Finding("Ledger", " ".join(str(error).split()), "Choose another one: store=sqlite:///hpo.db")
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
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5) as answer:  # noqa: S310 - http as configured
            return "" if answer.status == 200 else f" answers {answer.status}"
    except (urllib.error.URLError, OSError) as error:
        return f" does not answer: {error}"


def _unwritable(uri: str) -> str:
    path = Path(uri.removeprefix(_FILE))
    if not uri.startswith(_FILE) or path.parent.is_dir():
        return ""
    return f": there is no folder {path.parent}"
