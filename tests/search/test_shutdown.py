"""Ray ends with a search, and takes nothing else with it."""

import subprocess
import sys

import pytest

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


@pytest.mark.slow
def test_references_in_garbage_do_not_end_the_process_when_ray_shuts_down():
    ended = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "survived\n"), ended.stderr
