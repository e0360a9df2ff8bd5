"""A search whose checkpoints lie in a bucket, which all machines of a cluster reach."""

import os
import signal
import time

import pytest
from bucket import names

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

LONG = ("search", "recipe=cnn", "epochs=30", "name=far", "space=sgd", "fuse=off", "trials=1", "workers=1")


def test_a_trial_whose_worker_is_killed_goes_on_from_what_lies_in_the_bucket(folder, ledger, s3):
    address = f"s3://{s3.bucket()}/runs"
    folder.environment |= s3.environment
    process = folder.start(*LONG, "checkpoint_every=0.2s", f"checkpoints={address}")
    while not checkpoints(address):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    (trial,) = ledger.history(ledger.search("far")).trials.values()
    os.kill(int(trial.attempts[0].worker.rpartition("/")[2]), signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    history = ledger.history(ledger.search("far"))
    assert history.trials[0].attempts[-1].notes["from"]["0"] >= 1
    assert [point.epoch for point in history.trials[0].points] == list(range(1, 31))
    assert history.warnings == []
    assert folder.run("audit", "far").returncode == 0
    assert not list(folder.path.glob("*.checkpoints"))
    assert {name.partition("-")[0] for name in checkpoints(address)} <= {"1"}  # the proof's


def checkpoints(address):
    """The names of what lies there, without the one with which a search tries whether it can write."""
    found = (os.path.basename(name) for name in names(address))
    return [name for name in found if not name.startswith(".")]


def test_a_bucket_that_is_not_there_is_refused_and_nothing_is_written(folder, s3):
    folder.environment |= s3.environment
    done = folder.run("search", "recipe=mlp", "trials=2", "checkpoints=s3://nobodys/runs")
    assert done.returncode == 2
    assert "checkpoints=s3://nobodys/runs\n    Cannot keep anything there: " in done.stderr
    assert list(folder.path.iterdir()) == []
