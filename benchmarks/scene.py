"""One search in a folder of its own, as `benchmarks/faults.py` judges it: processes, ledger, verdict.

The ledger is read with queries of its own, over sqlite3, while the search writes it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAME = "hit"
PATIENCE_SECONDS = 240.0  # a search that takes longer to end hangs
RESUMES = 3
_MARK = "HPO_SCENE"
Rows = list[tuple[Any, ...]]


@dataclass
class Found:
    """What came of one search."""

    kind: str
    lost: int = 0  # trials that had ended and changed or vanished, or that were ordered and never trained
    double: int = 0  # trials that were trained again after their end
    unequal: int = 0  # trials that differ from those of the undisturbed search
    audit: list[str] = field(default_factory=list)  # checks that `hpo audit` says fail
    resumes: int = 0
    seconds: float | None = None  # from the fault to the next sign of training
    synced: bool = False  # whether MLflow had to be brought level with `hpo sync`
    trouble: str = ""  # it did not come to its end

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.double or self.unequal or self.audit or self.trouble)


class Scene:
    """A folder with a search in it, and all processes that belong to it."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        self.folder, self.words = folder, [*words, f"name={NAME}"]
        self.database = folder / "hpo.db"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), _MARK: folder.name}
        for name in ("HPO_STORE", "MLFLOW_TRACKING_URI"):
            self.environment.pop(name, None)
        self.process: subprocess.Popen[bytes] | None = None
        self.undo: list[Callable[[], Any]] = []  # what gives back what a fault took, last first

    @property
    def mlflow(self) -> str:
        """A store of MLflow's that is always in order."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run hpo; its words go to a file."""
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hpo.cli", *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    @property
    def pid(self) -> int:
        """The driver's process."""
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the driver runs."""
        return self.process is not None and self.process.poll() is None

    def call(self, *words: str) -> tuple[int, str]:
        """Run hpo to its end with MLflow in order; return its exit status and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "hpo.cli", *words],
            cwd=self.folder,
            env={**self.environment, "MLFLOW_TRACKING_URI": self.mlflow},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode, done.stdout or done.stderr

    def processes(self, title: str = "") -> list[int]:
        """Return this scene's processes whose command line holds a text."""
        return [pid for pid in _processes() if self._is_ours(pid) and title in _read(pid, "cmdline")]

    def _is_ours(self, pid: int) -> bool:
        return f"{_MARK}={self.folder.name}\0" in _read(pid, "environ") + "\0"

    def ask(self, query: str) -> Rows:
        """Ask the ledger; nothing if it has no tables yet or someone holds it."""
        with suppress(sqlite3.Error):
            connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)
            try:
                return connection.execute(query).fetchall()
            finally:
                connection.close()
        return []

    def count(self, query: str) -> int:
        """Return one number of the ledger."""
        rows = self.ask(query)
        return int(rows[0][0]) if rows else 0

    @property
    def epochs(self) -> int:
        """Epochs in the ledger."""
        return self.count("SELECT count(*) FROM points")

    def sessions(self) -> int:
        """How many drivers have worked on it."""
        return self.count("SELECT count(*) FROM sessions")

    def epochs_of_this_session(self) -> int:
        """Epochs since its last driver began, so not those of workers who outlive the one before."""
        return self.count("SELECT count(*) FROM points WHERE at > (SELECT max(started) FROM sessions)")

    @property
    def retries(self) -> int:
        """How often a trial was taken up once more."""
        return self.count("SELECT count(*) - count(DISTINCT trial) FROM attempts")

    def ended(self) -> dict[int, tuple[Any, ...]]:
        """Return the trials that have ended: what they were, and every number that was measured."""
        proposals = self.ask(
            """SELECT p.number, p.config, e.outcome, e.score FROM proposals p
            JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number"""
        )
        points = self.ask("SELECT trial, epoch, score, loss, train_loss FROM points ORDER BY trial, epoch")
        return {row[0]: (*row[1:], [it[1:] for it in points if it[0] == row[0]]) for row in proposals}

    def end(self) -> None:
        """Give back what was taken, and end what is left of the search."""
        while self.undo:
            self.undo.pop()()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()


@contextmanager
def scene(words: Sequence[str]) -> Iterator[Scene]:
    """Make an empty folder for a search; at the end nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="hf-", ignore_cleanup_errors=True) as folder:
        made = Scene(Path(folder), words)
        try:
            yield made
        finally:
            made.end()


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> float | None:
    """Wait; return how long it took, None if it took too long."""
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.02)
    return None


def judge(it: Scene, found: Found, reference: dict[int, Any], before: dict[int, Any]) -> None:
    """Compare a search that has ended with what it had before the fault and with the undisturbed one."""
    after = it.ended()
    found.lost = sum(after.get(number) != what for number, what in before.items())
    found.lost += len(reference.keys() - after.keys())
    found.unequal = sum(after[number] != what for number, what in reference.items() if number in after)
    found.double = it.count(
        """SELECT count(DISTINCT a.trial) FROM attempts a JOIN endings e
        ON e.search_id = a.search_id AND e.trial = a.trial WHERE a.seq > e.seq"""
    )
    found.audit = failing(it)
    if found.audit and all(name.startswith("MLflow") for name in found.audit):
        it.call("sync", NAME)
        found.synced, found.audit = True, failing(it)


def failing(it: Scene) -> list[str]:
    """Return the checks that `hpo audit` says fail."""
    _, told = it.call("audit", NAME, "--json")
    try:
        return [
            f"{check['check']}: {check['examples'][:1]}" for check in json.loads(told) if not check["passed"]
        ]
    except ValueError:
        return [f"audit: {told.strip()[-200:]}"]


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    return ""
