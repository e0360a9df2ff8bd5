"""How busy this machine is: its CPUs, its memory, its GPUs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

import psutil

_QUERY: Final = ("--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
_PATIENCE_SECONDS: Final = 2.0
_MIB: Final = 2**20


@dataclass(frozen=True)
class Use:
    """What share of a processor's time is used, from 0 to 1, and the bytes of memory used and there."""

    share: float
    used: int
    total: int


def processors() -> Use:
    """Return the use of all CPUs since the last call, and of memory; the first call knows of no time yet."""
    memory = psutil.virtual_memory()
    return Use(psutil.cpu_percent() / 100, memory.total - memory.available, memory.total)


def gpus() -> list[Use]:
    """Return the use of each NVIDIA GPU; none where nobody can say."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        said = subprocess.run(  # noqa: S603 - our own words, no shell
            [program, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        ).stdout
        return [_use(line) for line in said.splitlines()]
    except (OSError, ValueError, subprocess.SubprocessError):  # so does a driver at odds with its program
        return []


def _use(line: str) -> Use:
    """Read a line such as `87, 3011, 81559`: percent and MiB."""
    percent, used, total = map(int, line.split(","))
    return Use(percent / 100, used * _MIB, total * _MIB)
