"""Stores of every age open: an old one is brought up to date, a newer one is refused."""

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

from hpo import cli
from hpo.errors import InputError
from hpo.ledger import Ledger, Writer, revision
from hpo.ledger.rows import wish_of
from hpo.ledger.schema import metadata
from hpo.ledger.trouble import explain
from hpo.trial import Attempt, Outcome
from hpo.wish import Wish

# Written by a search of hpo before its ledgers had revisions, interrupted in its last trial.
OLD = Path(__file__).with_name("revision_0001.sql").read_text(encoding="utf-8")


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("hpo.db") as database:
        database.executescript(OLD)
    database.close()
    return f"sqlite:///{tmp_path}/hpo.db"


def schema_of(path="hpo.db"):
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        columns = {name: sorted(database.execute(f"PRAGMA table_info({name})")) for name, _ in rows}
    database.close()
    return {name: {cell[1:5] for cell in cells} for name, cells in columns.items()}


def make(url):
    engine = create_engine(url)
    revision.prepare(engine, create=True)
    engine.dispose()


def differences(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"version_table": "alembic_version", "compare_type": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def test_the_revisions_lead_to_the_schema_of_today(old):
    ledger = Ledger(old)
    assert ledger.exists()
    assert differences(old) == []
    Ledger("sqlite:///new.db").exists()
    make("sqlite:///new.db")
    assert schema_of("new.db") == schema_of("hpo.db")
    ledger.close()


def test_the_last_revision_is_the_one_the_code_knows():
    folder = Path(revision.__file__).with_name("migrations")
    config = Config()
    config.set_main_option("script_location", str(folder))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == revision.HEAD
    assert {file.name.split("_")[0] for file in folder.glob("versions/r*.py")} == {
        f"r{found.revision}" for found in script.walk_revisions()
    }


def test_nothing_of_an_old_ledger_is_lost(old):
    ledger = Ledger(old)
    search = ledger.search("linear-1")
    records = ledger.records(search)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    outcomes = [trial.outcome for trial in ledger.history(search).trials.values()]
    assert outcomes == [Outcome.FINISHED, Outcome.PRUNED, None]
    assert [record.cohort for record in records if isinstance(record, Attempt)] == ["", "", ""]
    ledger.close()


def test_an_old_ledger_is_shown_listed_and_exported(old, capsys):
    assert cli.main(["show", "linear-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"finished": 1, "pruned": 1, "running": 1}
    assert cli.main(["list"]) == 0
    assert "linear-1" in capsys.readouterr().out
    assert cli.main(["export", "linear-1", "to=winner.py"]) == 0
    script = subprocess.run([sys.executable, "winner.py"], capture_output=True, text=True, check=True)
    assert script.stdout


def test_a_store_of_a_newer_hpo_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make("sqlite:///hpo.db")
    with sqlite3.connect("hpo.db") as database:
        database.execute("UPDATE hpo_revision SET version_num = '0100'")
    database.close()
    for words in (["show", "cnn-1"], ["list"], ["search", "recipe=cnn", "name=mine"]):
        assert cli.main(words) == 2
        refusal = capsys.readouterr().err
        assert f"its revision is 0100, and this hpo knows {revision.HEAD}. Use the newer one" in refusal


def test_an_old_store_that_cannot_be_written_to_is_named(old):
    engine = create_engine(f"{old.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true")
    event.listen(engine, "handle_error", explain)
    with pytest.raises(InputError, match="not yours to write to, only to read"):
        revision.prepare(engine, create=False)
    engine.dispose()


@pytest.mark.parametrize("before", ["", OLD], ids=["new", "old"])
def test_many_may_open_a_store_at_once(tmp_path, before):
    with sqlite3.connect(tmp_path / "hpo.db") as database:
        database.executescript(before)
    database.close()
    ready, errors = threading.Barrier(8), []

    def prepare():
        engine = create_engine(f"sqlite:///{tmp_path}/hpo.db", connect_args={"timeout": 30})
        ready.wait()
        try:
            revision.prepare(engine, create=True)
        except Exception as error:
            errors.append(error)
            raise
        finally:
            engine.dispose()

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert differences(f"sqlite:///{tmp_path}/hpo.db") == []


def test_an_upgrade_that_is_cut_off_changes_nothing(old, monkeypatch):
    before = schema_of()
    engine = create_engine(old)

    class CutOffError(Exception):
        pass

    bring_up = revision._bring_up

    def cut_off(connection, shown):
        bring_up(connection, shown)
        raise CutOffError

    monkeypatch.setattr(revision, "_bring_up", cut_off)
    with pytest.raises(CutOffError):
        revision.prepare(engine, create=False)
    engine.dispose()
    assert schema_of() == before


def test_what_mlflow_keeps_in_the_same_database_stays_as_it_is(old):
    with sqlite3.connect("hpo.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        database.execute("INSERT INTO alembic_version VALUES ('of mlflow')")
    database.close()
    ledger = Ledger(old)
    ledger.search("linear-1")
    ledger.close()
    with sqlite3.connect("hpo.db") as database:
        assert database.execute("SELECT * FROM alembic_version").fetchall() == [("of mlflow",)]
        assert database.execute("SELECT * FROM hpo_revision").fetchall() == [(revision.HEAD,)]
    database.close()


def test_a_store_that_is_up_to_date_needs_no_alembic(old):
    ledger = Ledger(old)
    search = ledger.search("linear-1")
    Writer(ledger, search, ledger.open_session(search)).flush()
    ledger.close()
    code = (
        "import sys; from hpo.ledger import Ledger; "
        f"Ledger({old!r}).search('linear-1'); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_of_what_a_newer_hpo_asks_of_a_search_that_runs_the_rest_is_heeded():
    assert wish_of('{"paused": true, "trials": 7, "workers": 2}') == Wish(trials=7, paused=True)
    assert wish_of("{}") == wish_of(None) == Wish()
