"""The machine: Python, memory, disk, shared memory, ports."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

from hpo.doctor.finding import Finding
from hpo.machine import limits

_OLDEST: Final = (3, 11)
_GIB: Final = 2**30
_DISK: Final = 2 * _GIB  # a ledger, checkpoints and Ray's files of a common search
_SCARCE: Final = _GIB // 4
_MEMORY: Final = 2 * _GIB  # Ray's processes and one worker
_SHARED: Final = 128 * 2**20  # Ray's object store


def python() -> Finding:
    """Look at the interpreter."""
    found = f"{platform.python_version()} ({platform.machine()}, {platform.system()})"
    if sys.version_info < _OLDEST:
        return Finding("Python", found, f"Use Python {_OLDEST[0]}.{_OLDEST[1]} or newer")
    return Finding("Python", found)


def memory() -> Finding:
    """Look at what memory is free."""
    free = limits.memory().available
    remedy = "" if free >= _MEMORY else "Close other programs, or use fewer workers: workers=1"
    return Finding("Memory", f"{_gib(free)} available", remedy, essential=False)


def disk(folder: str, what: str) -> Finding:
    """Look at the room in a folder."""
    name = f"Disk for {what}"
    if not os.access(folder, os.W_OK):
        return Finding(
            name, f"{folder} cannot be written to", "Change to a folder of your own, or its rights"
        )
    free = shutil.disk_usage(folder).free
    remedy = "" if free >= _DISK else f"Make room in {folder}: a search needs about {_gib(_DISK)}"
    return Finding(name, f"{_gib(free)} free in {folder}", remedy, essential=free < _SCARCE)


def disks() -> list[Finding]:
    """Look at the room for what a search writes here and meanwhile."""
    return [disk(os.getcwd(), "results"), disk(tempfile.gettempdir(), "Ray's files")]


def shared_memory() -> Finding:
    """Look at the memory that Ray's processes share."""
    place = Path("/dev/shm")  # noqa: S108 - not a file of ours: it is the memory that is looked at
    if not place.is_dir():
        return Finding("Shared memory", "none here; Ray uses files")
    free = shutil.disk_usage(place).free
    remedy = "" if free >= _SHARED else "In a container, start it with --shm-size=1g; Ray is slow without"
    return Finding("Shared memory", f"{_gib(free)} free in {place}", remedy, essential=False)


def ports() -> Finding:
    """Look whether processes here can listen to each other."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        return Finding(
            "Ports", f"127.0.0.1: {error.strerror}", "Let processes connect to 127.0.0.1; Ray needs it"
        )
    return Finding("Ports", "127.0.0.1 can be listened on")


def _gib(count: float) -> str:
    return f"{count / _GIB:.1f} GiB"
