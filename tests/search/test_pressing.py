"""Keys pressed while a real search trains, in its own terminal and in another one."""

import time
from pathlib import Path

import pytest
import tiny
from screen import Terminal
from shell import HPO

from hpo.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORDS = ("recipe=./slow.py", "epochs=3", "workers=1", "fuse=off", "pruner=none", "confirm=0", "name=slow-1")
CALM_SECONDS = 3  # a wish is read once a second, and what trains comes to the end of its epoch


@pytest.fixture(autouse=True)
def recipe(folder):
    """One that takes a third of a second for an epoch."""
    text = Path(tiny.__file__).read_text()
    slow = text.replace('"""Cross-entropy."""', "time.sleep(0.1)").replace(
        "import torch\n", "import time, torch\n", 1
    )
    (folder.path / "slow.py").write_text(slow)


@pytest.fixture
def terminal(folder):
    opened = []

    def open_terminal(*words):
        opened.append(Terminal(str(HPO), *words, cwd=folder.path))
        return opened[-1]

    yield open_terminal
    for it in opened:
        it.end()


def history_of(folder):
    ledger = Ledger(folder.url)
    history = ledger.history(ledger.search("slow-1"))
    ledger.close()
    return history


def test_it_waits_goes_on_and_does_more_trials(folder, terminal):
    screen = terminal("search", *WORDS, "trials=4")
    screen.shows("1/4", "[p] pause   [s] stop after these   [+] 1 more trial")
    screen.press("p")
    screen.shows("paused: what trains waits after its epoch", "[p] go on")
    time.sleep(CALM_SECONDS)
    calm = history_of(folder).epochs
    time.sleep(CALM_SECONDS)
    assert history_of(folder).epochs == calm < 4 * 3
    screen.press("p")
    screen.shows("[p] pause")
    screen.press("+")
    screen.shows("/5")
    assert screen.ends() == 0
    assert screen.mode == screen.before
    assert len(history_of(folder).searched) == 5
    assert "5 of 5 trials" in folder.run("show", "slow-1").stdout


def test_from_another_terminal_it_is_told_to_begin_no_more(folder, terminal):
    search = folder.start("search", *WORDS, "trials=40")
    while not (folder.path / "hpo.db").exists():
        assert search.poll() is None
        time.sleep(0.1)
    screen = terminal("watch", "slow-1")
    screen.shows("1/40", "[s] stop after these")
    screen.press("s")
    screen.shows("stopping: after those that train now, only what confirms the best")
    assert screen.ends() == 0
    _, told = search.communicate(timeout=100)
    assert search.returncode == 0, told
    history = history_of(folder)
    assert 1 < len(history.searched) < 40
    assert {trial.epochs for trial in history.searched if trial.outcome == "finished"} == {3}
