"""A real MLflow store shows a search as its records tell it, and sending twice changes nothing."""

from __future__ import annotations

import json
import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event, Timer
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from hpo.history import History, State
from hpo.planning.past import Past
from hpo.trial import CONFIRMATION, PROOF, SEED, Outcome, Point, Proposal

if TYPE_CHECKING:
    from conftest import Tape


def upload(tape: Tape, uri: str) -> int:
    from hpo.tracking import sync

    return sync(tape, tape.name, uri)


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def runs(uri: str, recipe: str = "cnn") -> dict[str, Any]:
    experiment = client(uri).get_experiment_by_name(recipe)
    found = client(uri).search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a run was made twice"
    return {run.info.run_name.partition(" ")[0]: run for run in found}


def contents(folder: Path) -> dict[str, list[Any]]:
    """Return every row of the store, but for the cursor, which tests set back."""
    tables = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        rows = {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in tables}
    rows["tags"] = [row for row in rows["tags"] if "hpo.cursor" not in row]
    return rows


def curve(uri: str, run: Any, name: str) -> list[tuple[int, float, int]]:
    history = client(uri).get_metric_history(run.info.run_id, name)
    return sorted((metric.step, metric.value, metric.timestamp) for metric in history)


def test_one_experiment_one_parent_one_child_per_trial(tape: Tape, uri: str) -> None:
    assert upload(tape, uri) == len(tape.tape)
    found = runs(uri)
    assert sorted(found) == ["cnn-1", *(f"cnn-1/{number:03d}" for number in range(7))]
    parent = found.pop("cnn-1").info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent}


