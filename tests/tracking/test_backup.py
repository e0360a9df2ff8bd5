"""A copy of MLflow's store that docs/operations.md speaks of: the ledger brings it level."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.errors import HpoError
from hpo.history import State

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning",
)


def shown(uri):
    """Return what MLflow shows of each run: how it ended, what it was given, and its curve."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("cnn")
    runs = client.search_runs([experiment.experiment_id])
    return {
        run.info.run_name: (
            run.info.status,
            run.data.params,
            sorted((it.step, it.value) for it in client.get_metric_history(run.info.run_id, "loss")),
        )
        for run in runs
    }


def test_what_a_copy_lacks_is_sent_again_and_nothing_twice(tape, uri, tmp_path):
    from hpo.tracking import sync

    whole = list(tape.tape)
    tape.tape = whole[:8]
    sync(tape, tape.name, uri)
    (tmp_path / "restored").mkdir()
    copied = tmp_path / "restored" / "mlflow.db"
    with sqlite3.connect(tmp_path / "mlflow.db") as store, sqlite3.connect(copied) as copy:
        store.backup(copy)
    store.close(), copy.close()
    tape.tape = whole
    assert sync(tape, tape.name, uri) == len(whole) - 8
    restored = f"sqlite:///{copied}"
    assert len(shown(restored)) < len(shown(uri))
    assert sync(tape, tape.name, restored) == len(whole) - 8
    assert shown(restored) == shown(uri)


def test_an_older_copy_of_the_ledger_writes_over_nothing(tape, uri):
    from hpo.tracking import sync

    whole = list(tape.tape)
    tape.state = State.FINISHED
    sync(tape, tape.name, uri)
    before = shown(uri)
    tape.tape, tape.state = whole[:8], State.INTERRUPTED
    with pytest.raises(HpoError, match=r"which has 8: another copy went on with it\. Nothing was sent"):
        sync(tape, tape.name, uri)
    tape.tape += [replace(it, at=it.at + 100) for it in whole[8:]]
    with pytest.raises(HpoError, match="not all of them are in this ledger"):
        sync(tape, tape.name, uri)
    assert shown(uri) == before


def test_a_store_that_is_lost_is_written_anew(tape, uri, tmp_path, template):
    from hpo.tracking import sync

    sync(tape, tape.name, uri)
    new = Path(shutil.copy(template, tmp_path / "new.db"))
    assert sync(tape, tape.name, f"sqlite:///{new}") == len(tape.tape)
    assert shown(f"sqlite:///{new}") == shown(uri)
