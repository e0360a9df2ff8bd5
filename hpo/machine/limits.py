"""How many CPUs and how much memory this process may use, also in a container, a pod or a job of a queue.

These are control groups of Linux (cgroups), of version 1 or 2. What limits a group limits all groups in it:
each is looked at, from this process's own up to the outermost that it sees.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import psutil

ROOT: Final = Path("/")
"""Below it are `proc` and `sys`, where Linux tells of groups."""


class Memory(NamedTuple):
    """Bytes of memory that this process may use in all, and those of them that it can still have."""

    total: int
    available: int


class Quota(NamedTuple):
    """CPUs that a group may use at a time, and the seconds of CPU time that it has used; None if untold."""

    cpus: float
    used: float | None


def cpus() -> int:
    """Return the number of CPUs that this process may use.

    A quota of 2.5 CPUs counts as 2, as Ray counts it, and one below 1 as 1.
    """
    return max(1, int(min([_bound(), *(it.cpus for it in _quotas())])))


def quota() -> Quota | None:
    """Return the tightest quota of CPUs, if there is one and it is less than there are."""
    tightest = min(_quotas(), key=lambda it: it.cpus, default=None)
    return tightest if tightest and tightest.cpus < _bound() else None


def _bound() -> int:
    """Return the number of CPUs to which this process is bound; all of them, where it is not."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> Memory:
    """Return the memory that this process may use; what the system keeps of files in it gives way."""
    machine = psutil.virtual_memory()
    limited = [Memory(machine.total, machine.available), *_memories()]
    return Memory(min(it.total for it in limited), max(0, min(it.available for it in limited)))


def _quotas() -> Iterator[Quota]:
    """Yield what each group may use that has a quota of CPUs, and what it has used."""
    for group in _groups("cpu"):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        quota, period = (
            quota or _read(group / "cpu.cfs_quota_us"),
            period or _read(group / "cpu.cfs_period_us"),
        )
        if quota.isdecimal():  # and neither max nor -1
            yield Quota(int(quota) / int(period), _used(group))


def _used(group: Path) -> float | None:
    """Return a group's CPU seconds: version 2 tells microseconds in a list, version 1 nanoseconds."""
    told = _read(group / "cpu.stat").split()
    if "usage_usec" in told:
        return int(told[told.index("usage_usec") + 1]) / 1e6
    spent = _read(group / "cpuacct.usage")
    return int(spent) / 1e9 if spent else None


def _memories() -> Iterator[Memory]:
    """Yield what each group may use that has a limit; version 1 tells a huge number where there is none."""
    for group in _groups("memory"):
        total = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
        used = _read(group / "memory.current") or _read(group / "memory.usage_in_bytes")
        if total.isdecimal() and used:
            yield Memory(int(total), int(total) - int(used) + _of_files(group))


def _of_files(group: Path) -> int:
    """Return the bytes of files in a group's memory; version 1 writes `total_` where groups in it count."""
    told = dict(line.split() for line in _read(group / "memory.stat").splitlines())
    return sum(int(told.get(f"total_{name}", told.get(name, 0))) for name in ("inactive_file", "active_file"))


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, its own first.

    Where a container sees the groups of its machine by name, but of their folders its own alone, that is the
    outermost.
    """
    for line in _read(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        outermost = ROOT / "sys/fs/cgroup" / (controller if controllers else "")
        own = PurePosixPath(path).relative_to("/")
        yield from (outermost / group for group in (own, *own.parents))


def _read(file: Path) -> str:
    """Return what is in a file; nothing where there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
