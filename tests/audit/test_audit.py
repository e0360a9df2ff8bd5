"""An audit passes a sound search and finds every single thing that is wrong with another."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulation import mirrored

from hpo import cli
from hpo.audit import audit
from hpo.history import State

EPOCHS, TRIALS = 4, 6


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished search of a real referee, confirmed and proved, and its MLflow."""
    folder = tmp_path_factory.mktemp("sound")
    words = (f"trials={TRIALS}", "sampler=random", "seed=2", "confirm_seeds=2")
    mirrored(folder, EPOCHS, State.FINISHED, *words)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which may be spoilt."""
    for name in ("hpo.db", "mlflow.db"):
        shutil.copy(sound / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return tmp_path


def failed(folder: Path) -> dict[str, list[str]]:
    """The checks that fail, and why."""
    checks = audit(f"sqlite:///{folder}/hpo.db", "cnn-1", f"sqlite:///{folder}/mlflow.db")
    return {check.name: list(check.faults) for check in checks if not check.passed}


def spoil(database: Path, *statements: str) -> None:
    """Change a database behind hpo's back; keys and constraints are no obstacle."""
    with sqlite3.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def without_keys(table: str) -> tuple[str, ...]:
    """Statements that take a table's keys away, so that rows can be doubled."""
    return (
        f"CREATE TABLE plain AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE plain RENAME TO {table}",
    )


def test_a_sound_search_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "cnn-1", f"tracking=sqlite:///{folder}/mlflow.db"]
    assert cli.main(words) == 0
    page = capsys.readouterr().out
    assert "checks passed" in page
    assert "✗" not in page
    assert cli.main([*words, "--json"]) == 0
    found = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    assert all(item["passed"] and item["examined"] > 0 for item in found.values()), found
    assert found["MLflow: no point of a curve is missing"]["examined"] > 100


SEQ = "records are numbered from 1, without gaps or doubles"
NUMBERS = "trials are numbered from 0, without gaps or doubles"
EPOCH = "each epoch is counted once, and none is missing"
ORPHAN = "every attempt, epoch and ending is that of a proposed trial"
STEPS = "a trial is proposed, then attempted, then measured, then ended"
WHOLE = "a finished trial has all its epochs, any other fewer"
ONCE = "each trial has ended once"
SCORE = "a trial's score is that of its last epoch"
SESSIONS = "sessions begin, end in a known state, and a second finish has more trials"
FINISHED = "(SELECT min(trial) FROM endings WHERE outcome = 'finished')"
OTHER = "(SELECT min(trial) FROM endings WHERE outcome <> 'finished')"
CONFIRMATION = "(SELECT min(number) FROM proposals WHERE origin = 'confirmation')"
DOUBLE = "INSERT INTO {0} SELECT * FROM {0} WHERE seq = (SELECT max(seq) FROM {0})"


