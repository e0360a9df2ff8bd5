"""Killed or stopped at any time, a search goes on with `hpo resume` and counts nothing twice."""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from hpo.ledger import Ledger
from hpo.plan import versions

pytestmark = pytest.mark.slow

FIRST_REVISION = Path(__file__).parent.parent / "ledger" / "revision_0001.sql"
WORDS = ("search", "recipe=cnn", "trials=7", "epochs=3", "name=broken")


@pytest.fixture
def ledger(folder):
    opened = Ledger(folder.url)
    yield opened
    opened.close()


def history_of(ledger):
    return ledger.history(ledger.search("broken"))


def wait_for(ledger, process, ended):
    """Wait until so many trials have ended."""
    for _ in range(1200):
        if ledger.exists() and ledger.searches() and len(history_of(ledger).ended) >= ended:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise TimeoutError


def finished_part(history):
    return {
        trial.number: (trial.proposal, trial.points, trial.ending)
        for trial in history.trials.values()
        if trial.ending
    }


def check_whole(history, before):
    assert sorted(history.trials) == list(range(7))
    assert not history.running
    for number, part in before.items():
        trial = history.trials[number]
        assert (trial.proposal, trial.points, trial.ending) == part
    for trial in history.trials.values():
        assert [point.epoch for point in trial.points] == list(range(1, trial.epochs + 1))


def test_killed_outright(folder, ledger):
    process = folder.start(*WORDS)
    wait_for(ledger, process, 3)
    refused = folder.run("resume", "broken")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert refused.returncode == 2
    assert f"process {process.pid}" in refused.stderr
    before = finished_part(history_of(ledger))
    assert ledger.search("broken").state == "interrupted"

    resumed = folder.run("resume", "broken")
    assert resumed.returncode == 0, resumed.stderr
    check_whole(history_of(ledger), before)
    assert ledger.search("broken").state == "finished"
    audited = folder.run("audit", "broken")
    assert audited.returncode == 0, audited.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_by_hand(folder, ledger, number):
    process = folder.start(*WORDS)
    wait_for(ledger, process, 1)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "hpo resume broken" in err
    assert "Traceback" not in err
    assert ledger.search("broken").state == "interrupted"
    assert ledger.search("broken").reason == "stopped by hand"


def test_a_driver_that_was_overtaken_stops_and_says_so(folder, ledger):
    process = folder.start(*WORDS)
    wait_for(ledger, process, 1)
    ledger.open_session(ledger.search("broken"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "has gone on in session 2" in err
    assert "Traceback" not in err


def test_a_search_of_the_first_revision_is_resumed(folder):
    with sqlite3.connect(folder.path / "hpo.db") as database:
        database.executescript(FIRST_REVISION.read_text(encoding="utf-8"))
        database.execute("UPDATE searches SET versions = ?", (json.dumps(versions()),))
    database.close()
    done = folder.run("resume", "linear-1")
    assert done.returncode == 0, done.stderr
    shown = json.loads(folder.run("show", "linear-1", "--json").stdout)
    assert (shown["state"], sum(shown["counts"].values())) == ("finished", 3)
