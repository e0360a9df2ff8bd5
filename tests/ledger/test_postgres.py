"""A PostgreSQL that goes and comes back: nothing is lost, nothing is written twice, no password is shown."""

import sys
import threading

import pytest
from postgres import PASSWORD, Line
from test_ledger import RECORDS, order, point, writer_of

from hpo import cli
from hpo.config import Config
from hpo.errors import HpoError, InputError, LedgerError
from hpo.history import State
from hpo.ledger import Writer, patience
from hpo.trial import Ending, Outcome, Proposal

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture
def url(postgres):
    return postgres.empty()


def test_a_server_that_loses_its_power_in_the_middle_is_waited_for(postgres, url, opened):
    ledger = opened(url)
    search = ledger.create_search(order())
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    writer.flush()
    postgres.stop()
    writer.append(RECORDS[1])
    flushing = threading.Thread(target=writer.flush)
    flushing.start()
    flushing.join(0.3)
    assert flushing.is_alive()
    postgres.start()
    flushing.join(30)
    assert [record.seq for record in ledger.records(search)] == [1, 2]


def test_a_server_that_stays_away_is_told_and_nothing_is_dropped(postgres, url, opened, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.2)
    ledger = opened(url)
    search = ledger.create_search(order())
    writer = writer_of(ledger, search)
    writer.append(RECORDS[0])
    postgres.stop()
    try:
        with pytest.raises(HpoError, match=r"out of reach.*hpo resume") as told:
            writer.flush()
    finally:
        postgres.start()
    assert PASSWORD not in str(told.value)
    writer.flush()
    assert len(ledger.records(search)) == 1


def test_a_line_that_breaks_after_each_commit_was_sent_doubles_nothing(postgres, url, opened):
    """The server has committed, and nobody knows: 30 commits, half of whose answers are lost."""
    answers = iter(range(10**6))
    line = Line(postgres.port, lambda packet: b"COMMIT" in packet and next(answers) % 2 == 0)
    direct = opened(url)
    search = direct.create_search(order())
    session = direct.open_session(search)
    writer = Writer(opened(postgres.url(line.port)), search, session)
    written = []
    for number in range(30):
        written += [writer.append(Proposal(number, Config({"lr": 0.1}), "random"))]
        written += [writer.append(point(number, epoch)) for epoch in (1, 2, 3)]
        written += [writer.append(Ending(number, Outcome.FINISHED))]
        writer.flush()
    line.close()
    assert line.cuts > 15
    assert direct.records(search) == written


def test_a_session_whose_end_was_committed_in_silence_ends_once(postgres, url, opened):
    line = Line(postgres.port, lambda packet: b"COMMIT" in packet and line.cuts == 0)
    direct = opened(url)
    search = direct.create_search(order())
    session = direct.open_session(search)
    broken = opened(postgres.url(line.port))
    patience.patiently(lambda: broken.close_session(session, State.FINISHED))
    line.close()
    assert line.cuts == 1
    assert direct.search("cnn-1").state is State.FINISHED


def test_a_session_that_was_begun_in_silence_is_begun_once(postgres, url, opened):
    line = Line(postgres.port, lambda packet: b"COMMIT" in packet and line.cuts == 0)
    direct = opened(url)
    search = direct.create_search(order())
    session = opened(postgres.url(line.port)).open_session(search)
    line.close()
    assert line.cuts == 1
    assert direct.search("cnn-1").session == session == 1


@pytest.mark.parametrize(
    "verb",
    [
        ["list"],
        ["show", "cnn-1"],
        ["search", "recipe=cnn"],
        ["audit", "cnn-1"],
        ["export", "cnn-1", "to=winner.py"],
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://hpo:{PASSWORD}@127.0.0.1:9/hpo",
        f"postgresql://hpo:{PASSWORD}@127.0.0.1:nine/hpo",
        f"postgresql://hpo:{PASSWORD}@no-such-host.invalid/hpo",
        f"postgres://hpo:{PASSWORD}@127.0.0.1/hpo",
        f"postgresql+none://hpo:{PASSWORD}@127.0.0.1/hpo",
    ],
    ids=["nobody listens", "no port", "no host", "old name", "no driver"],
)
def test_what_is_wrong_with_an_address_is_said_without_its_password(
    verb, address, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPO_STORE", address)
    assert cli.main(verb) == 2
    told = capsys.readouterr()
    assert PASSWORD not in told.err + told.out
    assert "nothing was started, 1 problem" in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [["list"], ["audit", "cnn-1"]], ids=str)
def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(verb, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert cli.main([*verb, "store=postgresql+psycopg://hpo@127.0.0.1/hpo"]) == 2
    assert "PostgreSQL needs psycopg: pip install 'hpo[postgres]'" in (told := capsys.readouterr().err)
    assert "This is n" not in told


def test_a_wrong_password_is_said_and_not_shown(url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPO_STORE", url.replace(PASSWORD, "abracadabra"))
    assert cli.main(["list"]) == 2
    told = capsys.readouterr().err
    assert "password authentication failed" in told
    assert "abracadabra" not in told


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("default_transaction_read_only=on", "in a read-only transaction. This server only follows another"),
        ("role=pg_read_all_data", "permission denied for table searches. Ask its owner"),
    ],
)
def test_a_ledger_that_takes_no_changes_says_so_and_can_be_read(option, told, url, opened):
    written = opened(url).create_search(order())
    reader = opened(f"{url}?options=-c%20{option.replace('=', '%3D')}")
    assert reader.search(written.name) == written
    for change in (lambda: reader.create_search(order("cnn-2")), lambda: reader.note_uploaded(written, 1)):
        with pytest.raises(LedgerError, match=r"^the ledger refuses: ") as refused:
            change()
        assert told in str(refused.value)


def test_an_address_in_a_message_hides_its_password(url, opened):
    with pytest.raises(InputError, match="There is no search of this name") as told:
        opened(url).search("cnn-1")
    assert PASSWORD not in str(told.value)
    assert "***" in str(told.value)