@pytest.mark.parametrize(
    ("check", "statements"),
    [
        pytest.param(check, statements, id=label)
        for label, check, statements in (
            ("an ending lost", ONCE, [f"DELETE FROM endings WHERE trial = {FINISHED}"]),
            ("an ending doubled", ONCE, [*without_keys("endings"), DOUBLE.format("endings")]),
            ("an ending of nobody", ORPHAN, ["UPDATE endings SET trial = 99 WHERE trial = 0"]),
            ("a point of nobody", ORPHAN, ["UPDATE points SET trial = 99 WHERE trial = 0"]),
            ("an attempt of nobody", ORPHAN, ["UPDATE attempts SET trial = 99 WHERE trial = 0"]),
            ("an epoch lost", EPOCH, [f"DELETE FROM points WHERE trial = {FINISHED} AND epoch = 2"]),
            ("the first epoch lost", EPOCH, ["DELETE FROM points WHERE trial = 0 AND epoch = 1"]),
            ("an epoch counted twice", EPOCH, [*without_keys("points"), DOUBLE.format("points")]),
            (
                "the last epoch lost",
                WHOLE,
                [f"DELETE FROM points WHERE trial = {FINISHED} AND epoch = {EPOCHS}"],
            ),
            ("finished too early", WHOLE, [f"UPDATE endings SET outcome = 'finished' WHERE trial = {OTHER}"]),
            ("pruned too late", WHOLE, [f"UPDATE endings SET outcome = 'pruned' WHERE trial = {FINISHED}"]),
            (
                "an unknown outcome",
                "outcomes are known ones",
                [f"UPDATE endings SET outcome = 'tired' WHERE trial = {OTHER}"],
            ),
            ("a proposal lost", NUMBERS, ["DELETE FROM proposals WHERE number = 2"]),
            ("the baseline lost", NUMBERS, ["DELETE FROM proposals WHERE number = 0"]),
            ("a proposal doubled", NUMBERS, [*without_keys("proposals"), DOUBLE.format("proposals")]),
            (
                "more trials than ordered",
                "no more trials than were ordered",
                ["UPDATE searches SET settings = replace(settings, '\"trials\": 6', '\"trials\": 5')"],
            ),
            (
                "no attempt",
                "no trial has an epoch without an attempt",
                ["DELETE FROM attempts WHERE trial = 1"],
            ),
            ("measured before attempted", STEPS, ["UPDATE attempts SET seq = 100000 WHERE trial = 0"]),
            ("attempted before proposed", STEPS, ["UPDATE proposals SET seq = 100000 WHERE number = 0"]),
            ("ended before measured", STEPS, [f"UPDATE endings SET seq = -1 WHERE trial = {FINISHED}"]),
            (
                "epochs out of order",
                "epochs were measured one after the other",
                [f"UPDATE points SET seq = 100000 - seq WHERE trial = {FINISHED} AND epoch = 2"],
            ),
            ("a record lost", SEQ, ["DELETE FROM points WHERE seq = (SELECT max(seq) FROM points)"]),
            ("a record's number twice", SEQ, ["UPDATE points SET seq = 1 WHERE trial = 0 AND epoch = 1"]),
            ("another score", SCORE, [f"UPDATE endings SET score = score + 1 WHERE trial = {FINISHED}"]),
            ("no score", SCORE, [f"UPDATE endings SET score = NULL WHERE trial = {FINISHED}"]),
            (
                "a proof of nothing",
                "a proof repeats the configuration of a finished trial",
                ["UPDATE proposals SET config = '{}' WHERE origin = 'proof'"],
            ),
            (
                "a confirmation of nothing",
                "a confirmation repeats the configuration of a finished trial",
                [f"UPDATE proposals SET config = '{{}}' WHERE number = {CONFIRMATION}"],
            ),
            (
                "a seed twice",
                "a configuration is confirmed once with each seed, unless its time was over",
                ["UPDATE proposals SET notes = '{\"seed\": 3}' WHERE origin = 'confirmation'"],
            ),
            (
                "confirmed too early",
                "confirmations begin when what was searched has ended",
                [f"UPDATE proposals SET seq = 2 WHERE number = {CONFIRMATION}"],
            ),
            (
                "no winner",
                "a search that is finished has a winner",
                ["UPDATE endings SET outcome = 'lost'"],
            ),
            ("a session of no state", SESSIONS, ["UPDATE sessions SET state = 'asleep'"]),
            ("a session over and open", SESSIONS, ["UPDATE sessions SET ended = NULL"]),
            (
                "a second finish with no more trials",
                SESSIONS,
                [
                    "INSERT INTO sessions (search_id, host, pid, started, ended, state)"
                    " VALUES (1, 'here', 1, 3e9, 4e9, 'finished')"
                ],
            ),
        )
    ],
)
def test_what_is_wrong_in_the_ledger_is_named(folder: Path, check: str, statements: list[str]) -> None:
    spoil(folder / "hpo.db", "PRAGMA foreign_keys = OFF", *statements)
    found = failed(folder)
    assert found[check]


