"""Faults of what a search writes to: its ledger, the disk below it, its checkpoints."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from scene import ROOT, Scene, epoch_of
from strikes import HOLD_SECONDS, everything

sys.path.append(str(ROOT / "tests" / "ledger"))

from postgres import Line, Server

DISK_BYTES = 2 * 2**20
CUT = 0.2  # of the commits that go over a bad line, so many are not answered


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


def postgres(it: Scene) -> None:
    """Put the ledger into a PostgreSQL of its own."""
    server = Server()
    it.undo.append(server.end)
    it.server = it.environment["HPO_STORE"] = server.url()
    it.machines["postgres"] = server


def postgres_restarts(it: Scene, chance: random.Random) -> None:
    """It loses its power, and is back after a while."""
    server = it.machines["postgres"]
    server.stop()
    try:
        time.sleep(chance.uniform(*HOLD_SECONDS))
    finally:
        server.start()


def bad_line(it: Scene) -> None:
    """Let the line to PostgreSQL break again and again, after it was told to commit and before it answers."""
    postgres(it)
    chance = random.Random(it.folder.name)
    line = Line(it.machines["postgres"].port, lambda packet: b"COMMIT" in packet and chance.random() < CUT)
    it.undo.append(line.close)
    it.environment["HPO_STORE"] = it.machines["postgres"].url(line.port)


def checkpoints_damaged(it: Scene, chance: random.Random) -> None:
    """Lose power, and with it the newest checkpoint of each trial: cut short, one bit turned, or empty."""
    everything(it, chance)
    for trial, paths in it.shelf().items():
        _damage(paths[-1], chance)
        it.saved[trial] = epoch_of(paths[-2]) if len(paths) > 1 else 0


def _damage(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    where = chance.randrange(len(content))
    content[where] ^= 1 << chance.randrange(8)
    path.write_bytes(chance.choice([content, content[:where], b""]))
