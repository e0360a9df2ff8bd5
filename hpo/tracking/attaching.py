"""Files that come after a search, kept on its parent run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hpo.history import Search
from hpo.tracking.following import told
from hpo.tracking.places import calm, open_store

_FOLDER: Final = "served"


def attach(
    search: Search, paths: Sequence[Path], values: Mapping[str, float] | None = None, trial: int | None = None
) -> str:
    """Keep files and values on a search's parent run; say where, or why not: MLflow may be out of reach.

    Those of a `trial` that is not the winner are kept apart, by its number.
    """
    calm()
    from mlflow.entities import Metric

    from hpo.tracking.runs import Runs
    from hpo.tracking.wording import milliseconds

    folder = _FOLDER if trial is None else f"{_FOLDER}/trial-{trial}"
    prefix = "" if trial is None else f"trial-{trial}_"
    try:
        client = open_store()
        run, at = Runs(client, search).parent, milliseconds(time.time())
        for path in paths:
            client.log_artifact(run, str(path), folder)
        client.log_batch(run, [Metric(prefix + name, value, at, 0) for name, value in (values or {}).items()])
    except Exception as error:  # noqa: BLE001 - the store may be MLflow's own, with any error of its database
        return f"Not in {told(error)}"
    named = ", ".join(path.name for path in paths)
    return f"In MLflow: {named} in {folder}/, among the artifacts of run {search.name}."
