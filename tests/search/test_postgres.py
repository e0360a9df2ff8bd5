"""A whole search with its ledger in PostgreSQL, which restarts in the middle; then the driver is killed."""

import os
import signal
import time

import pytest
from postgres import PASSWORD

from hpo.history import State
from hpo.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]

TRIALS = 6


def test_a_search_in_postgresql_outlives_a_restart_and_a_kill(folder, postgres):
    url = postgres.empty()
    folder.environment["HPO_STORE"] = url
    ledger = Ledger(url)

    def ended():
        return ledger.history(ledger.search("hit")).ended if ledger.exists() and ledger.searches() else []

    def wait_for(number):
        while len(ended()) < number:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)

    process = folder.start("search", "recipe=cnn", f"trials={TRIALS}", "epochs=2", "name=hit")
    wait_for(1)
    postgres.stop()
    time.sleep(1)
    postgres.start()
    ledger.close()
    wait_for(2)
    os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate()
    before = {trial.number: trial.points for trial in ended()}
    assert ledger.search("hit").state is State.INTERRUPTED

    resumed = folder.run("resume", "hit")
    assert resumed.returncode == 0, resumed.stderr
    after = {trial.number: trial.points for trial in ended()}
    assert before.items() <= after.items()
    assert len(ledger.history(ledger.search("hit")).searched) == TRIALS
    ledger.close()
    audited = folder.run("audit", "hit")
    assert audited.returncode == 0, audited.stdout
    listed = folder.run("list")
    assert "finished" in listed.stdout
    words = (out, err, resumed.stdout, resumed.stderr, audited.stdout, listed.stdout)
    assert not any(PASSWORD in word for word in words)
