"""One search in a folder of its own, as `benchmarks/faults.py` strikes it: processes, ledger, checkpoints.

The ledger is read with queries of its own, over sqlite3 or psycopg, while the search writes it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
NAME = "hit"
PATIENCE_SECONDS = 900.0  # a search that takes longer to end hangs, also on a busy machine
RESUMES = 3
_MARK = "HPO_SCENE"
Rows = list[tuple[Any, ...]]


class Scene:
    """A folder with a search in it, and all processes that belong to it."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        self.folder, self.words = folder, [*words, f"name={NAME}", f"checkpoints={folder}/shelf"]
        self.database = folder / "hpo.db"
        self.server = ""  # the address of a PostgreSQL that holds the ledger instead
        self.machines: dict[str, Any] = {}  # servers that belong to the stage
        self.saved: dict[int, int] = {}  # epochs of trials that no fault may cost
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), _MARK: folder.name}
        for name in ("HPO_STORE", "MLFLOW_TRACKING_URI"):
            self.environment.pop(name, None)
        self.environment["MPLBACKEND"] = "none"  # to draw pictures takes longer than all else
        self.process: subprocess.Popen[bytes] | None = None
        self.orphans: set[int] = set()  # what earlier drivers have left, which Ray ends after a while
        self.undo: list[Callable[[], Any]] = []  # what gives back what a fault took, last first

    def put_mlflow(self) -> None:
        """Put an MLflow store there with nothing in it: to make one takes longer than to fill it."""
        (self.folder / "mlflow.db").write_bytes(empty_mlflow())

    @property
    def mlflow(self) -> str:
        """A store of MLflow's that is always in order."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run hpo; its words go to a file."""
        self.orphans = set(self.processes())
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hpo", *words],
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
            [sys.executable, "-m", "hpo", *words],
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
        """Ask the ledger; nothing if it has no tables yet, or someone holds it, or it is down."""
        with suppress(sqlite3.Error, psycopg.Error):
            connection = self._connect()
            try:
                return list(connection.execute(query).fetchall())
            finally:
                connection.close()
        return []

    def _connect(self) -> Any:
        if self.server:
            return psycopg.connect(self.server, connect_timeout=5)
        return sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)

    def at_work(self) -> list[int]:
        """Return the processes that train a trial."""
        workers = self.ask("SELECT worker FROM attempts WHERE trial NOT IN (SELECT trial FROM endings)")
        pids = {int(worker.rpartition("/")[2]) for (worker,) in workers}
        return [pid for pid in self.processes() if pid in pids]

    def shelf(self) -> dict[int, list[Path]]:
        """Return the checkpoints of each trial, oldest first."""
        found: dict[int, list[Path]] = {}
        for path in sorted(self.folder.glob("shelf/*/*-*.safetensors"), key=epoch_of):
            if not path.name.startswith("."):  # or it is not written yet
                found.setdefault(int(path.name.partition("-")[0]), []).append(path)
        return found

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
        return self.count(
            "SELECT count(*) - count(DISTINCT trial) FROM (SELECT DISTINCT trial, cohort FROM attempts)"
        )

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


@cache
def empty_mlflow() -> bytes:
    """Return MLflow's database with nothing in it."""
    make = "import sys; from hpo.tracking.places import calm, make_whole; calm(); make_whole(sys.argv[1])"
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:
        words = [sys.executable, "-W", "ignore", "-c", make, f"sqlite:///{folder}/mlflow.db"]
        subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        return Path(folder, "mlflow.db").read_bytes()


def epoch_of(checkpoint: Path) -> int:
    """Return the epoch after which a trial was saved."""
    return int(checkpoint.stem.rpartition("-")[2])


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
        time.sleep(0.05)
    return None


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    return ""
