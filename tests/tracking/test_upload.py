"""The process that keeps MLflow level with a search ends with it, and leaves nothing behind."""

import sys
import time
from pathlib import Path

from hpo.conductor import upload

DRAWING = """
import pathlib, signal, tempfile, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(tempfile.mkdtemp(), "picture").touch()
time.sleep(60)
"""


def test_one_that_takes_too_long_is_told_with_what_sends_the_rest(monkeypatch, capsys):
    monkeypatch.setattr(upload, "_PATIENCE_SECONDS", 0.1)
    made = upload.Upload("one", "sqlite:///team.db")
    monkeypatch.setattr(made, "_command", [sys.executable, "-c", "import time; time.sleep(60)"])
    made.start()
    made.wait()
    made.end()
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("MLflow does not have all of it after 0 s, such as its pictures. Send the rest: ")
    assert told.endswith("hpo sync one store=sqlite:///team.db")


def test_what_is_killed_while_it_draws_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(upload, "_PARTING_SECONDS", 0.1)
    made = upload.Upload("one", "sqlite:///hpo.db")
    monkeypatch.setattr(made, "_command", [sys.executable, "-c", DRAWING])
    made.start()
    deadline = time.monotonic() + 20
    while not list(tmp_path.rglob("picture")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    made.end()
    assert list(Path(tmp_path).iterdir()) == []
