"""Searches with their ledger in PostgreSQL, which restarts in the middle, or stays away."""

import os
import signal
import sys
import time

import pytest
from postgres import PASSWORD
from raylets import two_machines

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


def test_a_password_of_the_environment_opens_the_ledger_on_a_cluster_too(folder, postgres):
    folder.environment["HPO_STORE"] = postgres.empty().replace(f":{PASSWORD}@", "@")
    folder.environment["PGPASSWORD"] = PASSWORD
    words = ("recipe=mlp", "trials=2", "epochs=2", "confirm=0", "fuse=off", "name=open")
    with two_machines(cpus=1) as cluster:
        found = folder.run("search", *words, f"cluster={cluster.address}")
    assert found.returncode == 0, found.stderr
    assert PASSWORD not in found.stdout + found.stderr
    assert "finished" in folder.run("list").stdout


IMPATIENT = """
import sys
from hpo import cli
from hpo.ledger import patience

patience.PATIENCE_SECONDS = 1.0
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_training_whose_postgresql_stays_away_stops_in_order_and_goes_on_later(folder, postgres):
    folder.environment["HPO_STORE"], epochs = postgres.empty(), 1500
    ledger = Ledger(folder.environment["HPO_STORE"])

    def points():
        return ledger.history(ledger.search("hit")).epochs if ledger.exists() and ledger.searches() else 0

    words = ("train", "recipe=linear", f"epochs={epochs}", "name=hit")
    process = folder.start(*words, program=(sys.executable, "-c", IMPATIENT))
    while not points():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    ledger.close()
    postgres.stop()
    try:
        out, err = process.communicate(timeout=100)
    finally:
        postgres.start()
    assert process.returncode == 1
    assert "the ledger is out of reach for 1 s" in err
    assert "hpo resume" in err
    assert "Traceback" not in err
    assert PASSWORD not in out + err
    assert 0 < points() < epochs
    resumed = folder.run("resume", "hit")
    assert resumed.returncode == 0, resumed.stderr
    assert points() == epochs
    ledger.close()