def test_trials_of_a_driver_that_died_count_for_the_one_that_finishes(folder: Path) -> None:
    spoil(
        folder / "hpo.db",
        "PRAGMA foreign_keys = OFF",
        "UPDATE sessions SET id = 30, started = 3e9, ended = 4e9",
        "INSERT INTO sessions (id, search_id, host, pid, started, ended, state)"
        " VALUES (10, 1, 'here', 1, 1, 2, 'finished'), (20, 1, 'here', 1, 3, NULL, NULL)",
    )
    assert SESSIONS not in failed(folder)


def test_a_clock_that_is_set_back_while_it_runs_is_no_fault(folder: Path) -> None:
    records = ("proposals", "attempts", "points", "endings", "forecasts")
    spoil(
        folder / "hpo.db",
        *(f"UPDATE {table} SET at = at - 9e4 WHERE seq > 30" for table in records),
        "UPDATE sessions SET ended = ended - 9e4",
    )
    assert failed(folder) == {}
    spoil(
        folder / "hpo.db",
        "PRAGMA foreign_keys = OFF",
        "UPDATE sessions SET id = 30",
        "INSERT INTO sessions (id, search_id, host, pid, started, ended, state)"
        " SELECT 10, 1, 'here', 1, started, ended + 9e4, 'finished' FROM sessions",
    )
    assert failed(folder) == {}


def client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def parent(folder: Path) -> Any:
    return only(folder, "tags.`hpo.created` != ''")


def child(folder: Path) -> Any:
    """The run of the baseline, which trained to its end."""
    return only(folder, "tags.`hpo.trial` = '0'")


def only(folder: Path, query: str) -> Any:
    experiment = client(folder).get_experiment_by_name("cnn")
    (run,) = client(folder).search_runs([experiment.experiment_id], query)
    return run


def copy_run(folder: Path, run: Any) -> None:
    client(folder).create_run(run.info.experiment_id, tags=dict(run.data.tags))


def log(folder: Path, step: int, value: float, name: str = "lr") -> None:
    client(folder).log_metric(child(folder).info.run_id, name, value, step=step)


def of_child(folder: Path) -> str:
    return f"run_uuid = '{child(folder).info.run_id}'"


MISSING, EXTRA, DIFFERENT = (
    f"MLflow: no point of a curve is {it}" for it in ("missing", "extra", "different")
)
ONE_RUN = "MLflow: each trial has one run"
STATUS = "MLflow: each trial's status is right"


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        pytest.param(check, damage, id=label)
        for label, check, damage in (
            (
                "no run of the search",
                "MLflow: the search has one run",
                lambda it: client(it).delete_run(parent(it).info.run_id),
            ),
            ("two runs of the search", "MLflow: the search has one run", lambda it: copy_run(it, parent(it))),
            ("no run of a trial", ONE_RUN, lambda it: client(it).delete_run(child(it).info.run_id)),
            ("two runs of a trial", ONE_RUN, lambda it: copy_run(it, child(it))),
            (
                "a run of no trial",
                ONE_RUN,
                lambda it: client(it).set_tag(child(it).info.run_id, "hpo.trial", "99"),
            ),
            ("a wrong status", STATUS, lambda it: client(it).set_terminated(child(it).info.run_id, "KILLED")),
            ("still running", STATUS, lambda it: client(it).update_run(child(it).info.run_id, "RUNNING")),
            (
                "the search still running",
                "MLflow: the search's status is right",
                lambda it: client(it).update_run(parent(it).info.run_id, "RUNNING"),
            ),
            (
                "another winner",
                "MLflow: the winner is the ledger's",
                lambda it: client(it).set_tag(parent(it).info.run_id, "hpo.best_trial", "99"),
            ),
            (
                "no winner",
                "MLflow: the winner is the ledger's",
                lambda it: client(it).delete_tag(parent(it).info.run_id, "hpo.best_trial"),
            ),
            (
                "another parameter",
                "MLflow: each trial's parameters are its configuration",
                lambda it: spoil(
                    it / "mlflow.db",
                    f"UPDATE params SET value = '7' WHERE key = 'optimizer.lr' AND {of_child(it)}",
                ),
            ),
            (
                "a point lost",
                MISSING,
                lambda it: spoil(
                    it / "mlflow.db", f"DELETE FROM metrics WHERE key = 'lr' AND step = 2 AND {of_child(it)}"
                ),
            ),
            (
                "a curve lost",
                MISSING,
                lambda it: spoil(
                    it / "mlflow.db", f"DELETE FROM metrics WHERE key = 'score' AND {of_child(it)}"
                ),
            ),
            ("a point too many", EXTRA, lambda it: log(it, EPOCHS + 1, 0.5)),
            ("a point twice", EXTRA, lambda it: log(it, 1, 0.1)),
            (
                "another value",
                DIFFERENT,
                lambda it: spoil(
                    it / "mlflow.db",
                    f"UPDATE metrics SET value = 7 WHERE key = 'lr' AND step = 2 AND {of_child(it)}",
                ),
            ),
        )
    ],
)
def test_what_is_wrong_in_mlflow_is_named(folder: Path, check: str, damage: Callable[[Path], None]) -> None:
    damage(folder)
    found = failed(folder)
    assert found[check]
    assert all(name.startswith("MLflow") for name in found)


