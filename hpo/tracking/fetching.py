"""Bringing a search back from MLflow."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpo.errors import InputError, Problem, did_you_mean
from hpo.history import Search
from hpo.results import transcript
from hpo.tracking.following import explained
from hpo.tracking.places import default_uri, open_to_read
from hpo.trial import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


class Fetched(NamedTuple):
    """A search and its records as MLflow keeps them, and how many it has been `sent` of them by now."""

    search: Search
    records: list[Record]
    sent: int


@explained()
def fetch(name: str, uri: str = "") -> Fetched:
    """Return a search, by its name or the id of its parent run, and its records, as MLflow has them.

    Raises:
        InputError: there is no store, or it has no such search, several of this name, or not all of it.
        HpoError: MLflow cannot be read.
    """
    from hpo.tracking.runs import CURSOR

    client = open_to_read(uri)
    run = _chosen(client, name, uri)
    search, records = transcript.read(_transcript(client, run))
    return Fetched(search, records, int(run.data.tags.get(CURSOR, 0)))


def _chosen(client: MlflowClient, name: str, uri: str) -> Run:
    from hpo.tracking.runs import BORN

    found = _parents(client, f"tags.`hpo.search` = '{name}'") or _parents(client, f"run_id = '{name}'")
    if not found:
        hint = did_you_mean(name, (run.data.tags["hpo.search"] for run in _parents(client)))
        where = uri or default_uri()
        raise InputError(Problem(name, f"There is no search of this name in MLflow at {where}.{hint}"))
    if len(found) > 1:
        several = ", ".join(f"{run.info.run_id} of {run.data.tags[BORN]}" for run in found)
        message = f"MLflow has {len(found)} searches of this name: {several}"
        raise InputError(Problem(name, f"{message}. Name one of them in place of the search."))
    return found[0]


def _parents(client: MlflowClient, which: str = "") -> list[Run]:
    """Return the parent runs of searches, which alone say when they began."""
    from hpo.tracking.runs import BORN

    experiments = [it.experiment_id for it in client.search_experiments()]
    query = " AND ".join(filter(None, (f"tags.`{BORN}` LIKE '%'", which)))
    return list(client.search_runs(experiments, query))


def _transcript(client: MlflowClient, run: Run) -> str:
    from mlflow.exceptions import MlflowException

    from hpo.tracking.runs import TRANSCRIPT

    with tempfile.TemporaryDirectory(prefix="hpo-transcript-") as folder:
        try:
            path = Path(client.download_artifacts(run.info.run_id, TRANSCRIPT, folder))
        except MlflowException:
            name = run.data.tags["hpo.search"]
            remedy = f"Send it from where it ran, when it has ended: hpo sync {name}"
            raise InputError(Problem(name, f"MLflow has no {TRANSCRIPT} of this search. {remedy}.")) from None
        return gzip.decompress(path.read_bytes()).decode()
