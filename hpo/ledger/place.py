"""Whether a folder suits an SQLite file, said before anything is written; reading where we may not write."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from hpo.errors import InputError, Problem

_LEAST_BYTES: Final = 4_000_000
"""A ledger takes a few hundred bytes per epoch of each trial, and its log as much again."""

_NETWORKS: Final = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs"}
"""Filesystems on which SQLite's locks and shared memory do not hold between machines."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def refuse_unfit(file: Path) -> None:
    """Make sure that an SQLite file can live here.

    Raises:
        InputError: there is no such folder, it may not be written to, it is full, or it is on a network.
    """
    complaint = _complaint(file.parent)
    if complaint:
        raise InputError(Problem(f"sqlite:///{file}", complaint))


def may_write(file: Path) -> bool:
    """Whether we may write to an SQLite file and to its folder, in which its writers keep a log."""
    return _ours(file) and _ours(file.parent)


def _ours(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def open_to_read(file: Path) -> sqlite3.Connection:
    """Open an SQLite file that we may only read, such as a colleague's.

    While someone writes to it there is a log, which is read with it. Where there is none, SQLite would make
    one if it were not told that nothing changes; so ask for a connection each time.
    """
    log = file.with_name(f"{file.name}-wal")
    return sqlite3.connect(f"{file.as_uri()}?mode=ro{'' if log.exists() else '&immutable=1'}", uri=True)


def _complaint(folder: Path) -> str:
    if not folder.is_dir():
        return f"Cannot write here: there is no folder {folder}. Make it: mkdir -p {folder}"
    if not _ours(folder):
        return f"Cannot write here: {folder} is not yours to write to. Choose another store=."
    free = shutil.disk_usage(folder).free
    if free < _LEAST_BYTES:
        return f"Needs {_LEAST_BYTES:,} bytes or more, {folder} has {free:,} free. Make room there."
    kind = filesystem(folder, _MOUNTS.read_text() if _MOUNTS.exists() else "")
    if kind in _NETWORKS:
        remedy = "Use a disk of this machine, or PostgreSQL: store=postgresql+psycopg://…"
        return f"{folder} is on {kind}, where SQLite's locks do not hold. {remedy}"
    return ""


def filesystem(folder: Path, mounts: str) -> str:
    """Return the kind of filesystem that a folder is on, as Linux's `mountinfo` tells; or nothing.

    >>> filesystem(Path("/home/me"), "40 27 0:50 / /home rw shared:1 - nfs4 server:/home rw")
    'nfs4'
    """
    places = {folder.resolve(), *folder.resolve().parents}
    found, longest = "", -1
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split()[4].replace(r"\040", " ")
        if Path(point) in places and len(point) >= longest:
            found, longest = source.split()[0], len(point)
    return found
