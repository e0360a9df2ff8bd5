"""Following a search in the background: what passes is waited for, what does not is told."""

import threading
import time

import pytest
from simulation import referee, started
from sqlalchemy import select

from hpo.conductor.reopening import taken_up
from hpo.conductor.session import Session
from hpo.errors import SearchError
from hpo.history import State
from hpo.ledger import Ledger, UnreachableError, pulse
from hpo.ledger.schema import sessions
from hpo.machine import hardware


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


class Still(Seen):
    """A terminal that was stopped by Ctrl-S."""

    def __init__(self):
        super().__init__()
        self.goes_on = threading.Event()

    def update(self, search, history):
        self.goes_on.wait(40)


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


def test_the_driver_s_heart_beats_while_it_watches(watch, heartbeats):
    driver, _ = watch(Seen())
    with driver._watched(1):
        heartbeats(driver.ledger)


def test_its_heart_beats_on_where_the_view_is_gone(watch, heartbeats):
    driver, _ = watch(Broken())
    with pytest.raises(BrokenPipeError), driver._watched(1):
        heartbeats(driver.ledger)


def test_its_heart_beats_on_where_the_terminal_stands_still(watch, heartbeats):
    viewer = Still()
    driver, _ = watch(viewer)
    with driver._watched(1):
        heartbeats(driver.ledger)
        viewer.goes_on.set()


def test_its_heart_beats_while_a_search_is_taken_up(watch, heartbeats):
    driver, _ = watch(Seen())
    driver.ledger.close_session(1, State.INTERRUPTED)
    with taken_up(driver.ledger, driver.ledger.search(driver.search.name)):
        heartbeats(driver.ledger)


@pytest.fixture
def heartbeats(monkeypatch):
    """Wait until the driver of a ledger's latest session was heard of twice."""
    monkeypatch.setattr(pulse, "_BEAT_SECONDS", 0.05)
    latest = select(sessions.c.heartbeat).order_by(sessions.c.id.desc()).limit(1)

    def wait(ledger):
        heard, deadline = set(), time.monotonic() + 20
        while len(heard) < 3:  # the first was noted when the session was opened
            assert time.monotonic() < deadline
            time.sleep(0.02)
            with ledger.engine.connect() as connection:
                heard.add(connection.scalar(latest))

    return wait
