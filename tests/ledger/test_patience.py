"""A minute's patience, which is not had twice for the same trouble."""

import pytest

from hpo.errors import LedgerError
from hpo.ledger import Patience, UnreachableError, patience


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    return made


@pytest.fixture
def database(clock):
    """Answers with the time, but for the times between two."""

    class Database:
        away = (0.0, 0.0)

        def __call__(self):
            if self.away[0] <= clock.now < self.away[1]:
                raise UnreachableError("restarting")
            return clock.now

    return Database()


def test_an_absence_of_less_than_a_minute_is_sat_out(database):
    database.away = (0.0, 59.0)
    assert 59 <= Patience()(database) < 61


def test_a_longer_one_is_told_with_what_the_database_said(database, clock):
    database.away = (0.0, 600.0)
    with pytest.raises(LedgerError, match=r"out of reach for 60 s: restarting.*hpo resume"):
        Patience()(database)
    assert 60 <= clock.now < 62


def test_who_has_waited_in_vain_does_not_wait_again(database, clock):
    wait = Patience()
    database.away = (0.0, 100.0)
    with pytest.raises(LedgerError):
        wait(database)
    given_up = clock.now
    with pytest.raises(LedgerError):
        wait(database)
    assert clock.now == given_up


def test_once_the_database_has_answered_the_next_absence_has_a_minute_of_its_own(database, clock):
    wait = Patience()
    database.away = (0.0, 100.0)
    with pytest.raises(LedgerError):
        wait(database)
    clock.now = 100.0
    assert wait(database) == 100.0
    database.away = (100.0, 150.0)
    assert 150 <= wait(database) < 152


def test_a_glance_begins_the_minute(database, clock):
    wait = Patience()
    database.away = (0.0, 600.0)
    with pytest.raises(UnreachableError):
        wait.once(database)
    clock.now = 50.0
    with pytest.raises(LedgerError):
        wait(database)
    assert 60 <= clock.now < 62
