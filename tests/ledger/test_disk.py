"""A disk that is full, fails or lies: what was acknowledged is kept, and the message says what is needed."""

import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from simulation import Workers, run, started
from test_ledger import order, point, writer_of

from hpo import cli
from hpo.config import Config
from hpo.errors import InputError, LedgerError
from hpo.ledger import Ledger, patience, place
from hpo.trial import Proposal

STRACE = shutil.which("strace")


@contextmanager
def room_for(size):
    """Let no file of this process grow over a size, as if the disk were full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def sound(database):
    with sqlite3.connect(database) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


def test_a_full_disk_is_told_with_what_it_needs_and_corrupts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path}/hpo.db")
    search = ledger.create_search(order())
    writer, safe = writer_of(ledger, search), []
    log = tmp_path / "hpo.db-wal"
    with room_for(log.stat().st_size + 60_000), pytest.raises(LedgerError) as told:  # noqa: PT012
        for number in range(1000):
            written = writer.append(
                Proposal(number, Config({"lr": 0.1}), "random", notes={"text": "x" * 2000})
            )
            writer.flush()
            safe.append(written)
    assert 0 < len(safe) < 1000
    assert f"{tmp_path} has" in str(told.value)
    assert "bytes free" in str(told.value)
    assert "hpo resume" in str(told.value)
    assert ledger.records(search) == safe
    writer.flush()
    assert ledger.records(search) == [*safe, written]
    ledger.close()
    assert sound(tmp_path / "hpo.db")


def test_a_search_on_a_full_disk_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with room_for(8192):
        assert cli.main(["search", "recipe=cnn", "store=sqlite:///hpo.db"]) == 2
    told = capsys.readouterr().err
    assert "Cannot open this store" in told
    assert "bytes free" in told


WRITE = """
import sys
from hpo.ledger import Ledger, Writer, patience
from hpo.config import Config
from hpo.trial import Proposal

