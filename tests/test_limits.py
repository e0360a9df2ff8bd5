"""A container, a pod or a job of a queue may use less than its machine has: files as Linux writes them."""

import os
from types import SimpleNamespace

import psutil
import pytest

from hpo.conductor import inprocess
from hpo.doctor import machine
from hpo.machine import hardware, limits, usage
from hpo.training.memory import available, most

GIB = 2**30
UNLIMITED = 9223372036854771712  # what version 1 writes
CALLED, QUOTA, PERIOD = "proc/self/cgroup", "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Lets a test write the files of a machine with 64 CPUs and 256 GiB of memory, 200 of them free."""
    memory = type("Memory", (), {"total": 256 * GIB, "available": 200 * GIB})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(limits, "ROOT", tmp_path)

    def write(files):
        for path, text in files.items():
            file = tmp_path / (path if path == CALLED else f"sys/fs/cgroup/{path}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")

    return write


def v1(path, quota, folder=""):
    return {
        CALLED: f"9:name=systemd:{path}\n2:cpu,cpuacct:{path}\n0::/",
        f"cpu{folder}/{QUOTA}": quota,
        f"cpu{folder}/{PERIOD}": 100000,
    }


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 64),
        ({CALLED: "0::/"}, 64),
        ({CALLED: "0::/", "cpu.max": "max 100000"}, 64),
        ({CALLED: "0::/", "cpu.max": "200000 100000"}, 2),
        ({CALLED: "0::/", "cpu.max": "250000 100000"}, 2),
        ({CALLED: "0::/", "cpu.max": "50000 100000"}, 1),
        ({CALLED: "0::/", "cpu.max": "9900000 100000"}, 64),
        ({CALLED: "0::/job_7/step", "job_7/cpu.max": "400000 100000", "job_7/step/cpu.max": "max 100000"}, 4),
        (
            {
                CALLED: "0::/job_7/step",
                "job_7/cpu.max": "400000 100000",
                "job_7/step/cpu.max": "300000 50000",
            },
            4,
        ),
        (v1("/", -1), 64),
        (v1("/", 300000), 3),
        (v1("/docker/ab12", 200000), 2),
        (v1("/job_7", 500000, "/job_7"), 5),
    ],
)
def test_a_quota_of_processors_is_what_there_is(system, files, cpus):
    system(files)
    assert limits.cpus() == hardware.here().cpus == cpus


def test_processors_to_which_a_process_is_bound_are_what_there_is(system, monkeypatch):
    system({CALLED: "0::/", "cpu.max": "800000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert limits.cpus() == 2


STAT = f"anon 1\ninactive_file {2 * GIB}\nactive_file {GIB}\nunevictable 0"
STAT_V1 = f"inactive_file 0\nactive_file 0\ntotal_inactive_file {2 * GIB}\ntotal_active_file {GIB}"


@pytest.mark.parametrize(
    ("files", "total", "free"),
    [
        ({}, 256, 200),
        ({CALLED: "0::/", "memory.max": "max", "memory.current": 9 * GIB, "memory.stat": STAT}, 256, 200),
        ({CALLED: "0::/", "memory.max": 16 * GIB, "memory.current": 9 * GIB, "memory.stat": STAT}, 16, 10),
        ({CALLED: "0::/", "memory.max": 999 * GIB, "memory.current": 9 * GIB, "memory.stat": STAT}, 256, 200),
        ({CALLED: "0::/", "memory.max": 16 * GIB, "memory.current": 20 * GIB, "memory.stat": STAT}, 16, 0),
        (
            {CALLED: "0::/job/step", "job/memory.max": 8 * GIB, "job/memory.current": GIB}
            | {"job/step/memory.max": "max", "job/step/memory.current": GIB},
            8,
            7,
        ),
        (
            {CALLED: "4:memory:/docker/ab", "memory/memory.limit_in_bytes": 16 * GIB}
            | {"memory/memory.usage_in_bytes": 9 * GIB, "memory/memory.stat": STAT_V1},
            16,
            10,
        ),
        (
            {CALLED: "4:memory:/", "memory/memory.limit_in_bytes": UNLIMITED}
            | {"memory/memory.usage_in_bytes": 9 * GIB, "memory/memory.stat": STAT_V1},
            256,
            200,
        ),
    ],
)
def test_a_limit_of_memory_is_what_there_is(system, files, total, free):
    system(files)
    assert limits.memory() == (total * GIB, free * GIB)
    assert (most("cpu", 1), available("cpu", 1)) == limits.memory()


def test_doctor_and_live_view_tell_of_the_memory_that_there_is(system):
    system({CALLED: "0::/", "memory.max": 3 * GIB, "memory.current": 2 * GIB})
    finding = machine.memory()
    assert (finding.well, finding.found) == (False, "1.0 GiB available")
    use = usage.processors()
    assert (use.used, use.total) == (2 * GIB, 3 * GIB)


@pytest.mark.parametrize(
    ("files", "told", "form"),
    [
        ({CALLED: "0::/", "cpu.max": "200000 100000"}, "cpu.stat", "usage_usec {}000000\nuser_usec 1"),
        (v1("/", 200000), "cpu/cpuacct.usage", "{}000000000"),
    ],
    ids=["v2", "v1"],
)
def test_the_live_view_tells_how_busy_the_processors_of_a_quota_are(system, files, told, form, monkeypatch):
    """Two CPUs work three seconds in two: of 64 that is next to nothing."""
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(usage, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(usage, "_meter", usage._Meter())
    system(files | {told: form.format(10)})
    assert usage.processors().share == 0
    system({told: form.format(13)})
    assert usage.processors().share == pytest.approx(0.75)


def test_a_single_training_takes_no_more_threads_than_processors(system, monkeypatch):
    monkeypatch.setattr(inprocess.torch, "get_num_threads", lambda: 64)
    assert inprocess.machine()["threads"] == 64
    system({CALLED: "0::/", "cpu.max": "200000 100000"})
    assert inprocess.machine()["threads"] == 2


def test_what_there_is_here_is_what_the_machine_has_at_most():
    assert 1 <= limits.cpus() <= (os.cpu_count() or 1)
    assert 0 < limits.memory().available <= limits.memory().total <= psutil.virtual_memory().total
