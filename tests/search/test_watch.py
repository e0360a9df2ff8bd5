"""Who hangs is found; who was merely not listened to is not taken for that."""

import os
import subprocess
import sys

import pytest

from hpo.cluster.last_words import killed_for_memory, read_last_words
from hpo.cluster.watch import LEAST_SECONDS, Watch


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def looked(watch, clock, seconds):
    """Look once a second; return who hangs at the end."""
    found = []
    for _ in range(seconds):
        clock.now += 1
        found = watch.look()
    return found


@pytest.fixture
def clock():
    return Clock()


def test_who_is_silent_for_too_long_hangs(clock):
    watch = Watch(30, clock)
    watch.hear("a")
    watch.hear("b")
    assert looked(watch, clock, 29) == []
    watch.hear("b")
    assert looked(watch, clock, 3) == ["a"]
    watch.forget("a")
    assert looked(watch, clock, 20) == []


def test_by_itself_it_waits_ten_minutes_or_twenty_epochs(clock):
    watch = Watch(None, clock)
    watch.hear("a")
    assert watch.limit == LEAST_SECONDS
    looked(watch, clock, 100)
    watch.hear("a")
    assert watch.limit == 2000
    assert looked(watch, clock, 1999) == []
    assert looked(watch, clock, 3) == ["a"]


def test_time_in_which_nobody_listened_does_not_count(clock):
    watch = Watch(30, clock)
    watch.hear("a")
    clock.now += 3600
    assert watch.look() == []


LEAVING = """
import ctypes, os, sys
from hpo.cluster.last_words import leave_last_words
leave_last_words(sys.argv[1])
{}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("os._exit(3)", "its worker ended by os._exit(3) (<string>:5)"),
        (
            "from hpo.cluster.last_words import give_up; give_up('its GPU gives only errors: CUDA error')",
            "its worker gave up: its GPU gives only errors: CUDA error",
        ),
        ("ctypes.string_at(0)", "its worker crashed: Segmentation fault ("),
        ("os.abort()", "its worker crashed: Aborted (<string>:5)"),
        ("os.kill(os.getpid(), 9)", "its worker was killed (SIGKILL), by someone, or for lack of memory"),
        (
            "if not os.fork(): os._exit(1)\nos.wait(); os.kill(os.getpid(), 9)",
            "its worker was killed (SIGKILL)",
        ),
    ],
)
def test_a_process_leaves_word_of_why_it_ends(tmp_path, last, reason):
    process = subprocess.Popen([sys.executable, "-c", LEAVING.format(last), str(tmp_path)])
    process.wait(60)
    found = read_last_words(str(tmp_path), process.pid, killed_for_memory())
    assert found.startswith(reason)


def test_memory_is_blamed_when_the_system_has_killed_for_it(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert "as the system did for lack of memory" in read_last_words(str(tmp_path), ended.pid, -1)


LARGE = """
import threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
memory = bytearray(300 << 20)
print("ready", flush=True)
time.sleep(99)
"""


def test_a_process_whose_line_is_cut_was_killed_though_the_system_is_not_done_with_it(tmp_path):
    found = []
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-c", LARGE], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline()
            process.kill()
            assert not process.stdout.read()
            found.append(read_last_words(str(tmp_path), process.pid, killed_for_memory()))
    assert all(it.startswith("its worker was killed (SIGKILL)") for it in found)


def test_a_process_that_lives_was_not_killed(tmp_path):
    assert read_last_words(str(tmp_path), os.getpid(), 0) == "its worker failed"
