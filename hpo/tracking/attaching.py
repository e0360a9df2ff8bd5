"""Files that come after a search, kept on its parent run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hpo.history import Search
from hpo.tracking.places import calm, default_uri, make_whole

_FOLDER: Final = "served"


def attach(search: Search, path: Path) -> str:
    """Keep a file on a search's parent run, and say where; or why not, since MLflow may be out of reach."""
    calm()
    from mlflow import MlflowClient

    from hpo.tracking.runs import Runs

    uri = default_uri()
    try:
        make_whole(uri)
        client = MlflowClient(uri)
        client.log_artifact(Runs(client, search).parent, str(path), _FOLDER)
    except Exception as error:  # noqa: BLE001 - the store may be MLflow's own, with any error of its database
        told = str(error).strip().partition("\n")[0]
        return f"Not in MLflow: {type(error).__name__}: {told}"
    return f"In MLflow: {_FOLDER}/{path.name}, among the artifacts of run {search.name}."