def test_a_winner_that_the_ledger_no_longer_has_is_noticed(folder: Path) -> None:
    """The winner is computed from the ledger, so spoiling its confirmations there makes another one."""
    winner = "(SELECT config FROM proposals WHERE origin = 'proof')"
    again = f"(SELECT number FROM proposals WHERE origin = 'confirmation' AND config = {winner})"
    spoil(
        folder / "hpo.db",
        f"UPDATE endings SET score = 1e9 WHERE trial IN {again}",
        f"UPDATE points SET score = 1e9 WHERE epoch = {EPOCHS} AND trial IN {again}",
    )
    assert "MLflow: the winner is the ledger's" in failed(folder)


def test_a_search_that_is_not_over_may_have_open_trials(folder: Path) -> None:
    spoil(
        folder / "hpo.db",
        "DELETE FROM endings WHERE seq = (SELECT max(seq) FROM endings)",
        "UPDATE sessions SET state = NULL, ended = NULL",
    )
    assert ONCE not in failed(folder)


def test_faults_are_counted_and_told_with_examples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder / "hpo.db", "DELETE FROM endings")
    assert cli.main(["audit", "cnn-1", f"tracking=sqlite:///{folder}/mlflow.db"]) == 1
    page = capsys.readouterr().out
    assert "✗ each trial has ended once" in page
    assert "trial 0: 0 endings" in page
    assert re.search(r"… (\d+) in all", page)


def test_nothing_is_left_of_it_in_the_folder(folder: Path) -> None:
    (folder / "mlflow.db").unlink()
    before = {path.name for path in folder.iterdir()}
    found = failed(folder)
    assert found == {
        "MLflow: it can be read": [f"there is no file {folder}/mlflow.db; hpo sync cnn-1 makes it"]
    }
    assert {path.name for path in folder.iterdir()} == before


def test_an_mlflow_that_cannot_be_read_fails(folder: Path) -> None:
    checks = audit(f"sqlite:///{folder}/hpo.db", "cnn-1", "http://127.0.0.1:9")
    assert [check.name for check in checks if not check.passed] == ["MLflow: it can be read"]


def test_a_search_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "cnn-2"]) == 2
    assert "There is no search of this name" in capsys.readouterr().err
    assert cli.main(["audit", "cnn-2", "store=sqlite:///none.db"]) == 2
    assert not (folder / "none.db").exists()
