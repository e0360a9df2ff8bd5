"""The process that keeps MLflow level with a search ends with it, and leaves nothing behind."""

import sys
import time
from pathlib import Path

from hpo import upload

DRAWING = """
import pathlib, signal, tempfile, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(tempfile.mkdtemp(), "picture").touch()
time.sleep(60)
"""


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
