"""The faults of `benchmarks/faults.py`: functions that strike a running search; some need a stage first.

A strike returns when the fault is over; whether the search lives is seen afterwards.
"""

from __future__ import annotations

import os
import random
import signal
import socketserver
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scene import Scene, until

HOLD_SECONDS = (2.0, 6.0)  # how long a fault lasts that ends by itself
DISK_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Args:
        strike: what happens.
        told: what it is, in a table.
        stage: what must be there before the search starts.
        worker: whether it hits a worker, whose trial is taken up again; else any new epoch is a recovery.
        at_start: whether it is there from the start, so that there is no moment to choose.
    """

    strike: Callable[[Scene, random.Random], None]
    told: str
    stage: Callable[[Scene], None] = lambda _: None
    worker: bool = False
    at_start: bool = False


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to processes, which may be gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def driver(it: Scene, _: random.Random) -> None:
    kill([it.pid])


def everything(it: Scene, _: random.Random) -> None:
    """As when the machine loses its power: nobody lives to notice that another one has died."""
    pids = it.processes()
    kill(pids, signal.SIGSTOP)
    kill(pids)


def driver_twice(it: Scene, chance: random.Random) -> None:
    """Once, and once more while the search is being resumed."""
    driver(it, chance)
    it.process and it.process.wait()
    until(lambda: len(it.processes("raylet")) == 0, 70)
    it.start("resume", "hit")
    time.sleep(chance.uniform(0, 15))
    driver(it, chance)


def paused(it: Scene, chance: random.Random) -> None:
    kill([it.pid], signal.SIGSTOP)
    time.sleep(chance.uniform(*HOLD_SECONDS))
    kill([it.pid], signal.SIGCONT)


def asked_to_stop(it: Scene, chance: random.Random) -> None:
    kill([it.pid], chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    if until(lambda: not it.alive, 15) is None:
        raise AssertionError("asked to stop, it is there after 15 s")


def of_ray(title: str) -> Callable[[Scene, random.Random], None]:
    """Kill one of Ray's processes, by its title."""

    def strike(it: Scene, chance: random.Random) -> None:
        pids = it.processes(title)
        kill([chance.choice(pids)] if pids else [])

    return strike


def worker_paused(it: Scene, chance: random.Random) -> None:
    pids = it.processes("ray::Cohort")[:1]
    kill(pids, signal.SIGSTOP)
    time.sleep(chance.uniform(*HOLD_SECONDS))
    kill(pids, signal.SIGCONT)


def locked(it: Scene, chance: random.Random) -> None:
    """Someone else holds the ledger."""
    connection = sqlite3.connect(it.database, timeout=30, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    time.sleep(chance.uniform(*HOLD_SECONDS))
    connection.execute("ROLLBACK")
    connection.close()


def small_disk(it: Scene) -> None:
    """Put the ledger on a disk of its own, with little room."""
    disk = it.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True)
    it.undo.append(lambda: subprocess.run(["umount", "--lazy", disk], check=True))
    it.database = disk / "hpo.db"
    it.environment["HPO_STORE"] = f"sqlite:///{it.database}"


def disk_full(it: Scene, chance: random.Random) -> None:
    """Fill the ledger's disk to the last byte for a while."""
    filler = it.database.with_name("filler")
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    time.sleep(chance.uniform(*HOLD_SECONDS))
    filler.unlink()


def torn(it: Scene, chance: random.Random) -> None:
    """Lose power in the middle of a write: half a page, or rubbish, stands behind what was committed."""
    everything(it, chance)
    it.process and it.process.wait()
    log = Path(f"{it.database}-wal")
    if log.exists():
        rubbish = chance.randbytes(chance.randrange(1, 9000))
        with log.open("ab") as file:
            file.write(log.read_bytes()[32 : 32 + len(rubbish)] if chance.random() < 0.5 else rubbish)
    Path(f"{it.database}-shm").unlink(missing_ok=True)


def tracker(it: Scene, _: random.Random) -> None:
    kill(it.processes("hpo.tracking"))


def nothing(_: Scene, __: random.Random) -> None:
    """The fault was there from the start, and stays."""


class _Stub(socketserver.ThreadingTCPServer):
    """Answers each request with one text after some seconds, or never."""

    daemon_threads, allow_reuse_address = True, True
    answer, seconds = b"", 0.0


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Stub)
        self.request.recv(65536)
        time.sleep(server.seconds)
        if server.answer:
            self.request.sendall(server.answer)
        else:
            time.sleep(600)


def mlflow(status: str, seconds: float = 0.0) -> Callable[[Scene], None]:
    """Put an MLflow server on the stage that always answers so; without a status it never answers."""

    def stage(it: Scene) -> None:
        server = _Stub(("127.0.0.1", 0), _Answer)
        server.seconds = seconds
        text = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        server.answer = text.encode() if status else b""
        threading.Thread(target=server.serve_forever, daemon=True).start()
        it.undo += [server.server_close, server.shutdown]
        it.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{server.server_address[1]}"

    return stage


def no_mlflow(it: Scene) -> None:
    it.environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"


KINDS = {
    "driver": Kind(driver, "driver `kill -9`"),
    "everything": Kind(everything, "everything `kill -9` (power cut)"),
    "torn": Kind(torn, "power cut in the middle of a write to the ledger"),
    "twice": Kind(driver_twice, "driver `kill -9`, again while resuming"),
    "signal": Kind(asked_to_stop, "Ctrl-C, SIGTERM, SIGHUP"),
    "paused": Kind(paused, "driver stopped for 2 to 6 s"),
    "referee": Kind(of_ray("ray::_Host"), "referee `kill -9`"),
    "worker": Kind(of_ray("ray::Cohort"), "worker `kill -9`", worker=True),
    "worker paused": Kind(worker_paused, "worker stopped for 2 to 6 s"),
    "raylet": Kind(of_ray("raylet/raylet"), "raylet `kill -9`"),
    "gcs": Kind(of_ray("gcs_server"), "Ray's head (gcs_server) `kill -9`"),
    "locked": Kind(locked, "ledger locked by another process for 2 to 6 s"),
    "disk": Kind(disk_full, "ledger's disk full for 2 to 6 s", small_disk),
    "tracker": Kind(tracker, "uploading process `kill -9`"),
    "mlflow down": Kind(nothing, "MLflow down", no_mlflow, at_start=True),
    "mlflow silent": Kind(nothing, "MLflow accepts and never answers", mlflow(""), at_start=True),
    "mlflow 500": Kind(nothing, "MLflow answers 500", mlflow("500 Internal Server Error"), at_start=True),
    "mlflow 429": Kind(nothing, "MLflow answers 429", mlflow("429 Too Many Requests"), at_start=True),
    "mlflow slow": Kind(nothing, "MLflow answers 503 after 5 s", mlflow("503 Busy", 5.0), at_start=True),
}