def test_statuses_and_times_are_those_of_the_records(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    found = runs(uri)
    statuses = [found[f"cnn-1/{number:03d}"].info.status for number in range(7)]
    assert statuses == ["FINISHED", "KILLED", "FINISHED", "FAILED", "FAILED", "FAILED", "RUNNING"]
    assert found["cnn-1"].info.start_time == round(tape.created * 1000)
    for number, trial in History(tape.search("").objective, tape.tape).trials.items():
        info = found[f"cnn-1/{number:03d}"].info
        assert info.start_time == round(trial.proposal.at * 1000)
        assert info.end_time == (round(trial.ending.at * 1000) if trial.ending else None)


def test_params_are_the_complete_config(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    found = runs(uri)
    assert found["cnn-1/001"].data.params == {
        "optimizer": "sgd",
        "optimizer.lr": "0.05",
        "model.bias": "True",
        "clip_norm": "None",
    }
    assert found["cnn-1"].data.params == {
        "trials": "4",
        "seed": "7",
        "pruner": "None",
        "objective": "minimize loss",
    }


def test_what_a_search_began_from_is_told_by_name(
    tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = tape.search("")
    began = Past(("cnn-1", "cnn-2"), ({"optimizer.lr": 0.1},))
    monkeypatch.setattr(tape, "search", lambda _: replace(search, settings={"seed": 7, **began.noted}))
    upload(tape, uri)
    assert runs(uri)["cnn-1"].data.params["past"] == "cnn-1, cnn-2"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("score", "score"),
        ("train_loss", "train_loss"),
        ("validation_loss", "loss"),
        ("lr", "lr"),
        ("grad_norm", "grad_norm"),
        ("grad_norm_clipped", "clipped_norm"),
        ("epoch_seconds", "seconds"),
    ],
)
def test_curves_are_the_points(tape: Tape, uri: str, name: str, field: str) -> None:
    upload(tape, uri)
    run = runs(uri)["cnn-1/002"]
    points = [record for record in tape.tape if isinstance(record, Point) and record.trial == 2]
    assert curve(uri, run, name) == [
        (point.epoch, getattr(point, field), round(point.at * 1000)) for point in points
    ]


def test_best_and_final_score(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    found = runs(uri)
    values = [value for _, value, _ in curve(uri, found["cnn-1/000"], "best_score")]
    assert values == [3.0, 2.0, 2.0]
    assert [(step, value) for step, value, _ in curve(uri, found["cnn-1/000"], "final_score")] == [(3, 2.5)]
    assert "final_score" not in found["cnn-1/006"].data.metrics


def test_what_is_not_finite_is_a_tag_and_no_number(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    diverged = runs(uri)["cnn-1/003"]
    assert all(math.isfinite(value) and abs(value) < 1e300 for value in diverged.data.metrics.values())
    assert curve(uri, diverged, "train_loss")[-1][0] == 1
    assert (
        diverged.data.tags["hpo.not_finite"]
        == "step 2: score, train_loss, validation_loss, validation_accuracy"
    )
    assert diverged.data.tags["hpo.reason"] == "loss inf at epoch 2, step 3"


def test_tags_say_what_a_trial_is(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    tags = runs(uri)["cnn-1/005"].data.tags
    expected = {
        "hpo.search": "cnn-1",
        "hpo.recipe": "cnn",
        "hpo.trial": "5",
        "hpo.origin": "tpe",
        "hpo.outcome": "lost",
        "hpo.reason": "its worker died 3 times",
        "hpo.worker": "host/12",
        "hpo.attempts": "1",
    }
    assert expected.items() <= tags.items()
    assert len(tags["hpo.recipe_hash"]) == 64


def test_the_winner_is_on_the_parent(tape: Tape, uri: str, tmp_path: Path) -> None:
    upload(tape, uri)
    parent = runs(uri)["cnn-1"]
    assert parent.data.tags["hpo.best_trial"] == "2"
    config = json.loads(parent.data.tags["hpo.best_config"])
    assert config["optimizer.lr"] == pytest.approx(0.1 / 3)
    assert [(step, value) for step, value, _ in curve(uri, parent, "best_score")] == [
        (1, 2.5),
        (2, 2.5),
        *((ended, 1.0) for ended in range(3, 7)),
    ]
    assert {name: value for name, value in parent.data.metrics.items() if name.startswith("trials_")} == {
        "trials_finished": 2,
        "trials_pruned": 1,
        "trials_diverged": 1,
        "trials_failed": 1,
        "trials_refused": 0,
        "trials_lost": 1,
    }
    assert "Best: trial 2, score 1.0" in parent.data.tags["mlflow.note.content"]
    files = {item.path for item in client(uri).list_artifacts(parent.info.run_id)}
    assert files == {"best_config.json", "cnn.py", "space.yaml"}
    text = Path(client(uri).download_artifacts(parent.info.run_id, "best_config.json", str(tmp_path)))
    assert json.loads(text.read_text()) == config


def test_search_runs_gives_useful_columns(tape: Tape, uri: str) -> None:
    import mlflow

    upload(tape, uri)
    mlflow.set_tracking_uri(uri)
    try:
        table = mlflow.search_runs(
            experiment_names=["cnn"],
            filter_string="tags.`hpo.search` = 'cnn-1' AND tags.`hpo.outcome` = 'finished'",
            order_by=["metrics.final_score"],
        )
    finally:
        mlflow.set_tracking_uri(None)
    assert list(table["tags.hpo.trial"]) == ["2", "0"]
    wanted = {
        "metrics.best_score",
        "metrics.validation_accuracy",
        "metrics.train_loss",
        "params.optimizer.lr",
    }
    assert wanted <= set(table.columns)


def test_the_view_of_trials_has_what_was_searched_alone(tape: Tape, uri: str) -> None:
    config = next(it.config for it in tape.tape if isinstance(it, Proposal) and it.number == 2)
    for number, origin in ((7, CONFIRMATION), (8, PROOF)):
        tape.append(Proposal(number, config, origin, notes={SEED: 1} if origin == CONFIRMATION else {}))
        tape.point(number, 1, 0.5)
        tape.end(number, Outcome.FINISHED, 0.5)
    upload(tape, uri)
    experiment = client(uri).get_experiment_by_name("cnn")
    view = json.loads(json.loads(experiment.tags["mlflow.sharedViewState.hpo-trials"])["state"])
    found = client(uri).search_runs(
        [experiment.experiment_id], view["searchFilter"], order_by=[view["orderByKey"]]
    )
    assert [run.data.tags["hpo.trial"] for run in found] == ["2", "0"]


def test_sending_twice_changes_nothing(tape: Tape, uri: str, tmp_path: Path) -> None:
    upload(tape, uri)
    before = contents(tmp_path)
    assert upload(tape, uri) == 0
    assert contents(tmp_path) == before


@pytest.mark.parametrize("cursor", [0, 1, 9])
def test_a_crash_before_the_cursor_moved_doubles_nothing(
    tape: Tape, uri: str, tmp_path: Path, cursor: int
) -> None:
    upload(tape, uri)
    before = contents(tmp_path)
    client(uri).set_tag(runs(uri)["cnn-1"].info.run_id, "hpo.cursor", cursor)
    assert upload(tape, uri) == len(tape.tape) - cursor
    assert contents(tmp_path) == before


def test_a_crash_before_the_first_cursor_doubles_nothing(tape: Tape, uri: str, tmp_path: Path) -> None:
    upload(tape, uri)
    before = contents(tmp_path)
    client(uri).delete_tag(runs(uri)["cnn-1"].info.run_id, "hpo.cursor")
    upload(tape, uri)
    assert contents(tmp_path) == before


def test_a_search_that_goes_on_with_other_words_before_the_first_cursor_comes_in(
    tape: Tape, uri: str
) -> None:
    upload(tape, uri)
    client(uri).delete_tag(runs(uri)["cnn-1"].info.run_id, "hpo.cursor")
    tape.trials = 128
    assert upload(tape, uri) == len(tape.tape)
    assert runs(uri)["cnn-1"].data.params["trials"] == "4"


def test_piece_by_piece_gives_the_same_rows(tape: Tape, uri: str, tmp_path: Path) -> None:
    from hpo.tracking.tracker import Tracker

    whole, tape.tape = tape.tape, []
    tracker = Tracker(tape, tape.name, uri)
    for record in whole:
        tape.tape.append(record)
        assert tracker.upload() == 1
    bit_by_bit = contents(tmp_path)
    client(uri).set_tag(runs(uri)["cnn-1"].info.run_id, "hpo.cursor", 0)
    upload(tape, uri)
    assert contents(tmp_path) == bit_by_bit


def test_more_than_one_batch(new_tape: type[Tape], uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo.tracking import tracker as module

    monkeypatch.setattr(module, "BATCH", 4)
    tape = new_tape()
    tape.trial(0, [1 / epoch for epoch in range(1, 12)])
    assert list(module.Tracker(tape, "cnn-1", uri).batches()) == [4, 4, 4, 2]
    assert len(curve(uri, runs(uri)["cnn-1/000"], "score")) == 11


def test_an_upload_that_was_cut_off_goes_on_from_its_last_batch(
    new_tape: type[Tape], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpo.tracking import tracker as module

    monkeypatch.setattr(module, "BATCH", 4)
    tape = new_tape()
    tape.trial(0, [1 / epoch for epoch in range(1, 12)])
    tracker = module.Tracker(tape, "cnn-1", uri)
    next(tracker.batches())
    assert tracker.upload() == len(tape.tape) - 4


def test_a_long_curve_and_a_large_config(new_tape: type[Tape], uri: str) -> None:
    tape = new_tape()
    tape.start(0, **{f"model.option{index}": index for index in range(150)})
    for epoch in range(1, 201):
        tape.point(0, epoch, 1 / epoch)
    upload(tape, uri)
    run = runs(uri)["cnn-1/000"]
    assert len(run.data.params) == 154
    assert len(curve(uri, run, "grad_norm")) == 200


def test_two_searches_of_a_recipe_share_an_experiment(new_tape: type[Tape], tape: Tape, uri: str) -> None:
    other = new_tape(name="cnn's", created=tape.created + 1)
    other.trial(0, [1.0])
    upload(tape, uri)
    upload(other, uri)
    assert {"cnn-1", "cnn's", "cnn-1/000", "cnn's/000"} <= runs(uri).keys()


def test_searches_of_one_name_from_two_ledgers_stay_apart(new_tape: type[Tape], uri: str) -> None:
    for created in (1.7e9, 1.8e9):
        tape = new_tape(created=created)
        tape.trial(0, [1.0])
        upload(tape, uri)
    found = client(uri).search_runs([client(uri).get_experiment_by_name("cnn").experiment_id])
    names = ["cnn-1", "cnn-1", "cnn-1/000 sgd 0.1", "cnn-1/000 sgd 0.1"]
    assert sorted(run.info.run_name for run in found) == names


@pytest.mark.parametrize(
    ("state", "status"),
    [(State.FINISHED, "FINISHED"), (State.INTERRUPTED, "KILLED"), (State.FAILED, "FAILED")],
)
def test_the_parent_stands_where_the_search_stands(tape: Tape, uri: str, state: State, status: str) -> None:
    from hpo.tracking.tracker import Tracker

    tracker = Tracker(tape, tape.name, uri)
    tracker.upload()
    assert runs(uri)["cnn-1"].info.status == "RUNNING"
    tape.state = state
    tracker.upload()
    assert runs(uri)["cnn-1"].info.status == status
    assert runs(uri)["cnn-1"].info.end_time == round(tape.tape[-1].at * 1000)
    assert runs(uri)["cnn-1/006"].info.status == "KILLED", "no worker is alive, so nothing is running"


def test_a_resumed_search_is_running_again(tape: Tape, uri: str) -> None:
    tape.state = State.INTERRUPTED
    upload(tape, uri)
    tape.state = State.RUNNING
    tape.point(6, 2, 0.5)
    upload(tape, uri)
    assert {runs(uri)[name].info.status for name in ("cnn-1", "cnn-1/006")} == {"RUNNING"}
    tape.end(6, Outcome.FINISHED, 0.5)
    tape.state = State.FINISHED
    upload(tape, uri)
    assert {runs(uri)[name].info.status for name in ("cnn-1", "cnn-1/006")} == {"FINISHED"}
    assert runs(uri)["cnn-1"].data.tags["hpo.best_trial"] == "6"


def test_an_experiment_deleted_in_mlflow_is_restored(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    sent = runs(uri)
    client(uri).delete_experiment(client(uri).get_experiment_by_name("cnn").experiment_id)
    upload(tape, uri)
    assert client(uri).get_experiment_by_name("cnn").lifecycle_stage == "active"
    assert runs(uri).keys() == sent.keys()


def test_runs_deleted_in_mlflow_are_made_again(tape: Tape, uri: str) -> None:
    upload(tape, uri)
    for run in runs(uri).values():
        client(uri).delete_run(run.info.run_id)
    assert upload(tape, uri) == len(tape.tape)
    assert len(runs(uri)) == 8


def test_two_trackers_of_one_search_make_each_run_once(tape: Tape, uri: str) -> None:
    from hpo.tracking.tracker import Tracker

    first, second = Tracker(tape, tape.name, uri), Tracker(tape, tape.name, uri)
    for number in range(7, 12):
        first.upload()
        tape.trial(number, [1.0, 0.9])
        second.upload()
        first.upload()
    assert len(runs(uri)) == 13


def test_two_that_make_a_run_at_the_same_moment_agree_on_one(
    new_tape: type[Tape], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `hpo sync` is called while a search runs: each has looked, and there was none."""
    from mlflow import MlflowClient

    client(uri).create_experiment("cnn")
    tape, make, together = new_tape(), MlflowClient.create_run, Barrier(2)
    tape.trial(0, [3.0, 2.0])

    def make_together(*words: Any, **named: Any) -> Any:
        with suppress(BrokenBarrierError):
            together.wait(2)
        return make(*words, **named)

    monkeypatch.setattr(MlflowClient, "create_run", make_together)
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(upload, tape, uri) for _ in range(2)]
    assert [it.exception() for it in sent] == [None, None]
    assert set(runs(uri)) == {"cnn-1", "cnn-1/000"}
    assert len(client(uri).get_metric_history(runs(uri)["cnn-1/000"].info.run_id, "lr")) == 2


def test_of_two_that_made_a_run_nobody_takes_one_that_is_about_to_go(
    new_tape: type[Tape], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is slow to take its own back must not do so once the other has settled on it."""
    from mlflow import MlflowClient

    from hpo.tracking.runs import Runs

    client(uri).create_experiment("cnn")
    tape, find, delete, both = new_tape(), MlflowClient.search_runs, MlflowClient.delete_run, Barrier(2)
    looks, slow = iter(range(1000)), Event()

    def find_together(*words: Any, **named: Any) -> Any:
        """Each has found none, then made one, and both see both."""
        if next(looks) < 4:
            both.wait(5)
        return find(*words, **named)

    def delete_late(*words: Any) -> None:
        if slow.is_set():
            sleep(1.5)
        slow.set()
        delete(*words)

    monkeypatch.setattr(MlflowClient, "search_runs", find_together)
    monkeypatch.setattr(MlflowClient, "delete_run", delete_late)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(Runs, client(uri), tape.search(tape.name)) for _ in range(2)]
    assert [it.result().parent for it in made] == [runs(uri)["cnn-1"].info.run_id] * 2


def test_searches_that_begin_together_describe_their_experiment_together(
    new_tape: type[Tape], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sees no tag yet and makes it, of which a database refuses the second."""
    from sqlalchemy.orm import Session

    from hpo.tracking.runs import Runs

    client(uri).create_experiment("cnn")
    searches = [new_tape(f"cnn-{number}", 1.7e9 + number).search("") for number in range(2)]
    together, merge = Barrier(2), Session.merge

    def merge_together(self: Session, row: Any, **named: Any) -> Any:
        merged = merge(self, row, **named)
        if type(row).__name__ == "SqlExperimentTag":
            with suppress(BrokenBarrierError):
                together.wait(2)
        return merged

    monkeypatch.setattr(Session, "merge", merge_together)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(Runs, client(uri), search) for search in searches]
    assert [it.exception() for it in made] == [None, None]


def test_a_tracker_leaves_a_search_to_that_of_its_next_session(tape: Tape, uri: str) -> None:
    """Its driver was killed while it was busy, and another one has taken over."""
    from hpo.tracking.tracker import Tracker

    tracker = Tracker(tape, tape.name, uri)
    sent = tracker.upload()
    tape.session += 1
    tape.trial(9, [1.0])
    assert sent > 0
    assert tracker.upload() == 0
    assert tracker.over
    assert Tracker(tape, tape.name, uri).upload() == 4


def test_a_tracker_goes_on_after_an_error(tape: Tape, uri: str) -> None:
    from hpo.tracking.tracker import Tracker

    tracker = Tracker(tape, tape.name, uri)
    tracker.upload()
    client(uri).delete_run(runs(uri)["cnn-1"].info.run_id)
    tape.end(6, Outcome.FINISHED, 2.9)
    with pytest.raises(Exception, match="active"):
        tracker.upload()
    assert tracker.upload() == len(tape.tape)


def test_follow_ends_with_the_search(tape: Tape, uri: str) -> None:
    from hpo.tracking import follow

    def finish() -> None:
        tape.end(6, Outcome.FINISHED, 2.9)
        tape.state = State.FINISHED

    timer = Timer(0.3, finish)
    timer.start()
    assert follow(tape, tape.name, uri, poll=0.05) is None
    assert runs(uri)["cnn-1/006"].info.status == runs(uri)["cnn-1"].info.status == "FINISHED"
    timer.join()


def test_follow_ends_when_told(tape: Tape, uri: str) -> None:
    from hpo.tracking import follow

    stop = Event()
    Timer(0.3, stop.set).start()
    assert follow(tape, tape.name, uri, poll=0.05, stop=stop) is None
    assert tape.state is State.RUNNING


def test_the_default_store_is_the_one_of_mlflow(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.tracking import DEFAULT_TRACKING_URI

    from hpo.tracking import default_uri

    assert default_uri() == DEFAULT_TRACKING_URI
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team:5000")
    assert default_uri() == "http://team:5000"
