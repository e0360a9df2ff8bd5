"""How busy this machine is: its CPUs, its memory, its GPUs."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Final

import psutil

from hpo.machine import limits

_QUERY: Final = ("--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
_LIST: Final = "--list-gpus"
_PATIENCE_SECONDS: Final = 2.0
_MIB: Final = 2**20


@dataclass(frozen=True)
class Use:
    """What share of a processor's time is used, from 0 to 1, and the bytes of memory used and there.

    A GPU that is cut in parts (MIG), or lent by Windows, may not tell its share.
    """

    share: float | None
    used: int
    total: int


class _Meter:
    """How busy the CPUs were since the last look: those of a quota, or all of the machine's."""

    def __init__(self) -> None:
        self._seen: tuple[float, float] | None = None

    def share(self) -> float:
        """Return it, from 0 to 1; the first look knows of no time yet."""
        quota = limits.quota()
        if quota is None or quota.used is None:
            return psutil.cpu_percent() / 100
        before, self._seen = self._seen, (time.monotonic(), quota.used)
        if before is None or self._seen[0] <= before[0]:
            return 0.0
        busy = (quota.used - before[1]) / (self._seen[0] - before[0])
        return min(busy / quota.cpus, 1.0)


_meter: Final = _Meter()


def processors() -> Use:
    """Return the use of all CPUs since the last call, and of memory; the first call knows of no time yet.

    Where a container or a queue has a quota of CPUs, it is the use of that.
    """
    memory = limits.memory()
    return Use(_meter.share(), memory.total - memory.available, memory.total)


def gpus() -> list[Use]:
    """Return the use of each NVIDIA GPU; none where nobody can say."""
    try:
        return [_use(line) for line in _told(*_QUERY)]
    except ValueError:  # a driver at odds with its program says so in words
        return []


def gpus_listed() -> int:
    """Return the number of NVIDIA GPUs of which the driver's own program knows."""
    return sum(line.startswith("GPU ") for line in _told(_LIST))


def _told(*words: str) -> list[str]:
    """Return what the driver's program says, line by line; nothing where there is none."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        return subprocess.run(  # noqa: S603 - our own words, no shell
            [program, *words], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def _use(line: str) -> Use:
    """Read a line such as `87, 3011, 81559`, percent and MiB; the first may be `[N/A]`."""
    percent, used, total = line.split(",")
    share = None if percent.startswith("[") else int(percent) / 100
    return Use(share, int(used) * _MIB, int(total) * _MIB)
