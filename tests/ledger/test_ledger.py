"""What is written to a ledger comes back as it was, in order, and once."""

import math
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from hpo.config import Config
from hpo.errors import HpoError, InputError
from hpo.history import Search, State
from hpo.ledger import Ledger, UnreachableError, Writer, patience
from hpo.ledger.liveness import born
from hpo.ledger.rows import cells
from hpo.ledger.rows import record as read
from hpo.ledger.schema import sessions
from hpo.recipe import Objective
from hpo.settings import NameSettings
from hpo.trial import Attempt, Ending, Outcome, Point, Proposal
from hpo.worker.cause import explain


def order(name="cnn-1", recipe="cnn"):
    return Search(
        name=name,
        recipe=recipe,
        path=f"recipes/{recipe}.py",
        source="epochs = 1\n",
        space="batch_size: 64\n",
        objective=Objective("minimize", "loss"),
        settings={"trials": 3, "timeout": None, "seed": 0, "sampler": "tpe"},
        versions={"torch": "2.13.0"},
    )


def point(trial=0, epoch=1, score=0.5):
    return Point(trial, epoch, score, score, 0.7, 0.05, 1.5, 1.0, 0.1, {"accuracy": 0.9})


def writer_of(ledger, search):
    return Writer(ledger, search, ledger.open_session(ledger.search(search.name)))


@pytest.fixture
def ledger(store):
    opened = Ledger(store)
    yield opened
    opened.close()


@pytest.fixture
def search(ledger):
    return ledger.create_search(order())


def test_a_search_comes_back_as_it_was_ordered(ledger, search):
    found = ledger.search("cnn-1")
    assert found == search
    assert (found.settings, found.objective, found.source) == (
        order().settings,
        order().objective,
        order().source,
    )


def test_looking_into_an_empty_folder_creates_nothing(ledger, tmp_path):
    assert ledger.searches() == []
    with pytest.raises(InputError, match="There is no search of this name"):
        ledger.search("cnn-1")
    assert list(tmp_path.iterdir()) == []


def test_a_search_without_a_name_gets_the_next_free_one(ledger):
    names = [ledger.create_search(order(name="")).name for _ in range(3)]
    assert names == ["cnn-1", "cnn-2", "cnn-3"]


@pytest.mark.parametrize("recipe", ["my net", "Größe", "-cnn", ".cnn", "it's", "a" * 100])
def test_a_name_after_a_recipe_is_one_that_can_be_typed(ledger, recipe):
    for _ in range(2):
        name = ledger.create_search(order("", recipe)).name
        assert NameSettings.from_words([name]).name == name


def test_a_name_can_be_taken_once(ledger, search):
    with pytest.raises(InputError, match="hpo resume cnn-1"):
        ledger.create_search(order())


def test_a_misspelt_name_is_guessed(ledger, search):
    with pytest.raises(InputError, match="Did you mean cnn-1"):
        ledger.search("cnn1")


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InputError, match="address such as sqlite"):
        Ledger("hpo.db")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        Ledger(f"sqlite:///{tmp_path}/missing/hpo.db").create_search(order())


RECORDS = [
    Proposal(
        0, Config({"optimizer": "sgd", "optimizer.lr": 0.1}), "baseline", {"a": 1}, {"a": "{}"}, {"n": [1]}
    ),
    Attempt(0, "host/123"),
    point(0, 1, 0.5),
    point(0, 2, math.inf),
    Ending(0, Outcome.DIVERGED, "loss inf", 0.5, {"step": 3.0}),
]


def test_records_come_back_in_order_and_unchanged(ledger, search):
    writer = writer_of(ledger, search)
    written = [writer.append(record) for record in RECORDS]
    writer.flush()
    assert ledger.records(search) == written
    assert [record.seq for record in written] == [1, 2, 3, 4, 5]


def test_reading_goes_on_from_a_number(ledger, search):
    writer = writer_of(ledger, search)
    for record in RECORDS:
        writer.append(record)
    writer.flush()
    assert [record.seq for record in ledger.records(search, after=3)] == [4, 5]


def test_a_new_writer_goes_on_numbering(ledger, search):
    for record in RECORDS:
        writer = writer_of(ledger, search)
        writer.append(record)
        writer.flush()
    assert [record.seq for record in ledger.records(search)] == [1, 2, 3, 4, 5]


def test_nothing_is_seen_before_it_is_committed(ledger, search):
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    assert ledger.records(search) == []
    writer.flush()
    assert len(ledger.records(search)) == 1


