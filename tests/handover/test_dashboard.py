"""The exported study in optuna-dashboard: its own web application, asked as its pages ask it."""

import io
import json

import pytest
from simulation import Workers, run, started

from hpo import cli
from hpo.history import State
from hpo.ledger import Ledger

optuna_dashboard = pytest.importorskip("optuna_dashboard", reason="it comes with the extra dev")


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A search with trials of every ending but the rare ones, and the address of the study made of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    url = "sqlite:///hpo.db"
    name = started(url, "trials=24", "epochs=6", "sampler=random", "pruner=median", "name=cnn-1")
    run(url, name, Workers(2, 6))
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
def test_the_dashboard_shows_the_study_with_its_curves(exported):
    app = optuna_dashboard.wsgi("sqlite:///study.db")
    (study,) = get(app, "/api/studies")["study_summaries"]
    assert study["study_name"] == "cnn-1"
    shown = get(app, f"/api/studies/{study['study_id']}", "after=0")
    states = {"finished": "Complete", "pruned": "Pruned", "diverged": "Fail"}
    assert [it["state"] for it in shown["trials"]] == [
        # Else what fresh seeds came to would be compared with what was searched.
        states[trial.outcome] if trial.proposal.searched else "Fail"
        for trial in exported.trials.values()
    ]
    for trial, it in zip(exported.trials.values(), shown["trials"], strict=True):
        curve = [(point["step"], float(point["value"])) for point in it["intermediate_values"]]
        assert curve == [(point.epoch, pytest.approx(point.score)) for point in trial.points]
    assert shown["best_trials"][0]["number"] == exported.ranking[0].number
