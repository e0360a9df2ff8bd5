"""Copies that docs/service.md speaks of, made while a search writes: what they hold is whole."""

import re
import sqlite3
import threading
from pathlib import Path

import pytest
from postgres import Server
from test_ledger import RECORDS, order, point, writer_of

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_a_copy_of_a_file_that_is_written_to_is_whole(tmp_path, opened):
    ledger = opened(f"sqlite:///{tmp_path}/hpo.db")
    search = ledger.create_search(order())
    writer, over = writer_of(ledger, search), threading.Event()

    def write():
        writer.append(RECORDS[0])
        for epoch in range(1, 10**6):
            writer.append(point(epoch=epoch))
            writer.flush()
            if over.is_set():
                return

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            while ledger.last_seq(search) < 5 * (number + 1):
                pass
            with (
                sqlite3.connect(tmp_path / "hpo.db") as file,
                sqlite3.connect(tmp_path / f"{number}.db") as copy,
            ):
                file.backup(copy)
                assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            file.close(), copy.close()
    finally:
        over.set()
        writing.join()
    written = ledger.records(search)
    for number in range(5):
        restored = opened(f"sqlite:///{tmp_path}/{number}.db")
        found = restored.records(restored.search("cnn-1"))
        assert len(found) >= 5 * (number + 1)
        assert found == written[: len(found)]


def documented(program):
    """Return the options that docs/service.md gives a program of PostgreSQL."""
    (words,) = re.findall(rf"{program} --username=hpo(.*) \|", (DOCS / "service.md").read_text())
    return words.split()


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
def test_a_dump_of_a_server_fills_another_that_keeps_its_own_password(postgres, opened):
    ledger = opened(postgres.empty())
    search = ledger.create_search(order())
    writer = writer_of(ledger, search)
    for record in RECORDS[:2]:
        writer.append(record)
    writer.flush()
    dump = postgres.client("pg_dumpall", *documented("pg_dumpall"))
    assert "PASSWORD" not in dump
    written = ledger.records(search)
    writer.append(RECORDS[2])
    writer.flush()
    other = Server(password="of-another-service")
    try:
        other.client("psql", "postgres", text=dump)
        restored = opened(other.url())
        assert restored.records(restored.search("cnn-1")) == written
        assert restored.search("cnn-1").settings == order().settings
        again = writer_of(restored, restored.search("cnn-1"))  # a search goes on from there
        again.append(RECORDS[2])
        again.flush()
        restored.close()
    finally:
        other.end()
