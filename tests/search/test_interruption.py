"""Killed or stopped at any time, a search goes on with `hpo resume` and counts nothing twice."""

import json
import os
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hpo.planning.ordering import versions

pytestmark = pytest.mark.slow

FIRST_REVISION = Path(__file__).parent.parent / "ledger" / "revision_0001.sql"
LONG = ("search", "recipe=cnn", "epochs=30", "name=broken", "space=sgd", "fuse=off")
PROMISED_SECONDS = 10
WORDS = ("search", "recipe=cnn", "trials=16", "epochs=6", "name=broken", "fuse=off", "pruner=none")


def history_of(ledger):
    return ledger.history(ledger.search("broken"))


def wait_for(ledger, process, ended):
    """Wait until so many trials have ended."""
    for _ in range(2400):
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
    assert sorted(history.trials) == list(range(16))
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


@pytest.mark.timeout(600)
def test_killed_while_the_best_train_again(folder, ledger):
    few = [word for word in WORDS if not word.startswith("trials")]
    process = folder.start(*few, "trials=2", "confirm=1", "confirm_seeds=4")
    wait_for(ledger, process, 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = finished_part(history_of(ledger))
    assert any(trial.proposal.confirms for trial in history_of(ledger).trials.values())

    resumed = folder.run("resume", "broken")
    assert resumed.returncode == 0, resumed.stderr
    assert "On the test data" in resumed.stdout
    history = history_of(ledger)
    assert {number: part for number, part in finished_part(history).items() if number in before} == before
    assert len(history.searched) == 2
    assert len(history.confirmations) == 4 * len(history.standings)
    assert [list(it.again) for it in history.standings] == [[1, 2, 3, 4]] * len(history.standings)
    assert history.best is history.standings[0].trial
    audited = folder.run("audit", "broken")
    assert audited.returncode == 0, audited.stdout


def processes_of(session):
    """What is left of a session, as `ps -s` would list it; a driver begins one here."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            facts = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(facts[3]) == session and facts[0] not in "ZX":
                found.append((path / "cmdline").read_text())
    return [command for command in found if command]  # what is just dying has none


def wait_for_epochs(ledger, process):
    """Wait until each of two workers has trained an epoch."""
    for _ in range(2400):
        if ledger.exists() and ledger.searches():
            trained = [trial for trial in history_of(ledger).trials.values() if trial.points]
            if len(trained) >= 2:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise TimeoutError


# A terminal tells all processes of its group; `kill` tells one.
@pytest.mark.parametrize(
    ("number", "tell"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill), (signal.SIGHUP, os.killpg)]
)
def test_stopped_by_hand(folder, ledger, number, tell):
    process = folder.start(*LONG)
    wait_for_epochs(ledger, process)
    tell(process.pid, number)
    _, err = process.communicate(timeout=PROMISED_SECONDS)
    assert process.returncode == 130, err
    assert "hpo resume broken" in err
    assert "Traceback" not in err
    assert processes_of(process.pid) == []
    assert ledger.search("broken").state == "interrupted"
    assert ledger.search("broken").reason == "stopped by hand"
    saved = {path.stem: path for path in folder.path.glob("hpo.db.checkpoints/*/*.safetensors")}
    known = {f"{trial.number}-{trial.epochs}" for trial in history_of(ledger).running if trial.points}
    assert saved.keys() & known  # of an epoch that takes longer than the grace there is none


# Ray's head, the referee: a driver waits for them in order to stop.
@pytest.mark.parametrize("title", ["gcs_server", "ray::Host"])
def test_stopped_by_hand_though_something_hangs(folder, ledger, title):
    process = folder.start(*LONG)
    wait_for_epochs(ledger, process)
    (hanging,) = [it for it in psutil.Process(process.pid).children(recursive=True) if title in told(it)]
    hanging.suspend()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # impatience puts nothing off
    _, err = process.communicate(timeout=PROMISED_SECONDS)
    assert process.returncode == 130, err
    assert "hpo resume broken" in err
    assert processes_of(process.pid) == []
    assert ledger.search("broken").state == "interrupted"


def told(process):
    """Its command line, which what has just ended has no more."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def test_a_trial_whose_worker_is_killed_goes_on_where_it_was_saved(folder, ledger):
    process = folder.start(*LONG, "trials=1", "checkpoint_every=0.2s", "workers=1")
    pattern = "hpo.db.checkpoints/*/0-*.safetensors"
    while not list(folder.path.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (trial,) = history_of(ledger).trials.values()
    os.kill(int(trial.attempts[0].worker.rpartition("/")[2]), signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    (trial,) = history_of(ledger).trials.values()
    assert trial.attempts[-1].notes["from"]["0"] >= 1
    assert trial.attempts[-1].notes["after"].startswith("its worker was killed (SIGKILL), ")
    assert [point.epoch for point in trial.points] == list(range(1, 31))
    assert not list(folder.path.glob("hpo.db.checkpoints"))


def test_a_driver_that_was_overtaken_stops_and_says_so(folder, ledger):
    process = folder.start(*WORDS)
    wait_for(ledger, process, 1)
    ledger.open_session(ledger.search("broken"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "has gone on in session 2" in err
    assert "File" not in err


def test_a_search_of_the_first_revision_is_resumed(folder):
    with sqlite3.connect(folder.path / "hpo.db") as database:
        database.executescript(FIRST_REVISION.read_text(encoding="utf-8"))
        database.execute("UPDATE searches SET versions = ?", (json.dumps(versions()),))
    database.close()
    done = folder.run("resume", "linear-1")
    assert done.returncode == 0, done.stderr
    shown = json.loads(folder.run("show", "linear-1", "--json").stdout)
    assert (shown["state"], sum(shown["counts"].values())) == ("finished", 3)
