"""MLflow's own pages on a search, in a real browser: it is found, its winner opened, its report displayed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from simulation import mirrored

from hpo.history import State
from hpo.ledger import Ledger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore"),  # those of others
]

# What MLflow's pages log of their own: they ask a server without users for its user, and draw once too often.
KNOWN = ("/ajax-api/2.0/mlflow/users/current", "ResizeObserver loop")


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A search of twenty trials that is in MLflow, with its report; its winner's number."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/hpo.db"
    words = ("trials=20", "sampler=random", "pruner=median", "name=cnn-1")
    name = mirrored(tmp_path, 3, State.FINISHED, *words)
    ledger = Ledger(url)
    best = ledger.history(ledger.search(name)).best.number
    ledger.close()
    return best


@pytest.fixture
def address(searched):
    server = subprocess.Popen(
        [Path(sys.executable).with_name("hpo"), "ui"],
        env={name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    yield server.stdout.readline().split()[-1]
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path / "browser")
    yield browser
    browser.close()


@pytest.mark.timeout(600)
def test_the_search_is_found_its_winner_opened_its_report_displayed(address, searched, browser):
    winner = f"cnn-1/{searched:03d}"
    runs = f"{address}/#/experiments/1/runs"
    browser.open(address)
    browser.shows("Experiments", seconds=300)
    browser.open(f"{runs}?viewStateShareKey=hpo-trials")
    browser.shows("Finished trials, best first", winner, "final_score", "train_loss")
    first = next(row for row in browser.text.splitlines() if row.startswith("cnn-1/"))
    assert first.startswith(winner)
    browser.click(first)
    browser.shows("Parent run", "optimizer.lr", "hpo.outcome")
    browser.open(f"{runs}?viewStateShareKey=hpo-searches")
    browser.shows("Searches, by what they gained", "baseline_score", "gain", "trials_pruned")
    browser.click("cnn-1")
    browser.shows("Best: trial", "Artifacts")
    browser.click("Artifacts")
    browser.shows("report.html")
    browser.click("report.html")
    browser.shows(f"Trial {searched} is the best", "Learning curves")
    assert [it for it in browser.errors if not any(known in it for known in KNOWN)] == []
