"""Following a search in the background: what passes is waited for, what does not is told."""

import threading
import time

import pytest
from simulation import referee, started
from sqlalchemy import select

from hpo import cluster, hardware, session
from hpo.cluster import placement
from hpo.errors import SearchError
from hpo.hardware import Share
from hpo.ledger import Ledger, UnreachableError
from hpo.ledger.schema import sessions
from hpo.session import Session


class Restarting(Ledger):
    """A ledger whose database is away for the next `away` questions."""

    away = 0

    def records(self, search, after=0):
        if self.away > 0:
            self.away -= 1
            raise UnreachableError("the database system is starting up")
        return super().records(search, after)


class Seen:
    """A viewer that keeps what it was shown."""

    def __init__(self):
        self.trials, self.finished, self.whole = 0, False, threading.Event()

    def start(self, plan, history):
        pass

    def update(self, search, history):
        self.trials = len(history.trials)
        if self.trials == 3:
            self.whole.set()

    def finish(self):
        self.finished = True


class Broken(Seen):
    def update(self, search, history):
        raise BrokenPipeError("the terminal is gone")


@pytest.fixture
def watch(tmp_path):
    def conductor(viewer):
        url = f"sqlite:///{tmp_path}/hpo.db"
        name = started(url)
        ledger = Restarting(url)
        return Session(
            ledger, ledger.search(name), hardware.here(), lambda plan: viewer, lambda _: None
        ), referee(url, name)

    return conductor


def test_a_database_that_is_away_for_a_while_is_waited_for(watch):
    viewer = Seen()
    driver, judge = watch(viewer)
    with driver._watched(1):
        driver.ledger.away = 2
        judge.ask("c", 3)
        judge.flush()
        assert viewer.whole.wait(20)
    assert driver.ledger.away == 0
    assert viewer.finished


def test_what_ails_the_view_is_told_once_the_training_is_over(watch):
    viewer = Broken()
    driver, _ = watch(viewer)
    trained = False

    def train():
        nonlocal trained
        with driver._watched(1):
            trained = True

    with pytest.raises(BrokenPipeError):
        train()
    assert trained
    assert viewer.finished


def test_what_stops_the_training_is_told_and_not_what_ails_the_view(watch):
    driver, _ = watch(Broken())
    with pytest.raises(SearchError, match="all is lost"), driver._watched(1):
        raise SearchError("all is lost")


def test_the_driver_s_heart_beats_while_it_watches(watch, monkeypatch):
    monkeypatch.setattr(session, "_BEAT_SECONDS", 0.1)
    driver, _ = watch(Seen())
    before = heartbeat(driver.ledger)
    with driver._watched(1):
        deadline = time.monotonic() + 20
        while heartbeat(driver.ledger) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def heartbeat(ledger):
    with ledger.engine.connect() as connection:
        return connection.scalar(select(sessions.c.heartbeat))


@pytest.mark.slow
def test_what_stops_the_training_is_told_and_not_that_the_referee_is_dead(monkeypatch):
    def fit(*_):
        raise SearchError("all is lost")

    def dead():
        raise OSError("no such disk")

    monkeypatch.setattr(placement, "_fit", fit)
    with cluster.local(1), pytest.raises(SearchError, match="all is lost"):
        cluster.train(dead, print, cluster.Order(1, Share(1, 0)), print)