LOCKS = {
    "sqlite": ("PRAGMA busy_timeout=0", "BEGIN EXCLUSIVE"),
    "postgresql": ("SET lock_timeout=1", "LOCK TABLE sessions"),
}


@contextmanager
def locked(ledger):
    """Hold the database, and let it say so at once."""
    impatience, lock = LOCKS[ledger.engine.dialect.name]
    with ledger.engine.begin() as own:
        own.exec_driver_sql(impatience)
    blocking = Ledger(ledger.url)
    with blocking.engine.connect() as connection:
        connection.exec_driver_sql(lock)
        yield
    blocking.close()


def test_a_commit_that_fails_to_the_last_drops_nothing(ledger, search, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.1)
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    with locked(ledger), pytest.raises(HpoError, match=r"out of reach.*lock"):
        writer.flush()
    writer.append(RECORDS[1])
    writer.flush()
    assert [record.seq for record in ledger.records(search)] == [1, 2]


def test_a_commit_waits_for_a_database_that_is_locked_for_a_while(ledger, search):
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    flushing = threading.Thread(target=writer.flush)
    with locked(ledger):
        flushing.start()
        flushing.join(0.3)
        assert flushing.is_alive()
    flushing.join(10)
    assert len(ledger.records(search)) == 1


def test_a_commit_whose_answer_was_lost_is_not_made_twice(ledger, search):
    """The connection breaks after the database has committed, before it says so."""
    writer, broken = writer_of(ledger, search), []
    written = [writer.append(record) for record in RECORDS]

    def commit_and_break(connection):
        if not broken:
            broken.append(connection)
            connection.connection.commit()
            raise UnreachableError("reset by peer")

    event.listen(ledger.engine, "commit", commit_and_break)
    writer.flush()
    assert broken
    assert ledger.records(search) == written


@pytest.mark.parametrize("record", [RECORDS[0], RECORDS[2], RECORDS[4]], ids=["proposal", "epoch", "ending"])
def test_what_can_happen_once_cannot_be_written_twice(ledger, search, record):
    writer = writer_of(ledger, search)
    writer.append(record)
    writer.flush()
    writer.append(record)
    with pytest.raises(IntegrityError):
        writer.flush()


def test_the_error_of_a_trial_is_kept_whatever_is_in_its_text(ledger, search):
    with pytest.raises(FileNotFoundError) as caught:
        raise FileNotFoundError("no caf\udce9.csv, its header is \0 and ü")
    cause = explain(caught.value, "recipe.py")
    writer = writer_of(ledger, search)
    ending = writer.append(Ending(0, Outcome.FAILED, *cause))
    writer.flush()
    assert ledger.records(search) == [ending]
    assert ending.reason.startswith(r"FileNotFoundError: no caf\udce9.csv, its header is \x00 and ü (")
    assert r"caf\udce9.csv" in ending.notes["traceback"]


def test_nan_survives(ledger, search):
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    writer.append(point(0, 1, math.nan))
    writer.flush()
    read = ledger.records(search)[1]
    assert math.isnan(read.score)
    assert read.metrics == {"accuracy": 0.9}


def test_a_reader_never_sees_a_point_before_its_proposal(ledger, search):
    """A reader looks into a table after the other while a writer commits; its records still fit together."""
    writer, over = writer_of(ledger, search), threading.Event()

    def write():
        for number in range(60):
            writer.append(Proposal(number, Config({"lr": 0.1}), "random"))
            writer.append(point(number))
            writer.append(Ending(number, Outcome.FINISHED))
            writer.flush()
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    reader, seq = Ledger(ledger.url), 0
    while not over.is_set() or seq < 180:
        records = reader.records(search, seq)
        assert [record.seq for record in records] == list(range(seq + 1, seq + 1 + len(records)))
        seq += len(records)
    thread.join()
    reader.close()


