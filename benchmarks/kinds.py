"""All kinds of faults that `benchmarks/faults.py` knows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import damage
import mlflows
import strikes
from scene import Scene

SHORT = "trials=8 epochs=6 sampler=random pruner=none"  # what a trial is follows from its number alone
LONG = "trials=2 epochs=50 sampler=random pruner=none checkpoint_every=0.3s"
RULED = "trials=14 epochs=4 sampler=tpe pruner=halving deterministic=true"
HANGS = f"{LONG} report_within=20s"
MANY = "trials=12 epochs=150 sampler=random pruner=none checkpoint_every=0.3s"
MANY_RULED = "trials=40 epochs=24 sampler=tpe pruner=halving deterministic=true"


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Args:
        strike: what happens.
        told: what it is, in a table.
        stage: what must be there before the search starts.
        worker: whether it hits a worker, whose trial is taken up again; else any new epoch is a recovery.
        at_start: whether it is there from the start, so that there is no moment to choose.
        times: how often it comes to one search.
        words: how the search is set.
    """

    strike: Callable[[Scene, random.Random], None]
    told: str
    stage: Callable[[Scene], None] = lambda _: None
    worker: bool = False
    at_start: bool = False
    times: int = 1
    words: str = SHORT

    @property
    def checkpoints(self) -> bool:
        """Whether it comes only when a trial has been saved."""
        return "checkpoint_every" in self.words


def refusing(told: str, status: str, seconds: float = 0.0) -> Kind:
    """Return an MLflow server that always answers so."""
    return Kind(mlflows.nothing, told, mlflows.server(status, seconds), at_start=True)


_kill = strikes.of_ray
_any = strikes.one_of(
    strikes.driver,
    strikes.everything,
    strikes.asked_to_stop,
    strikes.paused,
    _kill("ray::Host"),
    strikes.worker,
    strikes.worker_paused,
    _kill("raylet/raylet"),
    strikes.tracker,
)  # without Ray's head: to miss it takes Ray a minute

KINDS = {
    "many": Kind(_any, "one search, up to twelve faults of processes", times=12, words=MANY),
    "many ruled": Kind(
        _any, "one search, up to twelve faults of processes, `deterministic=true`", times=12, words=MANY_RULED
    ),
    "driver": Kind(strikes.driver, "driver `kill -9`"),
    "driver saved": Kind(strikes.driver, "driver `kill -9`, long trials", words=LONG),
    "driver ruled": Kind(strikes.driver, "driver `kill -9`, `deterministic=true`", words=RULED),
    "everything": Kind(strikes.everything, "everything `kill -9` (power cut)"),
    "everything saved": Kind(strikes.everything, "everything `kill -9`, long trials", words=LONG),
    "everything ruled": Kind(strikes.everything, "everything `kill -9`, `deterministic=true`", words=RULED),
    "torn": Kind(damage.torn, "power cut in the middle of a write to the ledger"),
    "checkpoint": Kind(
        damage.checkpoints_damaged, "power cut, newest checkpoints torn, flipped or empty", words=LONG
    ),
    "twice": Kind(strikes.driver_twice, "driver `kill -9`, again while resuming"),
    "signal": Kind(strikes.asked_to_stop, "Ctrl-C, SIGTERM, SIGHUP"),
    "signal saved": Kind(strikes.asked_to_stop, "Ctrl-C, SIGTERM, SIGHUP, long trials", words=LONG),
    "signal ruled": Kind(strikes.asked_to_stop, "Ctrl-C, SIGTERM, SIGHUP, `deterministic=true`", words=RULED),
    "paused": Kind(strikes.paused, "driver stopped for 2 to 6 s"),
    "referee": Kind(_kill("ray::Host"), "referee `kill -9`"),
    "referee ruled": Kind(_kill("ray::Host"), "referee `kill -9`, `deterministic=true`", words=RULED),
    "worker": Kind(strikes.worker, "worker `kill -9`", worker=True),
    "worker saved": Kind(strikes.worker, "worker `kill -9`, long trials", worker=True, words=LONG),
    "worker ruled": Kind(strikes.worker, "worker `kill -9`, `deterministic=true`", worker=True, words=RULED),
    "worker hangs": Kind(
        strikes.worker_stopped, "worker stopped for ever, `report_within=20s`", worker=True, words=HANGS
    ),
    "worker paused": Kind(strikes.worker_paused, "worker stopped for 2 to 6 s"),
    "raylet": Kind(_kill("raylet/raylet"), "raylet `kill -9`"),
    "gcs": Kind(_kill("gcs_server"), "Ray's head (gcs_server) `kill -9`"),
    "locked": Kind(damage.locked, "ledger locked by another process for 2 to 6 s"),
    "disk": Kind(damage.disk_full, "ledger's disk full for 2 to 6 s", damage.small_disk),
    "postgres": Kind(damage.postgres_restarts, "PostgreSQL loses power for 2 to 6 s", damage.postgres),
    "postgres line": Kind(
        mlflows.nothing, "line to PostgreSQL breaks after every fifth COMMIT", damage.bad_line, at_start=True
    ),
    "tracker": Kind(strikes.tracker, "uploading process `kill -9`"),
    "mlflow down": Kind(mlflows.nothing, "MLflow down", mlflows.down, at_start=True),
    "mlflow silent": refusing("MLflow accepts and never answers", ""),
    "mlflow 500": refusing("MLflow answers 500", "500 Internal Server Error"),
    "mlflow 429": refusing("MLflow answers 429", "429 Too Many Requests"),
    "mlflow slow": refusing("MLflow answers 503 after 5 s", "503 Busy", 5.0),
}