patience.PATIENCE_SECONDS = 0.0
ledger = Ledger(sys.argv[1])
search = ledger.search("cnn-1")
writer = Writer(ledger, search, ledger.open_session(search))
for number in range(4):
    writer.append(Proposal(number, Config({"lr": 0.1}), "random"))
    writer.flush()
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not STRACE, reason="needs strace, which makes a call to the system fail")
@pytest.mark.parametrize("call", ["fdatasync,fsync:error=EIO", "pwrite64:error=ENOSPC", "pwrite64:error=EIO"])
@pytest.mark.parametrize("number", [1, 2, 4, 7])
def test_no_write_that_failed_is_acknowledged(tmp_path, call, number):
    url = f"sqlite:///{tmp_path}/hpo.db"
    ledger = Ledger(url)
    search = ledger.create_search(order())
    ledger.close()
    calls, error = call.split(":")
    inject = ["-f", "-qq", "-o", "/dev/null", "-P", f"{tmp_path}/hpo.db", "-P", f"{tmp_path}/hpo.db-wal"]
    inject += ["-e", f"trace={calls}", "-e", f"inject={calls}:{error}:when={number}+"]
    done = subprocess.run([STRACE, *inject, sys.executable, "-c", WRITE, url], capture_output=True, text=True)
    safe = [int(line) for line in done.stdout.split()]
    assert "out of reach" in done.stderr or len(safe) == 4, done.stderr
    ledger = Ledger(url)
    assert set(safe) <= {record.number for record in ledger.records(search)}
    ledger.close()
    assert sound(tmp_path / "hpo.db")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A ledger with a search in it that is not over."""
    path = tmp_path_factory.mktemp("whole") / "hpo.db"
    name = started(f"sqlite:///{path}", "epochs=3", "trials=6", "sampler=random")
    run(f"sqlite:///{path}", name, Workers(2, 3), turns=6)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE sessions SET state = 'interrupted', ended = started")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
def database(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return shutil.copy(whole, tmp_path / "hpo.db")


def no_header(database):
    with database.open("r+b") as file:
        file.write(b"not a database any more")


def no_tail(database):
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)


def no_middle(database):
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (size - 8192))


@pytest.mark.parametrize("damage", [no_header, no_tail, no_middle])
@pytest.mark.parametrize(
    "words", [["resume", "cnn-1"], ["show", "cnn-1"], ["list"], ["audit", "cnn-1"]], ids=str
)
def test_a_damaged_ledger_is_named_and_left_as_it_is(database, capsys, damage, words):
    damage(Path(database))
    before = Path(database).read_bytes()
    assert cli.main(words) in (1, 2)
    told = " ".join(capsys.readouterr().err.split())
    assert "hpo.db" in told
    assert "malformed" in told or "not a database" in told
    assert "Put back a copy" in told or words[0] == "audit"
    assert Path(database).read_bytes() == before


def test_damage_that_a_session_would_not_meet_at_once_stops_it_from_beginning(database):
    """Going on to write would make it worse."""
    with sqlite3.connect(database) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'points_in_order'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with Path(database).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x5a" * size)
    ledger = Ledger(f"sqlite:///{database}")
    search = ledger.search("cnn-1")
    with pytest.raises(LedgerError, match="is damaged"):
        ledger.open_session(search)
    ledger.close()


@pytest.fixture
def killed(tmp_path):
    """A ledger as a killed writer leaves it: ten records, all of them still in the log."""
    folder = tmp_path / "killed"
    folder.mkdir()
    ledger = Ledger(f"sqlite:///{tmp_path}/hpo.db")
    search = ledger.create_search(order())
    writer = writer_of(ledger, search)
    writer.append(Proposal(0, Config({"lr": 0.1}), "random"))
    for epoch in range(1, 10):
        writer.append(point(0, epoch))
        writer.flush()
    for file in tmp_path.glob("hpo.db*"):
        shutil.copy(file, folder)
    ledger.close()
    return folder / "hpo.db"


def records_of(database):
    ledger = Ledger(f"sqlite:///{database}")
    found = ledger.records(ledger.search("cnn-1"))
    ledger.close()
    return [record.seq for record in found]


@pytest.mark.parametrize("cut", [1, 100, 5000, 20_000])
def test_of_a_torn_log_every_whole_commit_is_read(killed, cut):
    log = killed.with_name("hpo.db-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - cut)
    found = records_of(killed)
    assert found == list(range(1, len(found) + 1))
    assert 2 <= len(found) < 10
    assert sound(killed)


@pytest.mark.parametrize("rubbish", [b"\x00" * 5000, b"\x5a" * 777])
def test_what_was_being_written_when_the_power_went_is_not_read(killed, rubbish):
    with killed.with_name("hpo.db-wal").open("ab") as file:
        file.write(rubbish)
    assert records_of(killed) == list(range(1, 11))


def test_a_ledger_without_its_log_is_an_older_one_and_sound(killed, monkeypatch, capsys):
    for name in ("hpo.db-wal", "hpo.db-shm"):
        killed.with_name(name).unlink()
    monkeypatch.chdir(killed.parent)
    assert cli.main(["list"]) == 0
    assert cli.main(["resume", "cnn-1"]) == 2
    assert "There is no search of this name" in capsys.readouterr().err
    assert sound(killed)


MOUNTS = """27 1 254:0 / / rw,relatime - ext4 /dev/sda rw
40 27 0:50 / {folder} rw shared:1 - {kind} server:/home rw
"""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs"])
def test_a_network_s_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind=kind))
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    with pytest.raises(InputError, match=f"is on {kind}, where SQLite's locks do not hold. .* PostgreSQL"):
        Ledger(f"sqlite:///{tmp_path}/hpo.db").create_search(order())
    assert not (tmp_path / "hpo.db").exists()


def test_a_disk_with_no_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(place.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5))
    with pytest.raises(InputError, match=r"Needs 4,000,000 bytes or more, .* has 5 free. Make room there."):
        Ledger(f"sqlite:///{tmp_path}/hpo.db").create_search(order())
    assert not (tmp_path / "hpo.db").exists()
