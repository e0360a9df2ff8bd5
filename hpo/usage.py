"""How busy this machine is: its CPUs, its memory, its GPUs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

import psutil

from hpo import limits

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


def processors() -> Use:
    """Return the use of all CPUs since the last call, and of memory; the first call knows of no time yet."""
    memory = limits.memory()
    return Use(psutil.cpu_percent() / 100, memory.total - memory.available, memory.total)


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