class TestState:
    def test_a_living_driver_means_running(self, ledger, search):
        ledger.open_session(search)
        assert ledger.search("cnn-1").state is State.RUNNING

    def session_of(self, ledger, search, **facts):
        row = {"search_id": search.id, "host": socket.gethostname(), "pid": os.getpid(), "started": 0.0}
        with ledger.engine.begin() as connection:
            connection.execute(sessions.insert().values(row | facts))
        return ledger.search("cnn-1")

    def test_a_dead_driver_means_interrupted(self, ledger, search):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        found = self.session_of(ledger, search, pid=dead.pid)
        assert found.state is State.INTERRUPTED
        assert str(dead.pid) in found.reason

    def test_a_driver_that_was_killed_is_dead_also_if_its_parent_takes_no_notice(self, ledger, search):
        driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        facts = {"pid": driver.pid, "born": born(driver.pid)}
        assert self.session_of(ledger, search, **facts).state is State.RUNNING
        driver.kill()
        os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)
        assert ledger.search("cnn-1").state is State.INTERRUPTED
        driver.communicate()

    def test_a_driver_whose_number_another_process_has_now_is_dead(self, ledger, search):
        """As after a restart of the machine: the number is that of a living process, which began later."""
        mine = born(os.getpid())
        assert mine > 0
        assert self.session_of(ledger, search, born=mine).state is State.RUNNING
        assert self.session_of(ledger, search, born=mine - 100).state is State.INTERRUPTED

    def test_a_driver_elsewhere_lives_as_long_as_it_is_heard_of(self, ledger, search):
        found = self.session_of(ledger, search, host="elsewhere", pid=1, heartbeat=time.time() - 50)
        assert found.state is State.RUNNING
        assert "process 1 on elsewhere, last heard of 50 s ago" in found.reason
        found = self.session_of(ledger, search, host="elsewhere", pid=1, heartbeat=time.time() - 70)
        assert found.state is State.INTERRUPTED
        assert "process 1 on elsewhere, last heard of 70 s ago" in found.reason

    def test_a_heartbeat_is_noted(self, ledger, search):
        self.session_of(ledger, search, host="elsewhere", heartbeat=time.time() - 70)
        assert ledger.search("cnn-1").state is State.INTERRUPTED
        ledger.beat(1)
        assert ledger.search("cnn-1").state is State.RUNNING

    def test_whose_clock_is_wrong_still_sees_who_lives(self, postgres, opened, monkeypatch):
        """All go by the server's clock."""
        ledger = opened(postgres.empty())
        search = ledger.create_search(order())
        right = time.time
        for wrong in (-3600, 3600):
            monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
            monkeypatch.setattr(time, "time", lambda by=wrong: right() + by)
            session = ledger.open_session(search)
            search = replace(search, session=session)
            monkeypatch.undo()
            assert ledger.search("cnn-1").state is State.RUNNING
            monkeypatch.setattr(time, "time", lambda by=wrong: right() + by)
            assert ledger.search("cnn-1").state is State.RUNNING
            ledger.beat(session)
            monkeypatch.undo()
            assert ledger.search("cnn-1").state is State.RUNNING

    def test_a_driver_of_an_older_version_elsewhere_is_taken_at_its_word(self, ledger, search):
        assert self.session_of(ledger, search, host="elsewhere").state is State.RUNNING

    def test_sessions_took_what_they_lasted_and_not_what_lay_between(self, ledger, search):
        self.session_of(ledger, search, started=100.0, ended=130.0, state="interrupted")
        self.session_of(ledger, search, started=9_000.0, heartbeat=9_010.0)  # it was killed
        assert self.session_of(ledger, search, started=99_000.0).ran == 40

    def test_of_several_who_have_read_the_same_one_drives(self, ledger, search):
        with ThreadPoolExecutor(4) as pool:
            tries = [pool.submit(ledger.open_session, search) for _ in range(4)]
        (session,) = (it.result() for it in tries if not it.exception())
        assert ledger.search("cnn-1").session == session
        for error in filter(None, (it.exception() for it in tries)):
            assert isinstance(error, InputError)
            assert "has just gone on with it" in str(error)

    def test_the_last_session_counts(self, ledger, search):
        ledger.close_session(ledger.open_session(search), State.INTERRUPTED, "stopped by hand")
        ledger.close_session(ledger.open_session(ledger.search("cnn-1")), State.FINISHED)
        assert ledger.search("cnn-1").state is State.FINISHED


finite = st.floats(allow_nan=False)
values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite.filter(math.isfinite) | st.text()


@given(st.dictionaries(st.text(min_size=1), values), st.text(), st.dictionaries(st.text(), values))
def test_a_proposal_survives_its_row(config, origin, notes):
    record = Proposal(3, Config(config), origin, {"x": 1.5}, {}, notes)
    assert read(Proposal, cells(record)) == record


@given(st.floats(), finite, st.dictionaries(st.text(), finite))
def test_a_point_survives_its_row(score, lr, metrics):
    record = Point(3, 4, score, score, 0.5, lr, 1.0, 1.0, 0.2, metrics)
    assert repr(read(Point, cells(record))) == repr(record)
