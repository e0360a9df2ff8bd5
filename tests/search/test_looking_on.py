"""A search that runs elsewhere is watched through its ledger, told to programs, and stopped."""

import json
import signal
import threading
import time

import pytest

from hpo import cli, recipe
from hpo.history import Search, State
from hpo.ledger import Ledger, Writer
from hpo.remote import watching
from hpo.trial import Attempt, Ending, Outcome, Point, Proposal


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A search whose driver is this process, and what writes its records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.delenv("HPO_SERVICE", raising=False)
    monkeypatch.setattr(watching, "GLANCE_SECONDS", 0.02)
    begun = begin("sqlite:///hpo.db")
    yield begun
    begun[0].close()


def begin(url):
    ledger, found = Ledger(url), recipe.find("mlp")
    settings = {"trials": 2, "epochs": 3, "seed": 0, "sampler": "tpe", "pruner": "none"}
    facts = (
        "mlp-1",
        "mlp",
        found.path,
        found.source,
        "warmup: {choice: [0, 0.1]}",
        found.objective,
        settings,
        {},
    )
    search = ledger.create_search(Search(*facts))
    session = ledger.open_session(search)
    return ledger, session, Writer(ledger, search, session), found.baseline


def train(running, number, *losses):
    _, _, writer, config = running
    writer.append(Proposal(number, config, "tpe"))
    writer.append(Attempt(number, "host/1"))
    for epoch, loss in enumerate(losses, 1):
        writer.append(Point(number, epoch, loss, loss, loss, 0.1, 1.0, 1.0, 0.1))
    writer.append(Ending(number, Outcome.FINISHED, score=losses[-1]))
    writer.flush()


def later(running):
    """Train one more trial, and end the search, a moment from now."""

    def go_on():
        time.sleep(0.1)
        train(running, 1, 0.4, float("nan"), 0.2)
        running[0].close_session(running[1], State.FINISHED)

    thread = threading.Thread(target=go_on)
    thread.start()
    return thread


class Viewer:
    """Notes how many trials had ended whenever it was told; the search goes on once it is looked at."""

    def __init__(self, running):
        self.seen, self._running = [], running

    def start(self, plan, history):
        self.seen.append(len(history.ended))
        self.thread = later(self._running)

    def update(self, search, history):
        self.seen.append(len(history.ended))

    def finish(self):
        self.seen.append("over")


def test_it_is_shown_until_it_is_over(running):
    train(running, 0, 0.9, 0.8, 0.7)
    viewer = Viewer(running)
    found, history = watching.watch("mlp-1", "sqlite:///hpo.db", lambda plan: viewer, pytest.fail)
    viewer.thread.join()
    assert found.state is State.FINISHED
    assert history.best.number == 1
    assert (viewer.seen[0], viewer.seen[-2:]) == (1, [2, "over"])


@pytest.mark.xdist_group("postgresql")
def test_a_database_that_restarts_is_waited_for_and_told_of_once(postgres, monkeypatch):
    monkeypatch.setattr(watching, "GLANCE_SECONDS", 0.02)
    url, told = postgres.empty(), []
    running = begin(url)
    train(running, 0, 0.9)

    class Restarting(Viewer):
        def start(self, plan, history):
            postgres.stop()

    def hear(text):
        told.append(text)
        postgres.start()
        viewer.thread = later(running)

    viewer = Restarting(running)
    found, history = watching.watch("mlp-1", url, lambda plan: viewer, hear)
    viewer.thread.join()
    running[0].close()
    assert (found.state, history.best.number) == (State.FINISHED, 1)
    (said,) = told
    assert "the ledger is out of reach: " in said
    assert postgres.password not in said


def test_one_that_is_over_is_shown_at_once(running):
    train(running, 0, 0.9)
    running[0].close_session(running[1], State.FINISHED)
    found, history = watching.watch(
        "mlp-1", "sqlite:///hpo.db", lambda plan: pytest.fail("no view is needed"), pytest.fail
    )
    assert (found.state, len(history.trials)) == (State.FINISHED, 1)


def test_its_records_are_told_to_programs_as_they_come(running, capsys):
    train(running, 0, 0.9)
    thread = later(running)
    assert cli.main(["watch", "mlp-1", "--json"]) == 0
    thread.join()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [line["record"] for line in lines]
    assert kinds == [
        "proposal",
        "attempt",
        "point",
        "ending",
        "proposal",
        "attempt",
        *["point"] * 3,
        "ending",
        "state",
    ]
    assert [line["seq"] for line in lines[:-1]] == list(range(1, 11))
    assert lines[7]["score"] is None
    assert lines[-1] == {"record": "state", "name": "mlp-1", "state": "finished", "reason": ""}
    assert lines[0]["config"]["optimizer"] == "adamw"


def test_its_driver_is_asked_to_stop(running, monkeypatch, capsys):
    sent = []
    monkeypatch.setattr("os.kill", lambda process, number: sent.append((process, number)))
    assert cli.main(["stop", "mlp-1"]) == 0
    assert [number for _, number in sent if number] == [signal.SIGTERM]
    assert "Go on with it: hpo resume mlp-1" in capsys.readouterr().out
    running[0].close_session(running[1], State.FINISHED)
    assert cli.main(["stop", "mlp-1"]) == 2
    assert "This search is finished; there is nothing to stop." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError, "is another user's, who alone can stop it."),
        (ProcessLookupError, "Its driver has just ended. Go on with it: hpo resume mlp-1 store=sqlite:///"),
    ],
)
def test_one_that_cannot_be_asked_is_told(running, monkeypatch, capsys, tmp_path, error, said):
    def kill(_, number):
        if number:
            raise error

    monkeypatch.setattr("os.kill", kill)
    assert cli.main(["stop", "mlp-1", f"store=sqlite:///{tmp_path}/hpo.db"]) == 2
    assert said in capsys.readouterr().err


def test_one_with_a_store_of_its_own_is_gone_on_with_there(running, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("os.kill", lambda *_: None)
    store = f"store=sqlite:///{tmp_path}/hpo.db"
    assert cli.main(["stop", "mlp-1", store]) == 0
    assert capsys.readouterr().out.endswith(f"Go on with it: hpo resume mlp-1 {store}\n")


def test_one_on_another_machine_is_to_be_stopped_there(running, monkeypatch, capsys):
    monkeypatch.setattr(Ledger, "driver", lambda *_: ("elsewhere", 1))
    assert cli.main(["stop", "mlp-1"]) == 2
    assert "runs on elsewhere: stop it there" in capsys.readouterr().err
