"""The exported study in optuna-dashboard: its own web application, asked as its pages ask it."""

import io
import json

import optuna
import pytest
from simulation import Workers, run, started

from hpo import cli
from hpo.history import State
from hpo.ledger import Ledger

optuna_dashboard = pytest.importorskip("optuna_dashboard", reason="it comes with the extra dev")


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Makes a search with trials of all endings but the rare ones, and a study of it; returns its history."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return exported


def exported(*words, weigh=None):
    url = "sqlite:///hpo.db"
    name = started(url, "trials=24", "epochs=6", "sampler=random", "pruner=median", "name=cnn-1", *words)
    run(url, name, Workers(2, 6, weigh=weigh))
    ledger = Ledger(url)
    search = ledger.search(name)
    ledger.close_session(search.session, State.FINISHED)
    history = ledger.history(search)
    ledger.close()
    assert {"finished", "pruned", "diverged"} <= set(history.counts)
    assert cli.main(["export", name, "as=optuna", "to=sqlite:///study.db"]) == 0
    return history


def get(app, path, query=""):
    """Ask a WSGI application for a page, and return its JSON."""
    answer = {}

    def begin(status, headers, error=None):
        answer["status"] = status

    asked = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    body = b"".join(app(asked, begin))
    assert answer["status"] == "200 OK", body
    return json.loads(body)


@pytest.mark.filterwarnings("ignore")  # those of others
def test_the_dashboard_shows_the_study_with_its_curves(export, load):
    history = export()
    shown = study_of(history, load())
    for trial, it in zip(history.trials.values(), shown["trials"], strict=True):
        curve = [(point["step"], float(point["value"])) for point in it["intermediate_values"]]
        assert curve == [(point.epoch, pytest.approx(point.score)) for point in trial.points]
    assert shown["best_trials"][0]["number"] == history.ranking[0].number


@pytest.mark.filterwarnings("ignore")  # those of others
def test_with_several_goals_each_is_an_objective_and_the_front_is_best(export, load, capsys):
    def weigh(config):
        return {"memory": 1e6 / config["optimizer.lr"], "parameters": 100}

    history = export("objective=accuracy,memory,parameters", weigh=weigh)
    assert "each trial has its own as the user attribute curve" in capsys.readouterr().out
    shown = study_of(history, load())
    assert shown["directions"] == ["maximize", "minimize", "minimize"]
    assert shown["objective_names"] == ["accuracy", "memory", "parameters"]
    for trial, it in zip(history.trials.values(), shown["trials"], strict=True):
        about = {note["key"]: note["value"] for note in it["user_attrs"]}
        assert json.loads(about["curve"]) == [point.score for point in trial.points]
        if it["state"] == "Complete":
            assert it["values"] == pytest.approx([trial.score, trial.costs["memory"], 100])
    assert {trial.number for trial in history.front} <= {it["number"] for it in shown["best_trials"]}
    study = load()
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=0)
    assert 1e-4 <= study.ask().suggest_float("optimizer.sgd.lr", 1e-4, 1.0, log=True) <= 1


def study_of(history, study):
    """Return what the dashboard shows of the study."""
    app = optuna_dashboard.wsgi(study._storage)
    (about,) = get(app, "/api/studies")["study_summaries"]
    assert about["study_name"] == "cnn-1"
    shown = get(app, f"/api/studies/{about['study_id']}", "after=0")
    states = {"finished": "Complete", "pruned": "Pruned", "diverged": "Fail"}
    assert [it["state"] for it in shown["trials"]] == [
        # Else what fresh seeds came to would be compared with what was searched.
        states[trial.outcome] if trial.proposal.searched else "Fail"
        for trial in history.trials.values()
    ]
    return shown
