"""A Ray cluster that others run: several raylets on this machine, one of which is lost on the way."""

import importlib
import os
import signal
import threading
import time

import pytest
from ray.cluster_utils import Cluster
from raylets import two_machines

from hpo import cli
from hpo.cluster import capacity
from hpo.conductor.machines import decided, there_is
from hpo.errors import InputError
from hpo.planning.ordering import order
from hpo.settings import SearchSettings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]


@pytest.fixture
def cluster():
    with two_machines(cpus=1) as made:
        yield made


def wait_for_epochs(ledger, process, epochs):
    """Wait until two trials have been trained for so many epochs."""
    for _ in range(1200):
        if ledger.exists() and ledger.searches():
            trials = ledger.history(ledger.search("far")).trials.values()
            if sum(trial.epochs >= epochs for trial in trials) >= 2:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise TimeoutError


@pytest.mark.timeout(400)
def test_the_trials_of_a_lost_machine_go_on_elsewhere_where_they_were_saved(cluster, folder, ledger):
    process = folder.start(
        *("search", "recipe=cnn", "name=far", f"cluster={cluster.address}", "space=sgd", "fuse=off"),
        "space.optimizer.sgd.lr={log: [0.01, 0.05]}",  # which no trial diverges of
        *("trials=2", "epochs=40", "pruner=none", "checkpoint_every=0.2s", "checkpoints=saved"),
    )
    wait_for_epochs(ledger, process, 3)
    (lost,) = cluster.worker_nodes
    cluster.remove_node(lost, allow_graceful=False)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    trials = ledger.history(ledger.search("far")).trials.values()
    assert all([point.epoch for point in trial.points] == list(range(1, 41)) for trial in trials)
    again = [trial.attempts[-1].notes for trial in trials if len({it.cohort for it in trial.attempts}) == 2]
    assert [note["after"] for note in again] == ["its machine left the cluster"]
    assert again[0]["from"].popitem()[1] >= 1
    assert folder.run("audit", "far").returncode == 0
    assert "Ray" not in out


def test_a_cluster_that_is_not_there_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["search", "recipe=cnn", "cluster=127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert "cluster=127.0.0.1:1\n    Cannot join a Ray cluster here: " in said
    assert "ray start --head" in said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def empty():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_cluster_that_grows_is_counted_anew_for_each_search_of_a_process(cluster):
    search = order(SearchSettings.from_words(["recipe=cnn", f"cluster={cluster.address}"]))
    assert decided(search, there_is(search))["at_work"] == 2
    cluster.add_node(num_cpus=2)
    assert decided(search, there_is(search))["at_work"] == 4


def test_a_cluster_whose_machines_are_still_to_come_is_waited_for(empty):
    told = []

    def hear(text):
        told.append(text)
        empty.add_node(num_cpus=2)

    assert capacity(empty.address, hear).cpus == 2
    assert told == [
        "The cluster has no CPU yet. Waiting up to 600 s for a machine to join it; see: ray status"
    ]


def test_who_waits_for_a_cluster_can_be_stopped(empty):
    def hear(_):
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(KeyboardInterrupt):
        capacity(empty.address, hear)


def test_a_cluster_to_which_no_machine_comes_is_refused(empty, monkeypatch):
    monkeypatch.setattr(importlib.import_module("hpo.cluster.joined"), "ARRIVAL_SECONDS", 1.0)
    with pytest.raises(InputError) as caught:
        capacity(empty.address, print)
    assert "It has no CPU, and within 1 s no machine with one has joined it. Start one" in str(caught.value)
