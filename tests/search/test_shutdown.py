"""Ray starts and ends with a search, and takes nothing else with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from hpo import cluster
from hpo.cluster.node import logs_here
from hpo.errors import SearchError

GARBAGE = """
import gc, threading, time
import ray
from hpo import cluster

def allocate():
    while True:  # sets the collector off, again and again
        kept = [[] for _ in range(2000)]
        time.sleep(0.001)

with cluster.local(1):
    gc.collect()
    for number in range(300):
        cycle = {"reference": ray.put(number)}
        cycle["itself"] = cycle
    threading.Thread(target=allocate, daemon=True).start()
print("survived")
"""


HANGING = """
import os, signal, time
from hpo.conductor import last_resort

last_resort.LIMIT_SECONDS = 0.1
signal.signal(signal.SIGTERM, lambda *_: None)
with last_resort.last_resort(print, []):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


def test_what_hangs_before_there_is_a_search_is_not_told_to_go_on():
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (130, "hpo: interrupted; nothing was started.\n")


FORKING = """
import multiprocessing, time
from hpo.conductor import last_resort

with last_resort.last_resort(print, []):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
worker.kill()
print("over")
"""


def test_a_training_ends_though_workers_of_its_loader_live_on():
    ended = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=40)
    assert (ended.returncode, ended.stdout) == (0, "over\n"), ended.stderr


@pytest.mark.slow
def test_references_in_garbage_do_not_end_the_process_when_ray_shuts_down():
    ended = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "survived\n"), ended.stderr


def test_it_needs_no_home_folder_and_its_token_goes_with_it(tmp_path, monkeypatch):
    home = tmp_path / "none"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/of/another/cluster")
    with cluster.local(1):
        token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        assert token.stat().st_mode & 0o777 == 0o600
        assert ray.get(ray.remote(lambda: "trained").remote()) == "trained"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == "/of/another/cluster"
    assert not token.exists()
    assert not home.exists()


def test_a_temporary_folder_too_deep_for_sockets_is_done_without(tmp_path, monkeypatch):
    deep = tmp_path / "/".join(["folder"] * 10)
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with cluster.local(1):
        assert list(deep.iterdir()) == []
        folder = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent
        assert folder.parent == Path("/tmp")
    assert not folder.exists()


@pytest.mark.slow
def test_what_workers_leave_lies_with_the_ray_of_their_machine_and_goes_with_it():
    with cluster.local(1):
        left = Path(ray.get(ray.remote(logs_here).remote()))
        assert left.is_dir()
    assert not left.exists()


def test_a_ray_that_does_not_start_is_told_in_a_line_and_leaves_nothing(tmp_path, monkeypatch):
    def late(**_):
        raise RuntimeError("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = r"^Ray does not start here: The current node timed out.*hpo resume"
    with pytest.raises(SearchError, match=told), cluster.local(1):
        pass
    assert list(tmp_path.iterdir()) == []
