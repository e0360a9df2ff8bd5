"""A ledger of someone else's, whose folder we may look into but not write to."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_ledger import RECORDS, order, point, writer_of

from hpo.audit import ledger as audit
from hpo.errors import InputError, LedgerError
from hpo.wish import Wish

NOBODY = 65534


@pytest.fixture
def folder():
    """A folder that others may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@contextmanager
def as_another(folder):
    """Be someone who may not write to the folder, nor to what is in it."""
    root, mode = os.geteuid() == 0, folder.stat().st_mode
    folder.chmod(0o555)
    try:
        os.seteuid(NOBODY if root else os.geteuid())
        yield
    finally:
        os.seteuid(os.getuid())
        folder.chmod(mode)


def written(opened, folder):
    """Write a search, as its owner; return its ledger and its writer."""
    ledger = opened(f"sqlite:///{folder}/hpo.db")
    writer = writer_of(ledger, ledger.create_search(order()))
    writer.append(RECORDS[0])
    writer.flush()
    return ledger, writer


def test_a_search_of_someone_else_s_can_be_looked_at(opened, folder):
    written(opened, folder)[0].close()
    assert not list(folder.glob("*-wal"))
    with as_another(folder):
        ledger = opened(f"sqlite:///{folder}/hpo.db")
        assert [search.name for search in ledger.searches()] == ["cnn-1"]
        assert len(ledger.history(ledger.search("cnn-1")).trials) == 1
    assert {path.name for path in folder.iterdir()} == {"hpo.db"}


def test_it_can_be_followed_while_its_owner_writes(opened, folder):
    _, writer = written(opened, folder)
    with as_another(folder):
        ledger = opened(f"sqlite:///{folder}/hpo.db")
        before = ledger.records(ledger.search("cnn-1"))
    writer.append(point(epoch=1))
    writer.flush()
    with as_another(folder):
        after = ledger.records(ledger.search("cnn-1"))
    assert len(before) + 1 == len(after)


@pytest.mark.parametrize("while_it_is_written", [False, True])
def test_it_can_be_audited(opened, folder, while_it_is_written):
    ledger, _ = written(opened, folder)
    if not while_it_is_written:
        ledger.close()
    before = {path.name for path in folder.iterdir()}
    with as_another(folder):
        found = audit.read(f"sqlite:///{folder}/hpo.db", "cnn-1")
        assert [trial["number"] for trial in found.trials] == [0]
    assert {path.name for path in folder.iterdir()} == before


def test_nothing_is_written_to_it_and_that_is_said(opened, folder):
    written(opened, folder)[0].close()
    with as_another(folder):
        ledger = opened(f"sqlite:///{folder}/hpo.db")
        with pytest.raises(LedgerError, match="not yours to write to, only to read"):
            ledger.note_wish(ledger.search("cnn-1"), Wish(paused=True))
        with pytest.raises(InputError, match="not yours to write to"):
            ledger.create_search(order("cnn-2"))
